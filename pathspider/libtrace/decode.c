#include "decode.h"

#include <string.h>

#include "link.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, SCTP = 132, AH = 51, DCCP = 33, UDP_LITE = 136 };

const char *ps_reason(int reason)
{
    static const char *const words[PS_REASONS] = {
        [PS_R_NONE] = "",
        [PS_R_NEW_LINK] = "unknown link type",
        [PS_R_LINK] = "link layer with impossible lengths",
        [PS_R_VERSION] = "IP version other than the link layer says",
        [PS_R_HEADER] = "IP header shorter than 20 octets",
        [PS_R_LENGTH] = "IP length shorter than the header",
        [PS_R_BEYOND] = "IP length beyond the frame's end",
        [PS_R_OPTION] = "impossible IP option length",
        [PS_R_AH] = "authentication header beyond the packet's end",
        [PS_R_JUMBO] = "impossible jumbo payload length",
        [PS_R_EXTENSION] = "IPv6 extension header beyond the packet's end",
        [PS_R_FRAGMENT] = "fragment of an impossible length",
        [PS_R_TRANSPORT] = "transport header beyond the packet's end",
        [PS_R_OFFSET] = "impossible TCP data offset",
        [PS_R_TCP_OPTION] = "impossible TCP option length",
        [PS_R_UDP_LENGTH] = "impossible UDP length",
        [PS_R_TUNNEL] = "malformed tunnel header, or packet in a tunnel",
        [PS_R_TUNNEL_CUT] = "",
        [PS_R_COVERAGE] = "impossible UDP-Lite checksum coverage",
        [PS_R_DCCP_OFFSET] = "impossible DCCP data offset",
        [PS_R_CHUNK] = "impossible SCTP chunk length",
        [PS_R_QUOTE] = "ICMP error without the packet that it is about",
    };
    return reason >= 0 && reason < PS_REASONS ? words[reason] : "";
}

static uint64_t hash_seed = 0x9e3779b97f4a7c15ULL;

void ps_seed(uint64_t seed) { hash_seed = seed | 1; }

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t ps_hash(const struct ps_key *key)
{
    uint64_t words[5];
    memcpy(words, key, sizeof words);
    uint64_t h = hash_seed;
    h = mix(h ^ words[0], 0xa0761d6478bd642fULL ^ words[1]);
    h = mix(h ^ words[2], 0xe7037ed1a0b428dbULL ^ words[3]);
    return mix(h ^ words[4], 0x8ebc6af09c88c6e3ULL ^ hash_seed);
}

uint64_t ps_hash_more(uint64_t hash, uint64_t value)
{
    return mix(hash ^ hash_seed, value ^ 0x589965cc75374cc3ULL);
}

uint32_t ps_fixed_len(uint8_t proto)
{
    switch (proto) {
    case TCP: return 20;
    case UDP: return 8;
    case ICMP: return 8;
    case ICMP6: return 4;
    case SCTP: case DCCP: return 12;
    case UDP_LITE: return 8;
    default: return 0;
    }
}

int ps_icmp_quotes(uint8_t version, uint8_t type)
{
    if (version == 4)
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return type >= 1 && type <= 4;
}

int ps_has_ports(uint8_t proto)
{
    return proto == TCP || proto == UDP || proto == SCTP || proto == DCCP || proto == UDP_LITE;
}

/* Whether one of the options of an IPv4 or TCP header has no length that fits into them. */
static int bad_options(const uint8_t *p, uint32_t len)
{
    if (len == 12 && ps_be32(p) == 0x0101080a) /* the timestamps of most segments */
        return 0;
    for (uint32_t at = 0; at < len && p[at] != 0; at += p[at] == 1 ? 1 : p[at + 1])
        if (p[at] != 1 && (at + 1 >= len || p[at + 1] < 2 || at + p[at + 1] > len))
            return 1;
    return 0;
}

/* The same of an IPv6 header of hop-by-hop or destination options; the first two octets are not theirs. RFC 8200 4.2. */
static int bad_options6(const uint8_t *p, uint32_t len)
{
    for (uint32_t at = 2; at < len; at += p[at] == 0 ? 1 : 2u + p[at + 1])
        if (p[at] != 0 && (at + 1 >= len || at + 2 + p[at + 1] > len))
            return 1;
    return 0;
}

