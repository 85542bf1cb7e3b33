#include "tunnel.h"

#include <string.h>

#include "esp.h"

enum { IP4_TYPE = 0x0800, IP6_TYPE = 0x86dd, MPLS_TYPE = 0x8847, MPLS_MULTICAST = 0x8848, ETHERNET_TYPE = 0x6558,
       PPP_TYPE = 0x880b, WCCP_TYPE = 0x883e, ERSPAN_TYPE = 0x88be, ERSPAN3_TYPE = 0x22eb };
enum { L_ETHERNET = 1, L_PPP = 9, L_MPLS = 219 }; /* link types: see link.c */
enum { IPV4 = 4, UDP = 17, IPV6 = 41, GRE = 47, ESP = 50, MPLS_IN_IP = 137 };
enum { L2TP_PORT = 1701, GTP_PORT = 2152, TEREDO_PORT = 3544, ESP_PORT = 4500, VXLAN_PORT = 4789, GENEVE_PORT = 6081,
       MPLS_PORT = 6635, OLD_VXLAN_PORT = 8472 };

const char *ps_tunnel_name(int kind)
{
    static const char *const names[PS_TUNNELS] = {
        [PS_T_4IN4] = "4in4", [PS_T_6IN4] = "6in4", [PS_T_4IN6] = "4in6", [PS_T_6IN6] = "6in6", [PS_T_GRE] = "gre",
        [PS_T_NVGRE] = "nvgre", [PS_T_PPTP] = "pptp", [PS_T_WCCP] = "wccp", [PS_T_ERSPAN] = "erspan",
        [PS_T_MPLS_IP] = "mpls-in-ip", [PS_T_ESP] = "esp", [PS_T_VXLAN] = "vxlan", [PS_T_GENEVE] = "geneve",
        [PS_T_GTP] = "gtp", [PS_T_TEREDO] = "teredo", [PS_T_MPLS_UDP] = "mpls-in-udp", [PS_T_L2TP] = "l2tp",
        [PS_T_PSEUDOWIRE] = "pseudowire",
    };
    return kind >= 0 && kind < PS_TUNNELS ? names[kind] : "";
}

/* Whether both directions of a flow have the same identifier, and it tells apart networks that use the same addresses:
 * such a one belongs into the key. TEIDs, SPIs, calls and sessions of L2TP are each direction's own. */
static int tells_networks_apart(int kind)
{
    return kind == PS_T_GRE || kind == PS_T_NVGRE || kind == PS_T_ERSPAN || kind == PS_T_VXLAN || kind == PS_T_GENEVE;
}

/* What looking into something came to. */
enum found {
    OPEN = 0,
    OTHER, /* no tunnel, or nothing of IP in it, or nothing that can be read */
    CUT,   /* not captured as far as that */
    BAD    /* malformed */
};

/* What is still to be looked at. */
struct rest {
    const uint8_t *p;
    uint32_t at, end; /* captured from here to there */
    uint32_t wire;    /* so many bytes were sent from `at` on, those that were captured included */
    int part;         /* they are the begin of something that goes on elsewhere: a first fragment, a cut mirror */
};

struct inside {
    struct ps_tunnel tunnel;
    struct ps_dec dec; /* status PS_NOT_IP: what MPLS labels, which may be a pseudo-wire: from l3 on, `size` captured */
};

static enum found has(const struct rest *r, uint32_t n)
{
    if (n > r->wire)
        return r->part ? CUT : BAD;
    return n > r->end - r->at ? CUT : OPEN;
}

/* Goes on by so many bytes, which are there. */
static void pass(struct rest *r, uint32_t n)
{
    r->at += n;
    r->wire -= n;
}

/* There are so many bytes at most. */
static void limit(struct rest *r, uint32_t n)
{
    if (n < r->wire)
        r->wire = n;
    if (r->wire < r->end - r->at)
        r->end = r->at + r->wire;
}

#define NEED(n) do { enum found is = has(r, (n)); if (is != OPEN) return is; } while (0)
/* Where only a port number makes us look: what is too short is something else. */
#define NEED_UDP(n) do { enum found is = has(r, (n)); if (is != OPEN) return is == BAD ? OTHER : is; } while (0)

static void name(struct inside *in, int kind)
{
    in->tunnel.kind = (uint8_t)kind;
    in->tunnel.named = 0;
    in->tunnel.id = 0;
}

static void identify(struct inside *in, int kind, uint32_t id)
{
    name(in, kind);
    in->tunnel.named = 1;
    in->tunnel.id = id;
}

