/* Bounds-checked decoding of captured packets, and the flow key. Pure: bytes in, struct out; nothing is allocated. */
#ifndef PATHSPIDER_DECODE_H
#define PATHSPIDER_DECODE_H

#include <stddef.h>
#include <stdint.h>

enum ps_status {
    PS_OK = 0,
    PS_NOT_IP = 1,    /* ARP, LLDP, ... */
    PS_TRUNCATED = 2, /* the capture ends inside the link layer or the fixed IP header */
    PS_MALFORMED = 3  /* claims to be IP, but its header contradicts itself */
};

/* What is wrong with a packet, or with its transport header where the status is PS_OK. In words: ps_reason(). */
enum ps_reason {
    PS_R_NONE = 0,
    PS_R_NEW_LINK,   /* not IP as far as we can tell: a link type that we do not know */
    PS_R_LINK,
    PS_R_VERSION,
    PS_R_HEADER,
    PS_R_LENGTH,
    PS_R_BEYOND,
    PS_R_OPTION,
    PS_R_AH,
    PS_R_JUMBO,
    PS_R_EXTENSION,
    PS_R_FRAGMENT,
    PS_R_TRANSPORT,
    PS_R_OFFSET,
    PS_R_TCP_OPTION,
    PS_R_UDP_LENGTH,
    PS_R_TUNNEL,     /* of the tunnel that the packet is: it belongs to the tunnel's own flow */
    PS_R_TUNNEL_CUT, /* the same; nothing is wrong with it, but the capture ends before what is in it can be told */
    PS_R_COVERAGE,
    PS_R_DCCP_OFFSET,
    PS_R_CHUNK,
    PS_R_QUOTE,
    PS_REASONS
};

const char *ps_reason(int reason);

/* 1 where a fragment cannot be one: without content; not the last, and of a length that the next offset cannot name; or it
 * ends behind octet 65,535 of its packet. `before`: octets of headers that count among these. RFC 791, RFC 8200 4.5. */
int ps_bad_fragment(uint32_t offset, uint32_t length, int more, uint32_t before);

/* What identifies a flow, the same for both directions: the smaller endpoint first. No padding bytes: it is
 * compared and hashed as memory. IPv4 addresses fill the first four bytes of lo and hi. */
struct ps_key {
    uint8_t lo[16], hi[16];
    uint8_t lo_port[2], hi_port[2]; /* network order */
    uint8_t proto;
    uint8_t version;
    uint8_t has_ports; /* 0: port fields mean nothing (ICMP, later fragments, cut headers) */
    uint8_t zero;
    uint8_t tunnel[4];  /* which tunnels the packet was in, see tunnel.h; 0: none, or they are not looked into */
};

struct ps_dec {
    uint64_t hash;
    struct ps_key key;
    uint32_t l3;       /* offset of the IP header in the captured bytes */
    uint32_t l4;       /* offset of the transport header; 0 where there is none to be read */
    uint32_t size;     /* captured bytes of the IP packet, link-layer padding left out */
    uint32_t ip_len;   /* bytes of the IP packet on the wire */
    uint32_t l4_len;   /* bytes on the wire from the transport header on */
    uint16_t ethertype;
    uint16_t vlan;     /* outermost VLAN id; 0xffff without a tag */
    uint8_t status;    /* enum ps_status */
    uint8_t version;   /* 4 or 6 */
    uint8_t proto;     /* the transport protocol, behind extension headers */
    uint8_t l4_whole;  /* the fixed part of the transport header was captured */
    uint8_t fragment;  /* a later fragment: no transport header in it */
    uint8_t cut;       /* fewer bytes captured than the IP header announces */
    uint8_t quote;     /* an ICMP error: the key is that of the packet which it quotes */
    uint8_t dir;       /* 0: travels from lo to hi, 1: from hi to lo */
    uint8_t reason;    /* enum ps_reason */
    uint8_t more : 1;  /* a fragment, and not the last one */
    uint8_t late : 1;  /* a fragment that was held: its time is before that of packets which came already */
    uint8_t tunnelled : 1; /* the packet inside of a tunnel */
    /* Of a packet that was put together: what was on the wire beside one packet of ip_len bytes. */
    uint16_t more_packets;
    uint32_t more_octets;
};

/* Where the transport header of an IP packet is; used for quotations and for objects made from bytes as well. */
struct ps_ip {
    uint32_t l4;      /* offset from the IP header; 0: none */
    uint32_t ip_len;  /* as the header says, or its jumbo payload option; the given length where they say 0 */
    uint8_t version, proto, fragment, status;
    uint8_t more;     /* a fragment follows */
    uint16_t piece;   /* IPv6: offset of the header that makes it a fragment; 0: it is none */
    uint16_t before;  /* and of the octet that names this header */
    uint8_t reason;   /* enum ps_reason */
};

/* `len` bytes of an IP header and what follows it. */
void ps_decode_ip(const uint8_t *p, uint32_t len, uint32_t wire_len, struct ps_ip *out);

/* A captured frame. `dlt` is a link type as in capture files or libpcap's DLT. */
void ps_decode(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, struct ps_dec *out);

/* The IP packet at `l3` of a frame, of which `len` bytes were captured and `wire` were sent; `out` is all 0 but for what
 * the link layer told, its ethertype included. */
void ps_decode_packet(const uint8_t *p, uint32_t l3, uint32_t len, uint32_t wire, struct ps_dec *out);

/* The second half of that, for a packet whose transport header is elsewhere: from `ip`, its ports, key and hash. */
void ps_decode_transport(const uint8_t *net, const struct ps_ip *ip, struct ps_dec *out);

/* 1 where ps_decode() knows the link type. */
int ps_known_link(int dlt);

/* Length of the fixed header of a transport protocol; 0 for those we do not look into. */
uint32_t ps_fixed_len(uint8_t proto);

/* 1 where a transport protocol's header begins with two ports that tell flows apart. */
int ps_has_ports(uint8_t proto);

/* 1 for ICMP types that quote the packet they complain about. RFC 792, RFC 4443. */
int ps_icmp_quotes(uint8_t version, uint8_t type);

/* The seed of the flow hash: random, so that nobody can aim at one bucket. */
void ps_seed(uint64_t seed);
uint64_t ps_hash(const struct ps_key *key);
/* A hash of what was hashed and one more value. */
uint64_t ps_hash_more(uint64_t hash, uint64_t value);

static inline uint16_t ps_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t ps_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
