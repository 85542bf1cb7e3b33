# Packets as objects. The attributes are python-libtrace's; absent parts are None. A view made by the flow table looks
# into the ring; if a chain keeps a reference to it, the table makes its bytes permanent and hands out a new view.

cdef enum:
    P_ICMP = 1
    P_TCP = 6
    P_UDP = 17
    P_ICMP6 = 58
    P_SCTP = 132

DLT_RAW = 101

cdef extern from "Python.h":
    str new_text "PyUnicode_New"(Py_ssize_t size, uint32_t largest)
    uint8_t *text_data "PyUnicode_1BYTE_DATA"(object text)


cdef inline double _seconds(int64_t ts) noexcept:
    # whole seconds and the rest apart: a double does not hold nanoseconds since 1970
    return <double>(ts // 1000000000) + <double>(ts % 1000000000) / 1e9


cdef extern from "address.h" nogil:
    enum: PS_ADDRESS_TEXT
    size_t ps_address_text(const uint8_t *address, int length, char *out)


cdef str _address(const uint8_t *p, int length):
    cdef char text[PS_ADDRESS_TEXT]
    return text[:ps_address_text(p, length, text)].decode("ascii")


cdef class Buffer:
    cdef int keep(self) except -1:
        """Borrowed bytes become ours."""
        if self.owner is None:
            self.owner = PyBytes_FromStringAndSize(<const char *>self.p, self.caplen)
            self.p = <const uint8_t *>PyBytes_AS_STRING(self.owner)
            self.own = self.dec[0]
            self.dec = &self.own
        return 0


cdef Buffer _buffer(bytes data, int dlt, int64_t ts, uint32_t wire_len):
    cdef Buffer buf = Buffer.__new__(Buffer)
    buf.owner = data
    buf.p = <const uint8_t *>PyBytes_AS_STRING(data)
    buf.caplen = <uint32_t>PyBytes_GET_SIZE(data)
    buf.wire_len = max(wire_len, buf.caplen)
    buf.dlt = dlt
    buf.ts = ts
    memset(&buf.own, 0, sizeof(buf.own))
    buf.own.vlan = 0xffff
    buf.dec = &buf.own
    return buf


# What a view looks at that was made without its bytes, by __new__ alone: as long as any fixed header.
cdef Buffer NOTHING = _buffer(bytes(64), DLT_RAW, 0, 0)
NOTHING.caplen = NOTHING.wire_len = 0


cdef class Header:
    """What every packet and header has. Integers in host order; parts that are not there are None."""

    def __cinit__(self, *_, **__):
        self.buf = NOTHING

    def __init__(self):
        raise TypeError(f"{type(self).__name__} objects are made from bytes or by a packet source")

    cdef const uint8_t *bytes_at(self, uint32_t offset, uint32_t length) except? NULL:
        """Pointer to captured bytes of this header, NULL where the capture does not hold them."""
        if self.at + offset + length > self.end:
            return NULL
        return self.buf.p + self.at + offset

    cdef object u8(self, uint32_t offset):
        cdef const uint8_t *p = self.bytes_at(offset, 1)
        return None if p == NULL else p[0]

    cdef object u16(self, uint32_t offset):
        cdef const uint8_t *p = self.bytes_at(offset, 2)
        return None if p == NULL else ps_be16(p)

    cdef object u32(self, uint32_t offset):
        cdef const uint8_t *p = self.bytes_at(offset, 4)
        return None if p == NULL else ps_be32(p)

    cdef object get_payload(self, uint32_t offset):
        cdef Payload payload
        if self.at + offset >= self.end:
            return None
        payload = Payload.__new__(Payload)
        _share(self, payload, self.at + offset)
        return payload

    @property
    def data(self):
        """The captured bytes from this header on; link-layer padding left out."""
        return PyBytes_FromStringAndSize(<const char *>self.buf.p + self.at, self.end - self.at)

    @property
    def seconds(self):
        """Time of capture, seconds since 1970 (float)."""
        return _seconds(self.buf.ts)

    @property
    def ts_sec(self):
        """Time of capture, whole seconds since 1970."""
        return self.buf.ts // 1000000000

    @property
    def erf_time(self):
        """Time of capture as ERF has it: seconds since 1970 in the upper 32 bits, the fraction in the lower."""
        return (self.buf.ts // 1000000000) << 32 | ((self.buf.ts % 1000000000) << 32) // 1000000000

    @property
    def time(self):
        """Time of capture, a naive :class:`datetime.datetime` in local time."""
        from datetime import datetime
        return datetime.fromtimestamp(_seconds(self.buf.ts))

    @property
    def wire_len(self):
        """Length of the frame on the wire, bytes."""
        return self.buf.wire_len

    @property
    def capture_len(self):
        """Length of the frame as captured, bytes."""
        return self.buf.caplen

    @property
    def linktype(self):
        """Link type, as in pcap files (1: Ethernet)."""
        return self.buf.dlt

    @property
    def ethertype(self):
        """Ethertype behind all VLAN tags; None where the link layer has none."""
        return self.buf.dec.ethertype or None

    @property
    def vlan_id(self):
        """The outermost VLAN id, None without a tag."""
        return None if self.buf.dec.vlan == 0xffff else self.buf.dec.vlan

    @property
    def direction(self):
        """Direction as the link layer tells it (Linux cooked captures: 0 to us, 4 from us); None elsewhere."""
        if self.buf.dlt == 113 and self.buf.caplen >= 2:
            return ps_be16(self.buf.p)
        if self.buf.dlt == 276 and self.buf.caplen >= 11:
            return self.buf.p[10]
        return None

    @property
    def layer2(self):
        """The frame from the link layer on, as :class:`Payload`."""
        cdef Payload frame = Payload.__new__(Payload)
        _share(self, frame, 0)
        frame.end = self.buf.caplen
        return frame

    @property
    def layer3(self):
        """The IP or IPv6 header."""
        return self.ip if self.ip is not None else self.ip6

    @property
    def transport(self):
        """The transport header: tcp, udp, icmp, icmp6 or sctp."""
        if self.tcp is not None:
            return self.tcp
        if self.udp is not None:
            return self.udp
        if self.icmp is not None:
            return self.icmp
        return self.icmp6 if self.icmp6 is not None else self.sctp

    @property
    def tcp_payload(self):
        return None if self.tcp is None else self.tcp.payload

    @property
    def udp_payload(self):
        return None if self.udp is None else self.udp.payload


cdef void _share(Header source, Header target, uint32_t at):
    target.buf = source.buf
    target.at = at
    target.end = source.end
    target.size = source.size
    target.ip, target.ip6 = source.ip, source.ip6
    target.tcp, target.udp, target.sctp = source.tcp, source.udp, source.sctp
    target.icmp, target.icmp6 = source.icmp, source.icmp6


cdef class Payload(Header):
    """Bytes without a header that we know: ``.data``."""

    def __bytes__(self):
        return self.data


cdef bytes UNSPECIFIED = bytes(4)


cdef class Prefix:
    """An address, or a network where ``length`` is shorter than the address. Equality and order as tuples have it.

    :param address: ``str``, or 4 or 16 ``bytes``
    :param length: bits of the network, all by default
    """

    cdef readonly int version, length
    cdef readonly bytes addr

    def __cinit__(self, *_, **__):
        self.version, self.length, self.addr = 4, 32, UNSPECIFIED

    def __init__(self, address, length=None):
        if isinstance(address, str):
            address, _, bits = address.partition("/")
            if bits and length is None:
                length = int(bits)
            address = _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)
        if len(address) not in (4, 16):
            raise ValueError(f"an address has 4 or 16 bytes, not {len(address)}")
        bits = len(address) * 8
        length = bits if length is None else length
        if not 0 <= length <= bits:
            raise ValueError(f"a prefix of this address has 0 to {bits} bits, not {length}")
        self.addr = bytes(address)
        self.version = 4 if bits == 32 else 6
        self.length = length

    def __str__(self):
        cdef str text = _address(<const uint8_t *>PyBytes_AS_STRING(self.addr), <int>len(self.addr))
        return text if self.length == len(self.addr) * 8 else f"{text}/{self.length}"

    def __repr__(self):
        return f"Prefix('{self}')"

    def _tuple(self):
        return self.version, self.addr, self.length

    def __eq__(self, other):
        return self._tuple() == (<Prefix>other)._tuple() if isinstance(other, Prefix) else NotImplemented

    def __lt__(self, other):
        return self._tuple() < (<Prefix>other)._tuple() if isinstance(other, Prefix) else NotImplemented

    def __le__(self, other):
        return self._tuple() <= (<Prefix>other)._tuple() if isinstance(other, Prefix) else NotImplemented

    def __gt__(self, other):
        return self._tuple() > (<Prefix>other)._tuple() if isinstance(other, Prefix) else NotImplemented

    def __ge__(self, other):
        return self._tuple() >= (<Prefix>other)._tuple() if isinstance(other, Prefix) else NotImplemented

    def __hash__(self):
        return hash(self._tuple())

    def is_prefix(self, other=None):
        """Whether ``other`` lies in this network; without it, whether this is a network, not a single address."""
        if other is None:
            return self.length < len(self.addr) * 8
        if not isinstance(other, Prefix) or other.version != self.version or other.length < self.length:
            return False
        shift = len(self.addr) * 8 - self.length
        return int.from_bytes(self.addr, "big") >> shift == int.from_bytes(other.addr, "big") >> shift

    def has_bit_set(self, n):
        """Whether bit ``n`` of the address is set; 0 is the first, most significant one."""
        if not 0 <= n < len(self.addr) * 8:
            raise ValueError(f"this address has bits 0 to {len(self.addr) * 8 - 1}, not {n}")
        return bool(self.addr[n // 8] >> (7 - n % 8) & 1)

    @property
    def is_rfc1918(self):
        """Whether it is a private IPv4 address. :rfc:`1918`"""
        a = self.addr
        return self.version == 4 and (a[0] == 10 or (a[0] == 172 and a[1] >> 4 == 1) or (a[0] == 192 and a[1] == 168))


cdef Prefix _prefix(const uint8_t *p, int length):
    cdef Prefix prefix = Prefix.__new__(Prefix)
    prefix.addr = PyBytes_FromStringAndSize(<const char *>p, length)
    prefix.version = 4 if length == 4 else 6
    prefix.length = length * 8
    return prefix


cdef uint32_t _sum(const uint8_t *p, uint32_t length, uint32_t total) noexcept:
    cdef uint32_t i
    for i in range(0, length - (length & 1), 2):
        total += ps_be16(p + i)
        if total > 0x7fffffff:
            total = (total & 0xffff) + (total >> 16)
    if length & 1:
        total += <uint32_t>p[length - 1] << 8
    return total


cdef uint32_t _fold(uint32_t total) noexcept:
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


cdef object _transport_checksum(Header header, const uint8_t *addresses, uint32_t alen):
    # True or False; None where the packet is a fragment, was cut, or carries a protocol without such a checksum. :rfc:`1071`
    cdef const ps_dec *dec = header.buf.dec
    cdef uint32_t total, length
    if not dec.l4 or dec.cut or dec.fragment:
        return None
    length = dec.l3 + dec.size - dec.l4
    cdef const uint8_t *p = header.buf.p + dec.l4
    if dec.proto == P_TCP or dec.proto == P_UDP or dec.proto == P_ICMP6:
        if dec.proto == P_UDP and length >= 8:
            if ps_be16(p + 6) == 0:
                return alen == 4  # none was sent: allowed in IPv4 only
            if 8 <= ps_be16(p + 4) <= length:
                length = ps_be16(p + 4)
        total = _sum(addresses, 2 * alen, dec.proto + length)
    elif dec.proto == P_ICMP:
        total = 0
    else:
        return None
    return _fold(_sum(p, length, total)) == 0xffff


cdef object _port(Header network, uint32_t offset):
    # A port of the packet's transport protocol, also where no more of its header was captured; else None.
    cdef const ps_dec *dec = network.buf.dec
    cdef uint32_t at = dec.l4 + offset
    if not dec.l4 or not ps_has_ports(dec.proto) or at + 2 > dec.l3 + dec.size:
        return None
    return ps_be16(network.buf.p + at)


cdef class IP(Header):
    """An IPv4 header. :rfc:`791`

    ``octets`` is the packet's length on the wire: that of the header, or the frame's where the header leaves it to the
    card (0). ``proto`` is the transport protocol: behind an authentication header (:rfc:`4302`) what is in there.
    ``packets`` is 1; of a packet that was put together it is the number of its fragments, and ``octets`` are those of all
    of them.
    ``IP(data)`` makes one from the bytes of a packet, so that a chain can be tested without a capture.
    """

    def __init__(self, data):
        _from_ip_bytes(self, bytes(data), 4)

    cdef void fill(self) noexcept:
        cdef const uint8_t *p = self.buf.p + self.at
        cdef int offset = ps_be16(p + 6)
        self.version = 4
        self.hdr_len = p[0] & 15
        self.traffic_class = p[1]
        self.pkt_len = ps_be16(p + 2)
        self.has_rf = offset >> 15
        self.has_df = offset >> 14 & 1
        self.has_mf = offset >> 13 & 1
        self.frag_offset = offset & 0x1fff
        self.ttl = p[8]
        self.proto = self.buf.dec.proto
        self.octets = self.buf.dec.ip_len
        self.packets = 1
        if not self.buf.dec.tunnelled:
            self.octets += self.buf.dec.more_octets
            self.packets += self.buf.dec.more_packets
        self.quotes = self.buf.dec.quote

    @property
    def ident(self):
        return self.u16(4)

    @property
    def hop_limit(self):
        return self.ttl

    @property
    def checksum(self):
        return self.u16(10)

    @property
    def hdr_checksum(self):
        return self.u16(10)

    @property
    def src_port(self):
        """Source port of TCP, UDP, SCTP, DCCP or UDP-Lite; None where there is none, and where it was not captured."""
        return _port(self, 0)

    @property
    def dst_port(self):
        """Destination port, as :attr:`src_port`."""
        return _port(self, 2)

    @property
    def src_prefix(self):
        return _prefix(self.buf.p + self.at + 12, 4)

    @property
    def dst_prefix(self):
        return _prefix(self.buf.p + self.at + 16, 4)

    @property
    def payload(self):
        """What follows the header: the transport header where it is one that we know, else :class:`Payload`."""
        transport = self.transport
        return self.get_payload(self.hdr_len * 4) if transport is None else transport

    def test_l3_cksm(self):
        """Whether the header checksum is right; None where the header was cut."""
        cdef uint32_t length = self.hdr_len * 4
        cdef const uint8_t *p = self.bytes_at(0, length)
        return None if p == NULL else _fold(_sum(p, length, 0)) == 0xffff

    def test_trans_cksm(self):
        """Whether the transport checksum is right; None where that cannot be known (fragments, cut packets)."""
        return _transport_checksum(self, self.buf.p + self.at + 12, 4)


cdef class IP6(Header):
    """An IPv6 header. :rfc:`8200`

    ``octets`` is the packet's length on the wire, header included: also of a jumbogram (:rfc:`2675`). ``proto`` is the
    transport protocol, behind extension headers; ``packets`` as in :class:`IP`. ``IP6(data)`` makes one from the bytes
    of a packet.
    """

    def __init__(self, data):
        _from_ip_bytes(self, bytes(data), 6)

    cdef void fill(self) noexcept:
        cdef const uint8_t *p = self.buf.p + self.at
        self.version = 6
        self.traffic_class = ps_be16(p) >> 4 & 0xff
        self.payload_len = ps_be16(p + 4)
        self.next_hdr = p[6]
        self.hop_limit = p[7]
        self.proto = self.buf.dec.proto
        self.octets = self.buf.dec.ip_len
        self.packets = 1
        if not self.buf.dec.tunnelled:
            self.octets += self.buf.dec.more_octets
            self.packets += self.buf.dec.more_packets
        self.quotes = self.buf.dec.quote

    @property
    def flow_label(self):
        return self.u32(0) & 0xfffff

    @property
    def pkt_len(self):
        """The same as ``payload_len``: the field of the header, without the 40 bytes of the header itself."""
        return self.payload_len

    @property
    def src_port(self):
        """Source port of TCP, UDP, SCTP, DCCP or UDP-Lite; None where there is none, and where it was not captured."""
        return _port(self, 0)

    @property
    def dst_port(self):
        """Destination port, as :attr:`src_port`."""
        return _port(self, 2)

    @property
    def src_prefix(self):
        return _prefix(self.buf.p + self.at + 8, 16)

    @property
    def dst_prefix(self):
        return _prefix(self.buf.p + self.at + 24, 16)

    @property
    def payload(self):
        transport = self.transport
        return self.get_payload(40) if transport is None else transport

    def test_trans_cksm(self):
        return _transport_checksum(self, self.buf.p + self.at + 8, 16)


cpdef tuple endpoints(Header ip):
    """Of an IP header: its addresses as text, the transport protocol's number, and ports, as :attr:`IP.src_port` has
    them: ``(source, destination, protocol, source port, destination port)``."""
    cdef const uint8_t *p
    if not isinstance(ip, (IP, IP6)):
        raise TypeError(f"{type(ip).__name__} is no IP header")
    p = ip.buf.p + ip.at
    if isinstance(ip, IP):
        return _address(p + 12, 4), _address(p + 16, 4), (<IP>ip).proto, _port(ip, 0), _port(ip, 2)
    return _address(p + 8, 16), _address(p + 24, 16), (<IP6>ip).proto, _port(ip, 0), _port(ip, 2)


cdef class TCP(Header):
    """A TCP header. :rfc:`9293` ``TCP(data)`` makes one from bytes that begin with it.

    ``bogus`` belongs to :func:`pathspider.chains.tcp.is_bogus`: its answer, 0 or 1; -1 where a flow table shows the
    segment and nobody has asked yet; -2 elsewhere.
    """

    def __init__(self, data):
        _from_bytes(self, bytes(data), 20)
        self.tcp = self
        self.fill(self.end)

    cdef void fill(self, uint32_t wire_len) noexcept:
        cdef const uint8_t *p = self.buf.p + self.at
        self.src_port = ps_be16(p)
        self.dst_port = ps_be16(p + 2)
        self.seq_nbr = ps_be32(p + 4)
        self.ack_nbr = ps_be32(p + 8)
        self.doff = p[12] >> 4
        self.flags = ps_be16(p + 12) & 0xfff
        self.payload_len = wire_len - self.doff * 4 if wire_len > <uint32_t>self.doff * 4 else 0
        self.bogus = -2
        self.options = None

    @property
    def urg_flag(self):
        return bool(self.flags & 32)

    @property
    def ack_flag(self):
        return bool(self.flags & 16)

    @property
    def psh_flag(self):
        return bool(self.flags & 8)

    @property
    def rst_flag(self):
        return bool(self.flags & 4)

    @property
    def syn_flag(self):
        return bool(self.flags & 2)

    @property
    def fin_flag(self):
        return bool(self.flags & 1)

    @property
    def window(self):
        return self.u16(14)

    @property
    def checksum(self):
        return self.u16(16)

    @property
    def urg_ptr(self):
        return self.u16(18)

    @property
    def options_data(self):
        """The options as captured, bytes; empty where there are none."""
        cdef uint32_t stop = min(self.at + self.doff * 4, self.end)
        if stop <= self.at + 20:
            return b""
        return PyBytes_FromStringAndSize(<const char *>self.buf.p + self.at + 20, stop - self.at - 20)

    @property
    def option_numbers(self):
        """Kinds of the options in the order of the header, padding (0 and 1) included, up to the first malformed one."""
        return [kind for kind, _ in _options(self.options_data)]

    def option(self, number):
        """Value of the first option of that kind: bytes; True where it has none; False where it is absent."""
        for kind, value in _options(self.options_data):
            if kind == number:
                return value if value else True
        return False

    @property
    def payload(self):
        """The captured payload (has ``.data``), None if empty. ``payload_len`` is its length on the wire."""
        return self.get_payload(self.doff * 4)


cpdef bytes options_of(TCP tcp):
    """``tcp.options_data``, made once for all chains that ask."""
    if type(tcp) is not TCP:
        return tcp.options_data
    if tcp.options is None:
        tcp.options = tcp.options_data
    return tcp.options


cpdef bytes payload_of(Header transport, int64_t most=INT64_MAX):
    """The captured payload of a TCP or UDP header, None if empty: ``transport.payload.data``. So many octets at most."""
    cdef uint32_t at, end = transport.end
    if type(transport) is TCP:
        at = transport.at + (<TCP>transport).doff * 4
    elif type(transport) is UDP:
        at = transport.at + 8
        if 8 <= (<UDP>transport).len and transport.at + (<UDP>transport).len < end:
            end = transport.at + (<UDP>transport).len
    else:
        payload = transport.payload
        return None if payload is None else payload.data[:most]
    if at >= end:
        return None
    return PyBytes_FromStringAndSize(<const char *>transport.buf.p + at, min(<int64_t>(end - at), most))


cpdef double captured_at(Header header) except? -1:
    """``header.seconds``"""
    return _seconds(header.buf.ts)


cpdef str hex_of(Header header, Py_ssize_t octets):
    """``header.data`` in hexadecimal, so many octets at most."""
    cdef Py_ssize_t i, count = max(0, min(octets, <Py_ssize_t>header.end - header.at))
    cdef const uint8_t *p = header.buf.p + header.at
    cdef str text = new_text(count * 2, 127)
    cdef uint8_t *out = text_data(text)
    for i in range(count):
        out[i * 2] = b"0123456789abcdef"[p[i] >> 4]
        out[i * 2 + 1] = b"0123456789abcdef"[p[i] & 15]
    return text


def _options(bytes data):
    # kind and value of each option; ends at end-of-list, and before an option whose length cannot be
    at, end = 0, len(data)
    found = []
    while at < end:
        kind = data[at]
        if kind < 2:
            found.append((kind, b""))
            at += 1
            if kind == 0:
                break
            continue
        if at + 1 >= end or data[at + 1] < 2 or at + data[at + 1] > end:
            break
        found.append((kind, data[at + 2:at + data[at + 1]]))
        at += data[at + 1]
    return found


class CutTCP(TCP):
    """A TCP header of which a part is missing, as in ICMP quotations: fields behind the cut are None."""

    src_port = property(lambda self: _cut(self, 0, 2))
    dst_port = property(lambda self: _cut(self, 2, 2))
    seq_nbr = property(lambda self: _cut(self, 4, 4))
    ack_nbr = property(lambda self: _cut(self, 8, 4))
    doff = property(lambda self: None if _cut(self, 12, 1) is None else _cut(self, 12, 1) >> 4)
    flags = property(lambda self: None if _cut(self, 12, 2) is None else _cut(self, 12, 2) & 0xfff)
    urg_flag = property(lambda self: _cut_flag(self, 32))
    ack_flag = property(lambda self: _cut_flag(self, 16))
    psh_flag = property(lambda self: _cut_flag(self, 8))
    rst_flag = property(lambda self: _cut_flag(self, 4))
    syn_flag = property(lambda self: _cut_flag(self, 2))
    fin_flag = property(lambda self: _cut_flag(self, 1))
    options_data = property(lambda self: b"")
    payload_len = property(lambda self: None)
    payload = property(lambda self: None)


class CutUDP(UDP):
    """A UDP header of which a part is missing."""

    src_port = property(lambda self: _cut(self, 0, 2))
    dst_port = property(lambda self: _cut(self, 2, 2))
    len = property(lambda self: _cut(self, 4, 2))
    checksum = property(lambda self: _cut(self, 6, 2))
    payload_len = property(lambda self: None)
    payload = property(lambda self: None)


class CutSCTP(SCTP):
    """An SCTP header of which a part is missing."""

    src_port = property(lambda self: _cut(self, 0, 2))
    dst_port = property(lambda self: _cut(self, 2, 2))


def _cut(Header header, uint32_t offset, int length):
    return header.u8(offset) if length == 1 else header.u16(offset) if length == 2 else header.u32(offset)


def _cut_flag(header, mask):
    return None if header.flags is None else bool(header.flags & mask)


cdef class UDP(Header):
    """A UDP header. :rfc:`768` ``UDP(data)`` makes one from bytes that begin with it."""

    def __init__(self, data):
        _from_bytes(self, bytes(data), 8)
        self.udp = self
        self.fill(self.end)

    cdef void fill(self, uint32_t wire_len) noexcept:
        cdef const uint8_t *p = self.buf.p + self.at
        self.src_port = ps_be16(p)
        self.dst_port = ps_be16(p + 2)
        self.len = ps_be16(p + 4)
        self.checksum = ps_be16(p + 6)
        if 8 <= <uint32_t>self.len <= wire_len:
            wire_len = self.len  # what follows is the options area: RFC 9868
        self.payload_len = wire_len - 8 if wire_len > 8 else 0

    @property
    def payload(self):
        """The captured payload as the UDP length bounds it (has ``.data``), None if empty."""
        payload = self.get_payload(8)
        if payload is not None and 8 <= self.len and self.at + self.len < (<Header>payload).end:
            (<Header>payload).end = self.at + self.len
            if self.len == 8:
                return None
        return payload


class Echo:
    """Identifier and sequence number of an ICMP echo message."""

    def __init__(self, ident, sequence):
        self.ident, self.sequence = ident, sequence


class Redirect:
    """The better gateway that an ICMP redirect names."""

    def __init__(self, gateway):
        self.gateway = gateway


class TooBig:
    """The MTU that an ICMPv6 packet-too-big message names."""

    def __init__(self, mtu):
        self.mtu = mtu


class Param:
    """Where an ICMPv6 parameter-problem message sees the problem."""

    def __init__(self, pointer):
        self.pointer = pointer


class Neighbour:
    """The target of an ICMPv6 neighbour discovery message."""

    def __init__(self, target_prefix):
        self.target_prefix = target_prefix


cdef class ICMPBase(Header):
    cdef void fill(self) noexcept:
        self.type = self.buf.p[self.at]
        self.code = self.buf.p[self.at + 1]
        self.quoted = None
        self.looked = False

    @property
    def checksum(self):
        return self.u16(2)

    @property
    def payload(self):
        """The quoted packet of the messages that carry one (None where it cannot be read), else the bytes behind the
        8 bytes of the header."""
        if ps_icmp_quotes(4 if isinstance(self, ICMP) else 6, self.type):
            return self.get_quote()
        return b"" if self.at + 8 >= self.end else self.buf.p[self.at + 8:self.end]

    cdef object get_quote(self):
        if not self.looked:
            self.looked = True
            self.quoted = _quote(self, 4 if isinstance(self, ICMP) else 6)
        return self.quoted


cdef class ICMP(ICMPBase):
    """An ICMP header. :rfc:`792` ``ICMP(data)`` makes one from bytes that begin with it."""

    def __init__(self, data):
        _from_bytes(self, bytes(data), 8)
        self.icmp = self
        self.fill()

    @property
    def echo(self):
        return Echo(self.u16(4), self.u16(6)) if self.type in (0, 8) else None

    @property
    def redirect(self):
        return Redirect(_prefix(self.buf.p + self.at + 4, 4)) if self.type == 5 else None


cdef class ICMP6(ICMPBase):
    """An ICMPv6 header. :rfc:`4443` ``ICMP6(data)`` makes one from bytes that begin with it."""

    def __init__(self, data):
        _from_bytes(self, bytes(data), 4)
        self.icmp6 = self
        self.fill()

    @property
    def echo(self):
        return Echo(self.u16(4), self.u16(6)) if self.type in (128, 129) else None

    @property
    def toobig(self):
        return TooBig(self.u32(4)) if self.type == 2 else None

    @property
    def param(self):
        return Param(self.u32(4)) if self.type == 4 else None

    @property
    def neighbour(self):
        cdef const uint8_t *p = self.bytes_at(8, 16)
        return Neighbour(_prefix(p, 16)) if self.type in (135, 136, 137) and p != NULL else None


class Chunk:
    """A chunk of an SCTP packet. ``is_ok``: its length fits into the packet."""

    def __init__(self, type, flags, length, is_ok, bytes):
        self.type, self.flags, self.length, self.is_ok, self.bytes = type, flags, length, is_ok, bytes


cdef class SCTP(Header):
    """An SCTP header. :rfc:`9260` ``SCTP(data)`` makes one from bytes that begin with it."""

    def __init__(self, data):
        _from_bytes(self, bytes(data), 12)
        self.sctp = self
        self.fill()

    cdef void fill(self) noexcept:
        cdef const uint8_t *p = self.buf.p + self.at
        self.src_port = ps_be16(p)
        self.dst_port = ps_be16(p + 2)

    @property
    def verification_tag(self):
        return self.u32(4)

    @property
    def checksum(self):
        return self.u32(8)

    @property
    def chunks(self):
        """The chunks, up to the first whose length cannot be (``is_ok`` is False for that one)."""
        data, at, found = self.data, 12, []
        while at + 4 <= len(data):
            length = int.from_bytes(data[at + 2:at + 4], "big")
            fits = length >= 4 and at + length <= len(data)
            found.append(Chunk(data[at], data[at + 1], length, fits, data[at:at + length]))
            if not fits:
                break
            at += (length + 3) & ~3
        return found


cdef int _refuse_again(Header header) except -1:
    # A flow table's views are filled again and again, and must not look into somebody else's bytes meanwhile.
    if header.buf is not NOTHING:
        raise RuntimeError(f"a {type(header).__name__} is made once: make a new one")
    return 0


cdef int _from_bytes(Header header, bytes data, uint32_t least) except -1:
    # `least`: bytes of the fixed header
    _refuse_again(header)
    if <uint32_t>len(data) < least:
        raise ValueError(f"a {type(header).__name__} header has at least {least} bytes, got {len(data)}")
    header.buf = _buffer(data, DLT_RAW, 0, 0)
    header.at = 0
    header.end = header.size = header.buf.caplen
    return 0


cdef int _from_ip_bytes(Header header, bytes data, int version) except -1:
    cdef Buffer buf = _buffer(data, DLT_RAW, 0, 0)
    _refuse_again(header)
    ps_decode(buf.p, buf.caplen, buf.wire_len, DLT_RAW, &buf.own)
    if buf.own.status != PS_OK or buf.own.version != version:
        why = "too short" if buf.own.status == PS_TRUNCATED else "its header contradicts itself"
        raise ValueError(f"these {len(data)} bytes are no IPv{version} packet: {why}")
    _link(buf, header, _new_transport(buf, True))
    return 0


cdef object _quote(ICMPBase icmp, int version):
    # The quoted packet; its bytes are a copy, so that it lives as long as anybody wants it.
    cdef ps_ip found
    cdef Buffer buf
    cdef Header header
    cdef ps_dec *dec
    if icmp.at + 8 >= icmp.end:
        return None
    data = icmp.buf.p[icmp.at + 8:icmp.end]
    buf = _buffer(data, DLT_RAW, icmp.buf.ts, 0)
    ps_decode(buf.p, buf.caplen, buf.wire_len, DLT_RAW, &buf.own)
    if buf.own.status != PS_OK or buf.own.version != version:
        return None
    header = IP.__new__(IP) if version == 4 else IP6.__new__(IP6)
    _link(buf, header, _new_transport(buf, True))
    return header


cdef Header _new_transport(Buffer buf, bint partial):
    # An empty view for the transport header of a decoded packet; None where there is none to be seen.
    cdef const ps_dec *dec = buf.dec
    if not dec.l4 or not (dec.l4_whole or partial):
        return None
    if dec.l4_whole:
        if dec.proto == P_TCP:
            return TCP.__new__(TCP)
        if dec.proto == P_UDP:
            return UDP.__new__(UDP)
        if dec.proto == P_SCTP:
            return SCTP.__new__(SCTP)
        if dec.proto == P_ICMP and dec.version == 4:
            return ICMP.__new__(ICMP)
        if dec.proto == P_ICMP6 and dec.version == 6:
            return ICMP6.__new__(ICMP6)
        return None
    if dec.proto == P_TCP:
        return CutTCP.__new__(CutTCP)
    if dec.proto == P_UDP:
        return CutUDP.__new__(CutUDP)
    if dec.proto == P_SCTP:
        return CutSCTP.__new__(CutSCTP)
    return None


cdef void _adopt(Header header, Header network, Header transport, Buffer buf):
    header.buf = buf
    if type(network) is IP:
        header.ip = network
    else:
        header.ip6 = network
    if isinstance(transport, TCP):
        header.tcp = transport
    elif isinstance(transport, UDP):
        header.udp = transport
    elif isinstance(transport, ICMP):
        header.icmp = transport
    elif isinstance(transport, ICMP6):
        header.icmp6 = transport
    elif isinstance(transport, SCTP):
        header.sctp = transport


cdef int _link(Buffer buf, Header network, Header transport) except -1:
    # Joins the views of one packet, so that each knows the others, and fills them.
    _adopt(network, network, transport, buf)
    if transport is not None:
        _adopt(transport, network, transport, buf)
    _fill(buf, network, transport)
    return 0


cdef void _fill(Buffer buf, Header network, Header transport) noexcept:
    cdef const ps_dec *dec = buf.dec
    cdef uint32_t end = dec.l3 + dec.size
    network.at = dec.l3
    network.end = end
    network.size = dec.size
    if dec.version == 4:
        (<IP>network).fill()
    else:
        (<IP6>network).fill()
    if transport is None:
        return
    transport.at = dec.l4
    transport.end = end
    transport.size = dec.size
    if not dec.l4_whole:
        return
    if dec.proto == P_TCP:
        (<TCP>transport).fill(dec.l4_len)
    elif dec.proto == P_UDP:
        (<UDP>transport).fill(dec.l4_len)
    elif dec.proto == P_SCTP:
        (<SCTP>transport).fill()
    else:
        (<ICMPBase>transport).fill()


cdef class Packet(Header):
    """A captured packet, from the link layer on. ``Packet()`` is an empty one, for ``Trace.read_packet()``."""

    def __init__(self):
        _load(self, _buffer(b"", DLT_RAW, 0, 0))

    def set(self, bytes data, uint32_t wire_len, int linktype, int64_t ns):
        """Makes it another packet; views of the one before stay what they are. ``ns``: time in ns since 1970."""
        _load(self, _buffer(data, linktype, ns, wire_len))


cdef int _load(Packet packet, Buffer buf) except -1:
    # The packet's views of `buf`, whose bytes are its own.
    cdef Header network, transport
    packet.ip = packet.ip6 = packet.tcp = packet.udp = packet.icmp = packet.icmp6 = packet.sctp = None
    packet.buf = buf
    packet.at = 0
    packet.end = buf.caplen
    packet.size = 0
    if buf.caplen == 0:
        return 0
    ps_decode(buf.p, buf.caplen, buf.wire_len, buf.dlt, &buf.own)
    if buf.own.status == PS_OK:
        network = IP.__new__(IP) if buf.own.version == 4 else IP6.__new__(IP6)
        transport = _new_transport(buf, True)
        _link(buf, network, transport)
        _adopt(packet, network, transport, buf)
        packet.size = buf.own.size
    return 0