/* An IP packet. It may be shorter than what it is in, as behind padding. */
static enum found packet(const struct rest *r, uint16_t type, struct inside *in)
{
    uint16_t vlan = in->dec.vlan;
    memset(&in->dec, 0, sizeof in->dec);
    in->dec.vlan = vlan;
    in->dec.ethertype = type;
    ps_decode_packet(r->p, r->at, r->end - r->at, r->wire, &in->dec);
    if (in->dec.status == PS_TRUNCATED)
        return r->end - r->at < r->wire || r->part ? CUT : BAD;
    if (in->dec.status != PS_OK || (in->dec.ip_len > r->wire && !r->part))
        return BAD;
    return OPEN;
}

/* IP, of which the first octet tells the version; or something else. */
static enum found raw(const struct rest *r, struct inside *in)
{
    if (r->at >= r->end)
        return r->wire ? CUT : OTHER;
    uint8_t version = r->p[r->at] >> 4;
    return version == 4 ? packet(r, IP4_TYPE, in) : version == 6 ? packet(r, IP6_TYPE, in) : OTHER;
}

/* A frame of a link layer. */
static enum found frame(struct rest *r, int dlt, struct inside *in)
{
    struct ps_tags tags;
    memset(&in->dec, 0, sizeof in->dec);
    int64_t at = ps_link_layer(r->p + r->at, r->end - r->at, dlt, &in->dec, &tags);
    if (at < 0)
        return at != PS_LINK_CUT ? BAD : r->end - r->at < r->wire || r->part ? CUT : BAD;
    if (in->dec.ethertype == IP4_TYPE || in->dec.ethertype == IP6_TYPE) {
        pass(r, (uint32_t)at);
        return packet(r, in->dec.ethertype, in);
    }
    if (tags.bottom != at || !at)
        return OTHER;
    pass(r, (uint32_t)at);
    in->dec.status = PS_NOT_IP;
    in->dec.l3 = r->at;
    in->dec.size = r->end - r->at;
    in->dec.ip_len = r->wire;
    return OPEN;
}

/* By an ethertype, as GRE and Geneve have it. */
static enum found typed(struct rest *r, uint16_t type, struct inside *in)
{
    switch (type) {
    case IP4_TYPE: case IP6_TYPE: return packet(r, type, in);
    case ETHERNET_TYPE: return frame(r, L_ETHERNET, in);
    case MPLS_TYPE: case MPLS_MULTICAST: return frame(r, L_MPLS, in);
    case PPP_TYPE: return frame(r, L_PPP, in);
    default: return OTHER;
    }
}

/* Ethernet mirrored by switches, as draft-foschiano-erspan-03 and Cisco describe it. Mirrors may cut their packets. */
static enum found erspan(struct rest *r, int numbered, int third, struct inside *in)
{
    r->part = 1;
    if (!third && !numbered) { /* type I: nothing but GRE's first four octets */
        name(in, PS_T_ERSPAN);
        return frame(r, L_ETHERNET, in);
    }
    NEED(third ? 12 : 8);
    const uint8_t *h = r->p + r->at;
    if (h[0] >> 4 != (third ? 2 : 1))
        return BAD;
    identify(in, PS_T_ERSPAN, ps_be16(h + 2) & 0x3ff);
    if (!third) {
        pass(r, 8);
        return frame(r, L_ETHERNET, in);
    }
    uint16_t kind = ps_be16(h + 10);
    NEED(kind & 1 ? 20 : 12); /* what is particular to a platform */
    pass(r, kind & 1 ? 20 : 12);
    switch (kind >> 10 & 31) {
    case 0: return frame(r, L_ETHERNET, in);
    case 2: return raw(r, in);
    default: return OTHER;
    }
}

/* Version 1 of GRE: PPTP. RFC 2637 */
static enum found pptp(struct rest *r, uint16_t flags, struct inside *in)
{
    NEED(8);
    const uint8_t *h = r->p + r->at;
    uint32_t size = 8 + (flags & 0x1000 ? 4 : 0) + (flags & 0x80 ? 4 : 0);
    uint32_t payload = ps_be16(h + 4);
    if (!(flags & 0x2000) || ps_be16(h + 2) != PPP_TYPE)
        return BAD;
    identify(in, PS_T_PPTP, ps_be16(h + 6));
    NEED(size);
    pass(r, size);
    if (!payload || !(flags & 0x1000)) /* acknowledgement alone */
        return OTHER;
    limit(r, payload);
    return frame(r, L_PPP, in);
}