static void decode_ip4(const uint8_t *p, uint32_t len, uint32_t wire_len, struct ps_ip *out)
{
    uint32_t header = (uint32_t)(p[0] & 15) * 4;
    out->version = 4;
    out->ip_len = ps_be16(p + 2);
    if (out->ip_len == 0) /* segmentation offload leaves it to the card */
        out->ip_len = wire_len;
    if (header < 20 || out->ip_len < header) {
        out->status = PS_MALFORMED;
        out->reason = header < 20 ? PS_R_HEADER : PS_R_LENGTH;
        return;
    }
    int whole = len >= out->ip_len;
    if (len > out->ip_len)
        len = out->ip_len;
    if (header > 20 && header <= len && bad_options(p + 20, header - 20))
        out->reason = PS_R_OPTION;
    out->proto = p[9];
    uint32_t place = ps_be16(p + 6) & 0x3fff;
    if (place) {
        out->more = place >> 13;
        out->fragment = (place & 0x1fff) != 0;
        if (ps_bad_fragment((place & 0x1fff) * 8, out->ip_len - header, out->more, header))
            out->reason = PS_R_FRAGMENT;
        if (out->fragment)
            return;
    }
    uint32_t at = header;
    while (out->proto == AH && at + 8 <= len) {
        out->proto = p[at];
        at += ((uint32_t)p[at + 1] + 2) * 4;
    }
    if (whole && !out->more && (out->proto == AH || at > len))
        out->reason = PS_R_AH;
    if (at < len)
        out->l4 = at;
}

int ps_bad_fragment(uint32_t offset, uint32_t length, int more, uint32_t before)
{
    return length == 0 || (more && length % 8) || before + offset + length > 0xffff;
}

/* Length of a jumbogram's payload; 0 where its hop-by-hop header, at 40, does not say it. RFC 2675. */
static uint32_t jumbo_length(const uint8_t *p, uint32_t len)
{
    if (len < 42)
        return 0;
    uint32_t end = 40 + ((uint32_t)p[41] + 1) * 8;
    for (uint32_t at = 42; at < end && at < len; at += p[at] == 0 ? 1 : 2 + (uint32_t)p[at + 1]) {
        if (p[at] == 0) /* padding of one octet */
            continue;
        if (at + 2 > len)
            break;
        if (p[at] == 0xc2 && p[at + 1] == 4 && at + 6 <= len)
            return ps_be32(p + at + 2);
    }
    return 0;
}

static void decode_ip6(const uint8_t *p, uint32_t len, uint32_t wire_len, struct ps_ip *out)
{
    out->version = 6;
    uint32_t payload = ps_be16(p + 4);
    out->ip_len = payload ? 40 + payload : wire_len;
    if (payload == 0 && p[6] == 59) /* really nothing in it */
        out->ip_len = 40;
    if (payload == 0 && p[6] == 0) {
        uint32_t jumbo = jumbo_length(p, len);
        if (jumbo > 0xffff && jumbo <= wire_len - 40)
            out->ip_len = 40 + jumbo;
        else if (jumbo)
            out->reason = PS_R_JUMBO;
    }
    int whole = len >= out->ip_len;
    if (len > out->ip_len)
        len = out->ip_len;
    uint8_t next = p[6];
    uint32_t at = 40, before = 6;
    for (;;) { /* each round moves on by at least 8 bytes, so the packet's length bounds it */
        uint32_t step;
        out->proto = next;
        int extension = next == 0 || next == 43 || next == 60; /* hop-by-hop, routing, destination options */
        if (!extension && next != AH && next != 44)
            break;
        if (at + 8 > len) {
            if (whole && !out->more && !out->reason)
                out->reason = PS_R_EXTENSION;
            return;
        }
        if (extension) {
            step = ((uint32_t)p[at + 1] + 1) * 8;
            if (next != 43 && !out->reason && at + step <= len && bad_options6(p + at, step))
                out->reason = PS_R_OPTION;
        } else if (next == AH) {
            step = ((uint32_t)p[at + 1] + 2) * 4;
        } else {
            uint32_t offset = ps_be16(p + at + 2) & 0xfff8u;
            if ((offset || p[at + 3] & 1) && !out->piece) {
                out->more = p[at + 3] & 1;
                out->piece = (uint16_t)at;
                out->before = (uint16_t)before;
                if (out->reason != PS_R_JUMBO && ps_bad_fragment(offset, out->ip_len - at - 8, out->more, at - 40))
                    out->reason = PS_R_FRAGMENT;
            }
            if (offset) {
                out->proto = p[at];
                out->fragment = 1;
                return;
            }
            step = 8;
        }
        next = p[at];
        before = at;
        at += step;
    }
    if (at > len && whole && !out->more && !out->reason && !ps_fixed_len(next))
        out->reason = PS_R_EXTENSION;
    if (at < len && next != 59)
        out->l4 = at;
}

