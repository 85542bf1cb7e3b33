"""What compiled chains may use at C speed: the view objects' hot fields and the vtable of chain hooks."""

from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "decode.h" nogil:
    enum: PS_OK
    enum: PS_NOT_IP
    enum: PS_TRUNCATED
    enum: PS_MALFORMED
    enum: PS_R_NEW_LINK
    enum: PS_R_TUNNEL_CUT
    enum: PS_REASONS
    const char *ps_reason(int reason)
    struct ps_key:
        uint8_t lo[16]
        uint8_t hi[16]
        uint8_t lo_port[2]
        uint8_t hi_port[2]
        uint8_t proto
        uint8_t version
        uint8_t has_ports
    struct ps_dec:
        uint64_t hash
        ps_key key
        uint32_t l3
        uint32_t l4
        uint32_t size
        uint32_t ip_len
        uint32_t l4_len
        uint16_t ethertype
        uint16_t vlan
        uint8_t status
        uint8_t version
        uint8_t proto
        uint8_t l4_whole
        uint8_t fragment
        uint8_t cut
        uint8_t quote
        uint8_t dir
        uint8_t reason
        uint8_t late
        uint8_t tunnelled
        uint16_t more_packets
        uint32_t more_octets
    struct ps_ip:
        uint32_t l4
        uint32_t ip_len
        uint8_t version
        uint8_t proto
        uint8_t fragment
        uint8_t status
    void ps_decode_ip(const uint8_t *p, uint32_t length, uint32_t wire_len, ps_ip *out)
    void ps_decode(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, ps_dec *out)
    int ps_known_link(int dlt)
    uint32_t ps_fixed_len(uint8_t proto)
    int ps_has_ports(uint8_t proto)
    int ps_icmp_quotes(uint8_t version, uint8_t type)
    void ps_seed(uint64_t seed)
    uint64_t ps_hash(const ps_key *key)
    uint16_t ps_be16(const uint8_t *p)
    uint32_t ps_be32(const uint8_t *p)


cdef class Buffer:
    """The bytes of one packet: borrowed from the ring while it is looked at, our own as soon as someone keeps it."""
    cdef const uint8_t *p
    cdef uint32_t caplen, wire_len
    cdef int dlt
    cdef int64_t ts
    cdef const ps_dec *dec
    cdef ps_dec own
    cdef bytes owner

    cdef int keep(self) except -1


cdef class Header:
    cdef Buffer buf
    cdef uint32_t at, end
    cdef readonly uint32_t size
    cdef readonly IP ip
    cdef readonly IP6 ip6
    cdef readonly TCP tcp
    cdef readonly UDP udp
    cdef readonly ICMP icmp
    cdef readonly ICMP6 icmp6
    cdef readonly SCTP sctp

    cdef const uint8_t *bytes_at(self, uint32_t offset, uint32_t length) except? NULL
    cdef object u8(self, uint32_t offset)
    cdef object u16(self, uint32_t offset)
    cdef object u32(self, uint32_t offset)
    cdef object get_payload(self, uint32_t offset)


cdef class IP(Header):
    cdef readonly int version, hdr_len, traffic_class, pkt_len, ttl, proto, frag_offset
    cdef readonly bint has_rf, has_df, has_mf
    cdef readonly uint32_t octets, packets
    cdef readonly bint quotes
    cdef void fill(self) noexcept


cdef class IP6(Header):
    cdef readonly int version, traffic_class, payload_len, next_hdr, proto, hop_limit
    cdef readonly uint32_t octets, packets
    cdef readonly bint quotes
    cdef void fill(self) noexcept


cdef class TCP(Header):
    cdef readonly int src_port, dst_port, doff, flags
    cdef readonly uint32_t seq_nbr, ack_nbr, payload_len
    cdef public int bogus
    cdef void fill(self, uint32_t wire_len) noexcept


cdef class UDP(Header):
    cdef readonly int src_port, dst_port, len, checksum
    cdef readonly uint32_t payload_len
    cdef void fill(self, uint32_t wire_len) noexcept


cdef class ICMPBase(Header):
    cdef readonly int type, code
    cdef object quoted
    cdef bint looked
    cdef void fill(self) noexcept
    cdef object get_quote(self)


cdef class ICMP(ICMPBase):
    pass


cdef class ICMP6(ICMPBase):
    pass


cdef class SCTP(Header):
    cdef readonly int src_port, dst_port
    cdef void fill(self) noexcept


cpdef tuple endpoints(Header ip)


cdef class Layout:
    cdef dict template, finished, scratch
    cdef PyObject **initial     # by place; NULL: records have no such name
    cdef PyObject **spare       # arrays of records that are gone
    cdef int *shown             # places of the fields of finished records, in their order
    cdef int size, count


cdef class Record:
    cdef PyObject **at          # by place
    cdef PyObject **initial
    cdef int size
    cdef Layout layout

    cdef dict finished(self)
    cdef int find(self, name) except -1


cdef inline int put(Record record, int place, object value) except -1:
    """Sets the value at a place that the record has."""
    cdef PyObject *before = record.at[place]
    if before != <PyObject *>value:
        if <PyObject *>value != record.initial[place]:
            Py_INCREF(value)
        record.at[place] = <PyObject *>value
        if before != record.initial[place]:
            Py_DECREF(<object>before)
    return 0


cdef inline object noted(object rec, int place, str name):
    """``rec[name]``, as compiled chains have it: of a :class:`Record` what stands at this place."""
    if type(rec) is Record and place < (<Record>rec).size and (<Record>rec).at[place] != NULL:
        return <object>(<Record>rec).at[place]
    return rec[name]


cdef inline int note(object rec, int place, str name, object value) except -1:
    """``rec[name] = value``"""
    if type(rec) is Record and place < (<Record>rec).size and (<Record>rec).at[place] != NULL:
        return put(<Record>rec, place, value)
    rec[name] = value
    return 0


cdef class ChainBase:
    cdef public bint enough
    cpdef bint new_flow(self, object rec, object ip) except -1
    cpdef bint ip4(self, object rec, IP ip, bint rev) except -1
    cpdef bint ip6(self, object rec, IP6 ip, bint rev) except -1
    cpdef bint tcp(self, object rec, TCP tcp, bint rev) except -1
    cpdef bint udp(self, object rec, UDP udp, bint rev) except -1
    cpdef bint icmp4(self, object rec, IP ip, object q, bint rev) except -1
    cpdef bint icmp6(self, object rec, IP6 ip, object q, bint rev) except -1