/* RFC 2784, RFC 2890. What its checksum says is not looked at. */
static enum found gre(struct rest *r, struct inside *in)
{
    NEED(4);
    const uint8_t *h = r->p + r->at;
    uint16_t flags = ps_be16(h), type = ps_be16(h + 2);
    uint32_t key = flags & 0x8000 ? 8 : 4, size = key;
    if ((flags & 7) == 1)
        return pptp(r, flags, in);
    if (flags & 0x4c07) /* another version; routing, which RFC 2784 has receivers discard */
        return BAD;
    size += flags & 0x2000 ? 4 : 0;
    size += flags & 0x1000 ? 4 : 0;
    NEED(size);
    name(in, PS_T_GRE);
    if (flags & 0x2000)
        identify(in, PS_T_GRE, ps_be32(h + key));
    pass(r, size);
    if (type == ERSPAN_TYPE || type == ERSPAN3_TYPE)
        return erspan(r, flags & 0x1000, type == ERSPAN3_TYPE, in);
    /* NVGRE is Ethernet in GRE with nothing but a key, of which the last octet is a flow's, not the network's; a network
     * has no number below 4096: RFC 7637 */
    if (type == ETHERNET_TYPE && flags == 0x2000 && in->tunnel.id >= 4096u << 8)
        identify(in, PS_T_NVGRE, in->tunnel.id >> 8);
    if (type != WCCP_TYPE)
        return typed(r, type, in);
    name(in, PS_T_WCCP); /* its first version has the packet, its second four octets before that */
    enum found first = raw(r, in);
    if (first == OPEN || first == CUT)
        return first;
    NEED(4);
    pass(r, 4);
    return raw(r, in);
}

/* RFC 7348 */
static enum found vxlan(struct rest *r, struct inside *in)
{
    NEED_UDP(8);
    if (!(r->p[r->at] & 8))
        return OTHER;
    identify(in, PS_T_VXLAN, ps_be32(r->p + r->at + 4) >> 8);
    pass(r, 8);
    return frame(r, L_ETHERNET, in);
}

/* RFC 8926 */
static enum found geneve(struct rest *r, struct inside *in)
{
    NEED_UDP(8);
    const uint8_t *h = r->p + r->at;
    uint32_t size = 8 + (h[0] & 63u) * 4;
    if (h[0] >> 6 || h[1] & 0x80) /* another version; a message for who ends the tunnel */
        return OTHER;
    identify(in, PS_T_GENEVE, ps_be32(h + 4) >> 8);
    if (h[1] & 0x3f || h[7]) /* reserved, and 0 from all who speak it: another protocol */
        NEED_UDP(size);
    NEED(size);
    pass(r, size);
    return typed(r, ps_be16(h + 2), in);
}

/* User data (G-PDU) of GTP version 1: 3GPP TS 29.281 */
static enum found gtp(struct rest *r, struct inside *in)
{
    NEED_UDP(8);
    const uint8_t *h = r->p + r->at;
    uint8_t flags = h[0];
    uint32_t length = ps_be16(h + 2);
    if (flags >> 4 != 3 || h[1] != 255)
        return OTHER;
    identify(in, PS_T_GTP, ps_be32(h + 4));
    pass(r, 8);
    if (length > r->wire && !r->part)
        return BAD;
    limit(r, length);
    if (flags & 7) {
        NEED(4);
        uint8_t next = flags & 4 ? r->p[r->at + 3] : 0;
        pass(r, 4);
        while (next) { /* extension headers */
            NEED(1);
            uint32_t size = r->p[r->at] * 4u;
            if (!size)
                return BAD;
            NEED(size);
            next = r->p[r->at + size - 1];
            pass(r, size);
        }
    }
    return raw(r, in);
}

/* Whether the IP packet that was found goes to the end of what it is in, as far as that is known. */
static int fills(const struct rest *r, const struct inside *in)
{
    return in->dec.ip_len == r->wire || (r->part && in->dec.ip_len > r->wire);
}

/* Whether an address is one that only Teredo has: its prefix, the one before RFC 4380, or link-local to a Teredo server. */
static int is_of_teredo(const uint8_t *address)
{
    uint32_t prefix = ps_be32(address);
    return prefix == 0x20010000 || prefix == 0x3ffe831f || prefix >> 22 == 0xfe80 >> 6;
}

/* RFC 4380. All that tells it from others is the port, and clients of DNS and QUIC may have it: so an IPv6 packet has to
 * fill its place, unless its addresses tell (RFC 6081 puts trailers behind it), and has to be right. */