void ps_decode_ip(const uint8_t *p, uint32_t len, uint32_t wire_len, struct ps_ip *out)
{
    memset(out, 0, sizeof *out);
    if (len < 1) {
        out->status = PS_TRUNCATED;
        return;
    }
    uint8_t version = p[0] >> 4;
    if (version != 4 && version != 6) {
        out->status = PS_MALFORMED;
        out->reason = PS_R_VERSION;
        return;
    }
    if (len < (version == 4 ? 20u : 40u)) {
        out->status = PS_TRUNCATED;
        return;
    }
    if (version == 4)
        decode_ip4(p, len, wire_len, out);
    else
        decode_ip6(p, len, wire_len, out);
}

/* Key of the packet at p; returns its direction. Ports are only read where the capture holds them. */
static uint8_t make_key(const uint8_t *p, uint32_t len, const struct ps_ip *ip, struct ps_key *key)
{
    uint32_t alen = ip->version == 4 ? 4 : 16;
    const uint8_t *src = p + (ip->version == 4 ? 12 : 8), *dst = src + alen;
    static const uint8_t none[4];
    const uint8_t *ports = none;

    memset(key, 0, sizeof *key);
    key->version = ip->version;
    key->proto = ip->proto;
    if (ip->l4 && ip->l4 + 4 <= len && ps_has_ports(ip->proto)) {
        ports = p + ip->l4;
        key->has_ports = 1;
    }
    int order = memcmp(src, dst, alen);
    if (order == 0)
        order = memcmp(ports, ports + 2, 2);
    uint8_t dir = order > 0;
    memcpy(key->lo, dir ? dst : src, alen);
    memcpy(key->hi, dir ? src : dst, alen);
    memcpy(key->lo_port, ports + (dir ? 2 : 0), 2);
    memcpy(key->hi_port, ports + (dir ? 0 : 2), 2);
    return dir;
}

/* What is wrong with a transport header, of which all that matters was captured. */
static uint8_t check_transport(const uint8_t *net, const struct ps_ip *ip, const struct ps_dec *out)
{
    uint32_t fixed = ps_fixed_len(ip->proto);
    const uint8_t *p = net + ip->l4;
    if (!fixed || ip->fragment)
        return PS_R_NONE;
    if (!out->l4_whole)
        return out->cut || ip->more ? PS_R_NONE : PS_R_TRANSPORT;
    if (ip->proto == TCP) {
        uint32_t offset = (uint32_t)(p[12] >> 4) * 4;
        if (offset < 20 || (offset > out->l4_len && !ip->more))
            return PS_R_OFFSET;
        if (offset > 20 && ip->l4 + offset <= out->size && bad_options(p + 20, offset - 20))
            return PS_R_TCP_OPTION;
    } else if (ip->proto == UDP) {
        uint32_t length = ps_be16(p + 4); /* 0: a jumbogram's, or left to the card */
        if (length && (length < 8 || (length > out->l4_len && !ip->more)))
            return PS_R_UDP_LENGTH;
    } else if (ip->proto == UDP_LITE) { /* RFC 3828 3.1 */
        uint32_t coverage = ps_be16(p + 4); /* 0: all of it */
        if (coverage && (coverage < 8 || (coverage > out->l4_len && !ip->more)))
            return PS_R_COVERAGE;
    } else if (ip->proto == DCCP) { /* RFC 4340 5.1 */
        uint32_t offset = (uint32_t)p[4] * 4;
        if (offset < (p[8] & 1 ? 16 : 12) || (offset > out->l4_len && !ip->more))
            return PS_R_DCCP_OFFSET;
    } else if (ip->proto == SCTP) { /* RFC 9260 3.2 */
        for (uint32_t at = 12, step; at < out->l4_len && ip->l4 + at + 4 <= out->size; at += (step + 3) & ~3u) {
            step = ps_be16(p + at + 2);
            if (step < 4 || (at + step > out->l4_len && !ip->more))
                return PS_R_CHUNK;
        }
    }
    return PS_R_NONE;
}

