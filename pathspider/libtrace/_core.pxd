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
    cdef bytes options      # None: nobody has asked for them
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
cpdef double captured_at(Header header) except? -1
cpdef bytes options_of(TCP tcp)
cpdef bytes payload_of(Header transport, int64_t most=*)
cpdef str hex_of(Header header, Py_ssize_t octets)


cdef extern from *:
    """
    #include <string.h>
    /* A value in 64 bits: a number as it is, or else the object's address. The lowest bits tell: 1, an integer of 63 bits;
       10, a float whose exponent is not extreme, turned so that the bits it can do without are the lowest; 000, an object. */
    typedef uint64_t ps_slot;
    static inline int ps_slot_is_int(ps_slot slot) { return slot & 1; }
    static inline int ps_slot_is_float(ps_slot slot) { return (slot & 3) == 2; }
    static inline int ps_slot_is_object(ps_slot slot) { return (slot & 3) == 0; }
    static inline int64_t ps_slot_int(ps_slot slot) { return (int64_t)slot >> 1; }
    static inline double ps_slot_float(ps_slot slot)
    {
        double value;
        uint64_t bits = (slot & ~(uint64_t)3) | (2 - (slot >> 63));
        bits = bits >> 3 | bits << 61;
        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    static inline int ps_float_fits(double value)
    {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        return (bits >> 60 & 7) == 3 || (bits >> 60 & 7) == 4;
    }
    static inline ps_slot ps_float_slot(double value)
    {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        return ((bits << 3 | bits >> 61) & ~(uint64_t)3) | 2;
    }
    static inline ps_slot ps_int_slot(int64_t value) { return (uint64_t)value << 1 | 1; }
    static inline PyObject *ps_slot_value(ps_slot slot)
    {
        PyObject *value;
        if (slot & 1)
            return PyLong_FromLongLong(ps_slot_int(slot));
        if (slot & 2)
            return PyFloat_FromDouble(ps_slot_float(slot));
        value = (PyObject *)(uintptr_t)slot;
        Py_INCREF(value);
        return value;
    }
    static inline ps_slot ps_value_slot(PyObject *value)
    {
        if (PyLong_CheckExact(value)) {
            int overflow = 0;
            long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
            if (!overflow && number >= -(1LL << 62) && number < 1LL << 62)
                return ps_int_slot(number);
        }
        else if (PyFloat_CheckExact(value) && ps_float_fits(PyFloat_AS_DOUBLE(value)))
            return ps_float_slot(PyFloat_AS_DOUBLE(value));
        return (ps_slot)(uintptr_t)value;
    }
    /* Whether a reference belongs to it: not to a number, and these three last for ever. */
    static inline int ps_slot_counts(ps_slot slot)
    {
        return (slot & 3) == 0 && slot != (ps_slot)(uintptr_t)Py_None && slot != (ps_slot)(uintptr_t)Py_False
            && slot != (ps_slot)(uintptr_t)Py_True;
    }
    /* Sets the value at a place; of an object, the array takes a reference of its own. */
    static inline void ps_put_slot(ps_slot *at, int size, int place, ps_slot slot)
    {
        ps_slot before = at[place];
        uint64_t *owned = &at[size + (place >> 6)], bit = (uint64_t)1 << (place & 63);
        int had = (*owned & bit) != 0;
        at[place] = slot;
        if (ps_slot_counts(slot)) {
            Py_INCREF((PyObject *)(uintptr_t)slot);
            *owned |= bit;
        }
        else
            *owned &= ~bit;
        if (had)
            Py_DECREF((PyObject *)(uintptr_t)before);
    }
    """
    ctypedef uint64_t ps_slot
    bint ps_slot_is_int(ps_slot slot) nogil
    bint ps_slot_is_float(ps_slot slot) nogil
    bint ps_slot_is_object(ps_slot slot) nogil
    int64_t ps_slot_int(ps_slot slot) nogil
    double ps_slot_float(ps_slot slot) nogil
    bint ps_float_fits(double value) nogil
    ps_slot ps_float_slot(double value) nogil
    ps_slot ps_int_slot(int64_t value) nogil
    object ps_slot_value(ps_slot slot)
    ps_slot ps_value_slot(PyObject *value)
    void ps_put_slot(ps_slot *at, int size, int place, ps_slot slot)


cdef class Layout:
    cdef dict template, finished, scratch
    cdef ps_slot *initial       # by place, 0: records have no such name; behind them the bits of Record.at, all 0
    cdef ps_slot *spare         # arrays of records that are gone
    cdef int *shown             # places of the fields of finished records, in their order
    cdef int size, words, count # places, words of a bit for each, fields


cdef class Record:
    cdef ps_slot *at            # by place; behind them a bit for each that holds a reference of its own
    cdef int size
    cdef Layout layout

    cdef dict finished(self)
    cdef int find(self, name) except -1


cdef inline int put(Record record, int place, object value) except -1:
    """Sets the value at a place that the record has."""
    ps_put_slot(record.at, record.size, place, ps_value_slot(<PyObject *>value))
    return 0


cdef inline object noted(object rec, int place, str name):
    """``rec[name]``, as compiled chains have it: of a :class:`Record` what stands at this place."""
    if type(rec) is Record and place < (<Record>rec).size and (<Record>rec).at[place]:
        return ps_slot_value((<Record>rec).at[place])
    return rec[name]


cdef inline int note(object rec, int place, str name, object value) except -1:
    """``rec[name] = value``"""
    if type(rec) is Record and place < (<Record>rec).size and (<Record>rec).at[place]:
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