static enum found teredo(struct rest *r, struct inside *in)
{
    name(in, PS_T_TEREDO);
    NEED_UDP(2);
    if (ps_be16(r->p + r->at) == 1) { /* authentication */
        NEED_UDP(4);
        uint32_t size = 13u + r->p[r->at + 2] + r->p[r->at + 3];
        NEED_UDP(size);
        pass(r, size);
        NEED_UDP(2);
    }
    if (ps_be16(r->p + r->at) == 0) { /* origin */
        NEED_UDP(8);
        pass(r, 8);
    }
    NEED_UDP(1);
    if (r->p[r->at] >> 4 != 6)
        return OTHER;
    enum found is = packet(r, IP6_TYPE, in);
    if (is != OPEN)
        return is == BAD ? OTHER : is;
    const uint8_t *net = r->p + in->dec.l3;
    if (is_of_teredo(net + 8) || is_of_teredo(net + 24))
        return OPEN;
    return !in->dec.reason && fills(r, in) ? OPEN : OTHER;
}

/* RFC 2661: data of version 2 */
static enum found l2tp(struct rest *r, struct inside *in)
{
    NEED_UDP(6);
    const uint8_t *h = r->p + r->at;
    uint16_t flags = ps_be16(h);
    if (flags & 0x8000 || (flags & 15) != 2) /* control; version 3, or what was before it */
        return OTHER;
    uint32_t ids = flags & 0x4000 ? 4 : 2, size = ids + 4 + (flags & 0x0800 ? 4 : 0);
    NEED_UDP(size);
    if (flags & 0x4000) {
        if (ps_be16(h + 2) > r->wire && !r->part)
            return OTHER;
        limit(r, ps_be16(h + 2));
    }
    identify(in, PS_T_L2TP, ps_be32(h + ids));
    if (flags & 0x0200) {
        NEED_UDP(size + 2);
        size += 2u + ps_be16(h + size);
    }
    NEED_UDP(size);
    pass(r, size);
    return frame(r, L_PPP, in);
}

/* RFC 4303 without encryption. Tunnel mode or transport mode. */
static enum found esp(struct rest *r, const struct ps_dec *dec, struct inside *in)
{
    uint32_t body, end;
    if (dec->cut || r->part || r->end - r->at != r->wire)
        return OTHER; /* what tells whether it is encrypted stands at the end */
    int next = ps_null_esp(r->p, r->at, r->end, dec, &body, &end);
    if (next < 0)
        return OTHER;
    identify(in, PS_T_ESP, ps_be32(r->p + r->at));
    if (next == IPV4 || next == IPV6) {
        struct rest inner = {r->p, body, end, end - body, 0};
        return packet(&inner, next == IPV4 ? IP4_TYPE : IP6_TYPE, in);
    }
    struct ps_ip ip = {.l4 = body - dec->l3, .ip_len = end - dec->l3, .version = dec->version, .proto = (uint8_t)next};
    in->dec = *dec; /* addresses are those outside */
    in->dec.proto = (uint8_t)next;
    in->dec.size = end - dec->l3;
    ps_decode_transport(r->p + dec->l3, &ip, &in->dec);
    return OPEN;
}

/* RFC 7510. One in eight packets of another protocol begins as labelled IP does: see teredo(). */
static enum found mpls_in_udp(struct rest *r, struct inside *in)
{
    name(in, PS_T_MPLS_UDP);
    NEED_UDP(4);
    enum found is = frame(r, L_MPLS, in);
    return is == BAD || (is == OPEN && in->dec.status == PS_OK && !fills(r, in)) ? OTHER : is;
}

static enum found udp(struct rest *r, const struct ps_dec *dec, struct inside *in)
{
    if (!dec->l4_whole)
        return OTHER;
    const uint8_t *h = r->p + dec->l4;
    uint16_t from = ps_be16(h), to = ps_be16(h + 2), length = ps_be16(h + 4);
    pass(r, 8);
    if (length >= 8)
        limit(r, length - 8u);
    switch (to) { /* the source is any port, in both directions */
    case VXLAN_PORT: case OLD_VXLAN_PORT: return vxlan(r, in);
    case GENEVE_PORT: return geneve(r, in);
    case GTP_PORT: return gtp(r, in);
    case MPLS_PORT: return mpls_in_udp(r, in);
    }
    if (to == TEREDO_PORT || from == TEREDO_PORT)
        return teredo(r, in);
    if (to == L2TP_PORT || from == L2TP_PORT)
        return l2tp(r, in);
    if (to == ESP_PORT || from == ESP_PORT) /* RFC 3948 */
        return esp(r, dec, in);
    return OTHER;
}

