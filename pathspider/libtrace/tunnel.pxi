# What a packet is in, for records: tunnels, VLANs, MPLS labels. Which flow it belongs to is decided in tunnel.c.

cdef extern from "tunnel.h" nogil:
    enum: PS_DEPTH
    enum: PS_T_L2TP
    struct ps_tags:
        uint32_t vlans
        uint32_t labels
        uint16_t vlan[16]
        uint32_t label[16]
    struct ps_tunnel:
        uint8_t kind
        uint8_t named
        uint8_t version
        uint32_t id
        uint8_t ends[32]
    struct ps_stack:
        uint32_t depth
        ps_tunnel at[8]
    int64_t ps_link_layer(const uint8_t *p, uint32_t length, int dlt, ps_dec *out, ps_tags *tags)
    void ps_decapsulate(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, ps_dec *dec, ps_stack *stack)
    const char *ps_tunnel_name(int kind)


def around_fields(bint decapsulate, bint outer):
    """The fields that a record has then, besides those of its chains."""
    return ((("encapsulation",) if decapsulate else ()) + (("vlan", "mpls") if outer else ())
            + (("tunnel_ends",) if decapsulate and outer else ()))


cdef str _tunnel_name(const ps_tunnel *tunnel):
    name = ps_tunnel_name(tunnel.kind).decode()
    if not tunnel.named:
        return name
    if tunnel.kind == PS_T_L2TP:
        return f"{name}:{tunnel.id >> 16}/{tunnel.id & 0xffff}"
    return f"{name}:{tunnel.id}"


cdef list _tunnel_ends(const ps_tunnel *tunnel):
    """The addresses between which a tunnel is; None where it is not carried by IP."""
    cdef uint32_t length = 4 if tunnel.version == 4 else 16
    if not tunnel.version:
        return None
    return [str(_prefix(tunnel.ends, length)), str(_prefix(tunnel.ends + length, length))]


cdef class Encapsulation:
    """Which of a flow's first packet's tunnels and tags its record has.

    :param decapsulate: flows are those inside of tunnels; records have ``encapsulation``
    :param outer: records have ``vlan`` and ``mpls``; with ``decapsulate`` also ``tunnel_ends``
    """

    cdef readonly bint decapsulate, outer
    cdef readonly tuple fields

    def __cinit__(self, bint decapsulate, bint outer):
        self.decapsulate, self.outer = decapsulate, outer
        self.fields = around_fields(decapsulate, outer)

    cdef int note(self, object rec, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt) except -1:
        """Of a packet that belongs to a flow, to the flow's record."""
        cdef ps_dec dec
        cdef ps_tags tags
        cdef ps_stack stack
        cdef uint32_t i
        if self.decapsulate:
            ps_decode(p, caplen, wire_len, dlt, &dec)
            ps_decapsulate(p, caplen, wire_len, dlt, &dec, &stack)
            rec["encapsulation"] = [_tunnel_name(&stack.at[i]) for i in range(stack.depth)]
        if self.outer:
            ps_link_layer(p, caplen, dlt, &dec, &tags)
            rec["vlan"] = [tags.vlan[i] for i in range(tags.vlans)]
            rec["mpls"] = [tags.label[i] for i in range(tags.labels)]
        if self.decapsulate and self.outer:
            rec["tunnel_ends"] = [_tunnel_ends(&stack.at[i]) for i in range(stack.depth)]
        return 0
