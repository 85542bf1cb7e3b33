#include "esp.h"

enum { ICMP = 1, IPV4 = 4, TCP = 6, UDP = 17, IPV6 = 41, ICMP6 = 58 };

/* The Internet checksum's sum (RFC 1071) of some bytes and of `total`. */
static uint32_t sum(const uint8_t *p, uint32_t len, uint32_t total)
{
    uint64_t all = total;
    for (uint32_t i = 0; i + 1 < len; i += 2)
        all += ps_be16(p + i);
    if (len & 1)
        all += (uint32_t)p[len - 1] << 8;
    while (all >> 16)
        all = (all & 0xffff) + (all >> 16);
    return (uint32_t)all;
}

int ps_ip_right(const uint8_t *net, const struct ps_dec *dec)
{
    uint32_t header = (net[0] & 15u) * 4;
    return dec->version == 6 || (header <= dec->size && sum(net, header, 0) == 0xffff);
}

/* Whether a transport header's checksum is there and right, and the header is one that somebody sends. `net` is the IP
 * header with its addresses. */
static int transport_right(const uint8_t *net, uint8_t version, uint8_t proto, const uint8_t *p, uint32_t len)
{
    uint32_t pseudo = sum(net + (version == 4 ? 12 : 8), version == 4 ? 8 : 32, 0) + proto + len;
    switch (proto) {
    case TCP:
        return len >= 20 && (p[12] >> 4) * 4u >= 20 && (p[12] >> 4) * 4u <= len && !(p[12] & 0x0e) &&
               sum(p, len, pseudo) == 0xffff;
    case UDP:
        return len >= 8 && ps_be16(p + 4) == len && ps_be16(p + 6) && sum(p, len, pseudo) == 0xffff;
    case ICMP:
        return version == 4 && len >= 8 && p[0] <= 18 && p[1] <= 15 && sum(p, len, 0) == 0xffff;
    case ICMP6:
        return version == 6 && len >= 8 && (p[0] & 0x7f) < 40 && p[1] <= 7 && sum(p, len, pseudo) == 0xffff;
    default:
        return 0;
    }
}

/* Whether the IP packet fills its place, and a checksum is right: IPv4's, or where there is none a transport header's. */
static int packet_right(const uint8_t *net, uint32_t len, uint8_t version)
{
    struct ps_ip ip;
    ps_decode_ip(net, len, len, &ip);
    if (ip.status != PS_OK || ip.reason || ip.version != version)
        return 0;
    if (version == 4)
        return ps_be16(net + 2) == len && sum(net, (net[0] & 15u) * 4, 0) == 0xffff;
    return ps_be16(net + 4) + 40u == len && ip.l4 && !ip.more && !ip.fragment &&
           transport_right(net, 6, ip.proto, net + ip.l4, len - ip.l4);
}

int ps_null_esp(const uint8_t *p, uint32_t at, uint32_t end, const struct ps_dec *dec, uint32_t *body, uint32_t *to)
{
    /* Octets of the initialization vector and of the integrity check value: what RFC 5879 has for algorithms without
     * encryption. Without a check value, where AH has it. */
    static const uint8_t forms[][2] = {{0, 12}, {0, 16}, {8, 16}, {0, 24}, {0, 32}, {0, 20}, {0, 0}};
    const uint8_t *net = p + dec->l3;
    if (end - at < 10 || ps_be32(p + at) < 256) /* numbers that no security association has */
        return -1;
    for (unsigned form = 0; form < sizeof forms / sizeof forms[0]; form++) {
        uint32_t first = 8u + forms[form][0], last = 2u + forms[form][1];
        if (end - at < first + last)
            continue;
        uint32_t trailer = end - last, begin = at + first, padding = p[trailer], right = 1;
        uint8_t next = p[trailer + 1];
        if (padding > trailer - begin || (trailer + 2 - begin) % 4)
            continue;
        for (uint32_t i = 0; i < padding && right; i++)
            right = p[trailer - padding + i] == i + 1;
        if (!right)
            continue;
        *body = begin;
        *to = trailer - padding;
        if (next == IPV4 || next == IPV6)
            right = packet_right(p + begin, *to - begin, next == IPV4 ? 4 : 6);
        else
            right = transport_right(net, dec->version, next, p + begin, *to - begin);
        if (right)
            return next;
    }
    return -1;
}