/* Whether a tunnel may be over this protocol: see tunnel(). */
static int carries(uint8_t proto)
{
    return proto == UDP || proto == IPV4 || proto == IPV6 || proto == GRE || proto == ESP || proto == MPLS_IN_IP;
}

static enum found tunnel(const uint8_t *p, const struct ps_dec *dec, struct inside *in)
{
    struct rest r = {p, dec->l4, dec->l3 + dec->size, dec->l4_len, dec->more};
    if (dec->fragment || dec->quote || dec->reason || !dec->l4 || r.at > r.end)
        return OTHER;
    in->tunnel.version = dec->version;
    memcpy(in->tunnel.ends, p + dec->l3 + (dec->version == 4 ? 12 : 8), dec->version == 4 ? 8 : 32);
    in->dec.vlan = dec->vlan;
    switch (dec->proto) {
    case IPV4:
        name(in, dec->version == 4 ? PS_T_4IN4 : PS_T_4IN6);
        return packet(&r, IP4_TYPE, in);
    case IPV6:
        name(in, dec->version == 4 ? PS_T_6IN4 : PS_T_6IN6);
        return packet(&r, IP6_TYPE, in);
    case GRE: return gre(&r, in);
    case ESP: return esp(&r, dec, in);
    case UDP: return udp(&r, dec, in);
    case MPLS_IN_IP: /* RFC 4023 */
        name(in, PS_T_MPLS_IP);
        return frame(&r, L_MPLS, in);
    default: return OTHER;
    }
}

/* Ethernet behind MPLS labels, with or without a control word: RFC 4448. Nothing says so but what it looks like. */
static enum found pseudowire(const uint8_t *p, const struct ps_dec *dec, struct inside *in)
{
    uint32_t word = dec->size > 4 && p[dec->l3] >> 4 == 0 ? 4 : 0;
    for (;; word = 0) {
        struct rest r = {p, dec->l3 + word, dec->l3 + dec->size, dec->ip_len - word, 0};
        name(in, PS_T_PSEUDOWIRE);
        if (frame(&r, L_ETHERNET, in) == OPEN && in->dec.status == PS_OK && ps_ip_right(p + in->dec.l3, &in->dec))
            return OPEN;
        if (!word)
            return OTHER;
    }
}

void ps_decapsulate(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, struct ps_dec *dec,
                    struct ps_stack *stack)
{
    if (stack)
        stack->depth = 0;
    if (dec->status == PS_OK && !carries(dec->proto))
        return;
    struct ps_dec now = *dec;
    uint64_t networks = 0;
    enum found is = OPEN;
    uint32_t depth = 0;
    if (dec->status == PS_NOT_IP && !dec->reason) {
        struct rest r = {p, 0, caplen, wire_len > caplen ? wire_len : caplen, 0};
        struct inside labelled;
        if (frame(&r, dlt, &labelled) != OPEN)
            return;
        now = labelled.dec;
    } else if (dec->status != PS_OK) {
        return;
    }
    uint16_t vlan = now.vlan;
    while (depth < PS_DEPTH) {
        struct inside in;
        memset(&in.tunnel, 0, sizeof in.tunnel);
        is = now.status == PS_OK ? tunnel(p, &now, &in) : pseudowire(p, &now, &in);
        if (is != OPEN)
            break;
        networks = ps_hash_more(networks, (uint64_t)(in.tunnel.kind + 1) << 33 | (uint64_t)in.tunnel.named << 32 |
                                (tells_networks_apart(in.tunnel.kind) ? in.tunnel.id : 0));
        if (stack)
            stack->at[depth] = in.tunnel;
        depth++;
        now = in.dec;
        if (now.status != PS_OK)
            continue;
        now.late = dec->late; /* these are of the packet as it came, whatever is in it */
        now.more_packets = dec->more_packets;
        now.more_octets = dec->more_octets;
        now.vlan = vlan;
        now.tunnelled = 1;
        *dec = now;
        memcpy(dec->key.tunnel, &networks, sizeof dec->key.tunnel);
        dec->hash = ps_hash_more(dec->hash, networks);
        if (stack)
            stack->depth = depth;
    }
    if (dec->status == PS_OK && !dec->reason && (is == BAD || is == CUT))
        dec->reason = is == BAD ? PS_R_TUNNEL : PS_R_TUNNEL_CUT;
}