void ps_decode(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, struct ps_dec *out)
{
    memset(out, 0, sizeof *out);
    int64_t l3 = ps_link_layer(p, caplen, dlt, out, NULL);
    if (l3 < 0) {
        out->status = l3 == PS_LINK_CUT ? PS_TRUNCATED : l3 == PS_LINK_BAD ? PS_MALFORMED : PS_NOT_IP;
        out->reason = l3 == PS_LINK_CUT ? PS_R_NONE : l3 == PS_LINK_BAD ? PS_R_LINK : PS_R_NEW_LINK;
        return;
    }
    if (out->ethertype != 0x0800 && out->ethertype != 0x86dd) {
        out->status = PS_NOT_IP;
        return;
    }
    uint32_t len = caplen - (uint32_t)l3, wire = wire_len > (uint32_t)l3 ? wire_len - (uint32_t)l3 : 0;
    ps_decode_packet(p, (uint32_t)l3, len, wire, out);
    if (out->status == PS_OK && !out->reason && out->ip_len > (wire < len ? len : wire))
        out->reason = PS_R_BEYOND; /* of a packet inside of another, the beginning may be all that is there */
}

void ps_decode_packet(const uint8_t *p, uint32_t l3, uint32_t len, uint32_t wire, struct ps_dec *out)
{
    const uint8_t *net = p + l3;
    struct ps_ip ip;
    if (wire < len)
        wire = len;
    ps_decode_ip(net, len, wire, &ip);
    if (ip.status == PS_OK && (ip.version == 4) != (out->ethertype == 0x0800)) {
        ip.status = PS_MALFORMED;
        ip.reason = PS_R_VERSION;
    }
    out->reason = ip.reason;
    if (ip.status != PS_OK) {
        out->status = ip.status;
        return;
    }
    out->l3 = l3;
    out->version = ip.version;
    out->proto = ip.proto;
    out->fragment = ip.fragment;
    out->more = ip.more & 1;
    out->ip_len = ip.ip_len;
    out->size = len < ip.ip_len ? len : ip.ip_len;
    out->cut = len < ip.ip_len;
    ps_decode_transport(net, &ip, out);
}

void ps_decode_transport(const uint8_t *net, const struct ps_ip *ip, struct ps_dec *out)
{
    if (ip->l4) {
        uint32_t fixed = ps_fixed_len(ip->proto);
        out->l4 = out->l3 + ip->l4;
        out->l4_len = ip->ip_len - ip->l4;
        out->l4_whole = fixed && ip->l4 + fixed <= out->size;
    }
    if (!out->reason)
        out->reason = check_transport(net, ip, out);
    if (out->l4_whole && ip->proto == TCP && net[ip->l4 + 12] >> 4 < 5)
        out->l4_whole = 0; /* no TCP: such a header has no place for its own fixed part */
    out->dir = make_key(net, out->size, ip, &out->key);
    if ((ip->proto == ICMP && ip->version == 4) || (ip->proto == ICMP6 && ip->version == 6)) {
        if (out->l4_whole && ps_icmp_quotes(ip->version, net[ip->l4])) {
            const uint8_t *quoted = net + ip->l4 + 8;
            uint32_t qlen = ip->l4 + 8 < out->size ? out->size - ip->l4 - 8 : 0;
            struct ps_ip quote;
            ps_decode_ip(quoted, qlen, qlen, &quote);
            if (quote.status == PS_OK && quote.version == ip->version) {
                /* the error travels against the packet that it quotes */
                out->dir = !make_key(quoted, qlen, &quote, &out->key);
                out->quote = 1;
            } else if (!out->reason && !out->cut && !ip->more) {
                out->reason = PS_R_QUOTE;
            }
        }
    }
    out->hash = ps_hash(&out->key);
}
