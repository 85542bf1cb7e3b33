#include "link.h"

/* Numbers of link types are those of https://www.tcpdump.org/linktypes.html; libpcap's DLTs, where they differ, too. */
enum {
    L_NULL = 0, L_ETHERNET = 1, L_TOKEN_RING = 6, L_SLIP = 8, L_PPP = 9, L_FDDI = 10, D_ATM_RFC1483 = 11, D_RAW = 12,
    D_RAW_OPENBSD = 14, D_ATM_CLIP = 19, L_PPP_HDLC = 50, L_PPP_ETHER = 51, L_ATM_RFC1483 = 100, L_RAW = 101,
    L_C_HDLC = 104, L_IEEE802_11 = 105, L_ATM_CLIP = 106, L_FRELAY = 107, L_LOOP = 108, L_ENC = 109, L_LINUX_SLL = 113,
    L_PFLOG = 117, L_PRISM = 119, L_IP_OVER_FC = 122, L_SUNATM = 123, L_RADIOTAP = 127, L_APPLE_1394 = 138, L_AVS = 163,
    L_PPP_PPPD = 166, L_JUNIPER_PPPOE = 167, L_JUNIPER_PPPOE_ATM = 168, L_JUNIPER_ETHER = 178, L_JUNIPER_PPP = 179,
    L_JUNIPER_FRELAY = 180, L_JUNIPER_CHDLC = 181, L_PPI = 192, L_PPP_WITH_DIR = 204, L_C_HDLC_WITH_DIR = 205,
    L_FRELAY_WITH_DIR = 206, L_MPLS = 219, L_IPV4 = 228, L_IPV6 = 229, L_NFLOG = 239, L_NETANALYZER = 240,
    L_NETANALYZER_TRANSPARENT = 241, L_IPOIB = 242, L_PKTAP = 258, L_LINUX_SLL2 = 276
};

/* What comes next in the frame. */
enum { DONE, LINK, ETHERNET, TYPE, LLC, NLPID, PPP, PPPOE, MPLS, C_HDLC, FRELAY, IEEE802_11, RAW };

enum { IP4_TYPE = 0x0800, IP6_TYPE = 0x86dd, LONGEST_802_3 = 1500, NESTED = 3 };

int ps_known_link(int dlt)
{
    switch (dlt) {
    case L_NULL: case L_ETHERNET: case L_TOKEN_RING: case L_SLIP: case L_PPP: case L_FDDI: case D_ATM_RFC1483:
    case D_RAW: case D_RAW_OPENBSD: case D_ATM_CLIP: case L_PPP_HDLC: case L_PPP_ETHER: case L_ATM_RFC1483:
    case L_RAW: case L_C_HDLC: case L_IEEE802_11: case L_ATM_CLIP: case L_FRELAY: case L_LOOP: case L_ENC:
    case L_LINUX_SLL: case L_PFLOG: case L_PRISM: case L_IP_OVER_FC: case L_SUNATM: case L_RADIOTAP:
    case L_APPLE_1394: case L_AVS: case L_PPP_PPPD: case L_JUNIPER_PPPOE: case L_JUNIPER_PPPOE_ATM:
    case L_JUNIPER_ETHER: case L_JUNIPER_PPP: case L_JUNIPER_FRELAY: case L_JUNIPER_CHDLC: case L_PPI:
    case L_PPP_WITH_DIR: case L_C_HDLC_WITH_DIR: case L_FRELAY_WITH_DIR: case L_MPLS: case L_IPV4: case L_IPV6:
    case L_NFLOG: case L_NETANALYZER: case L_NETANALYZER_TRANSPARENT: case L_IPOIB: case L_PKTAP: case L_LINUX_SLL2:
        return 1;
    default:
        return 0;
    }
}

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }
static uint32_t le32(const uint8_t *p) { return le16(p + 2) << 16 | le16(p); }

/* The ethertype of an address family, as whatever system numbers it: 2 is IPv4 everywhere; IPv6 is 10 on Linux, 23 on
 * Windows, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS. 0: another protocol. */
static uint32_t type_of_family(uint32_t family)
{
    switch (family) {
    case 2: return IP4_TYPE;
    case 10: case 23: case 24: case 28: case 30: return IP6_TYPE;
    default: return 0;
    }
}

/* A family of four octets, in the byte order of who knows whom. */
static uint32_t type_of_family32(const uint8_t *p)
{
    uint32_t family = ps_be32(p);
    return type_of_family(family > 0xffff ? le32(p) : family);
}

static int is_snap(const uint8_t *p, uint32_t len, uint32_t at)
{
    return len >= at + 6 && p[at] == 0xaa && p[at + 1] == 0xaa && p[at + 2] == 3 && p[at + 3] == 0 && p[at + 4] == 0;
}

/* Length of an IEEE 802.11 data frame's header; 0 where the frame carries no data that can be read, PS_LINK_CUT. */
static int64_t header_802_11(const uint8_t *p, uint32_t len)
{
    if (len < 2)
        return PS_LINK_CUT;
    uint8_t kind = p[0], flags = p[1];
    if ((kind & 3) || (kind >> 2 & 3) != 2 || (kind & 0x40)) /* version; data; data without data */
        return 0;
    uint32_t at = (flags & 3) == 3 ? 30 : 24; /* to and from the distribution system: four addresses */
    if (kind & 0x80) { /* QoS */
        uint32_t qos = at;
        at += flags & 0x80 ? 6 : 2; /* and HT control */
        if (qos >= len)
            return PS_LINK_CUT;
        if (p[qos] & 0x80) /* A-MSDU: of several packets in one frame, the first */
            at += 14;
    }
    if (!is_snap(p, len, at)) {
        uint32_t padded = (at + 3) & ~3u; /* some cards align what follows */
        if (is_snap(p, len, padded))
            at = padded;
        else if (flags & 0x40) /* encrypted, and not decrypted by who captured it */
            return 0;
    }
    return at <= len ? (int64_t)at : PS_LINK_CUT;
}

/* The payload of an NFLOG message, whose attributes are in the byte order of the host that captured. PS_LINK_BAD. */
static int64_t nflog_payload(const uint8_t *p, uint32_t len)
{
    uint32_t at = 4;
    while (at + 4 <= len) {
        int big = p[at + 3] != 0 && p[at + 2] == 0; /* types are below 256 */
        uint32_t size = big ? ps_be16(p + at) : le16(p + at), type = big ? ps_be16(p + at + 2) : le16(p + at + 2);
        if (type == 9)
            return at + 4;
        if (size < 4)
            return PS_LINK_BAD;
        at += (size + 3) & ~3u;
    }
    return PS_LINK_CUT;
}

#define NEED(n) do { if (len - at < (n)) return PS_LINK_CUT; } while (0)

struct frame {
    const uint8_t *p;
    uint32_t len, at; /* the latter never beyond the former */
    uint32_t type;    /* ethertype of what begins at `at`, if it has one */
    int dlt, nested;
};

/* Passes over what is particular to the frame's link type. What comes next (DONE: nothing of IP), or PS_LINK_*. */
static int first_layer(struct frame *f)
{
    const uint8_t *p = f->p;
    uint32_t len = f->len, at = f->at, type = 0, size;
    int64_t found;
    int layer = TYPE; /* which is what most of these end with */

    switch (f->dlt) {
    case L_ETHERNET:
        layer = ETHERNET;
        break;
    case L_JUNIPER_ETHER: case L_JUNIPER_PPPOE: case L_JUNIPER_PPPOE_ATM: case L_JUNIPER_PPP:
    case L_JUNIPER_FRELAY: case L_JUNIPER_CHDLC: {
        NEED(4);
        if (p[at] != 'M' || p[at + 1] != 'G' || p[at + 2] != 'C')
            return PS_LINK_BAD;
        uint8_t flags = p[at + 3];
        at += 4;
        if (flags & 0x80) { /* extensions */
            NEED(2);
            size = ps_be16(p + at) + 2u;
            NEED(size);
            at += size;
        }
        if (flags & 0x02) { /* captured without its link layer: a family, then the packet */
            NEED(4);
            at += 4;
            layer = RAW;
        } else if (f->dlt == L_JUNIPER_PPPOE_ATM) {
            NEED(2);
            type = ps_be16(p + at);
            at += 2;
        } else {
            layer = f->dlt == L_JUNIPER_PPP ? PPP
                  : f->dlt == L_JUNIPER_FRELAY ? FRELAY
                  : f->dlt == L_JUNIPER_CHDLC ? C_HDLC : ETHERNET;
        }
        break;
    }
    case L_NULL: case L_LOOP:
        NEED(4);
        type = type_of_family32(p + at);
        at += 4;
        break;
    case L_ENC:
        NEED(12);
        type = type_of_family32(p + at);
        at += 12;
        break;
    case L_PFLOG:
        NEED(4);
        type = type_of_family(p[at + 1]);
        size = (p[at] + 3u) & ~3u;
        if (size < 4)
            return PS_LINK_BAD;
        NEED(size);
        at += size;
        break;
    case L_LINUX_SLL: case L_LINUX_SLL2: {
        uint32_t hardware;
        size = f->dlt == L_LINUX_SLL ? 16 : 20;
        NEED(size);
        type = ps_be16(p + at + (f->dlt == L_LINUX_SLL ? 14 : 0));
        hardware = ps_be16(p + at + (f->dlt == L_LINUX_SLL ? 2 : 8));
        at += size;
        if (hardware == 770) { /* of these interfaces the packet's own link layer is there */
            layer = FRELAY;
        } else if (hardware >= 801 && hardware <= 803) {
            f->dlt = hardware == 801 ? L_IEEE802_11 : hardware == 802 ? L_PRISM : L_RADIOTAP;
            layer = LINK;
        } else if (hardware == 824) { /* netlink: the type is a family of its messages */
            return DONE;
        } else if (type == 4) {
            layer = LLC;
        }
        break;
    }
    case L_TOKEN_RING:
        NEED(14);
        if ((p[at + 1] & 0xc0) != 0x40) /* no LLC frame */
            return DONE;
        size = 14;
        if (p[at + 8] & 0x80) { /* source routing */
            NEED(15);
            size += p[at + 14] & 0x1f;
        }
        NEED(size);
        at += size;
        layer = LLC;
        break;
    case L_FDDI:
        NEED(13);
        if ((p[at] & 0x30) != 0x10)
            return DONE;
        at += 13;
        layer = LLC;
        break;
    case L_ATM_RFC1483: case D_ATM_RFC1483:
        layer = LLC;
        break;
    case L_ATM_CLIP: case D_ATM_CLIP:
        layer = is_snap(p, len, at) ? LLC : RAW;
        break;
    case L_SUNATM:
        NEED(4);
        layer = (p[at] & 0x0f) == 2 ? LLC : TYPE;
        at += 4;
        break;
    case L_IP_OVER_FC: /* RFC 2625 */
        NEED(16);
        at += 16;
        layer = LLC;
        break;
    case L_APPLE_1394:
        NEED(18);
        type = ps_be16(p + at + 16);
        at += 18;
        break;
    case L_IPOIB: /* a GRH, then RFC 4391's header */
        NEED(44);
        type = ps_be16(p + at + 40);
        at += 44;
        break;
    case L_SLIP:
        NEED(16);
        at += 16;
        layer = RAW;
        break;
    case L_PPP:
        layer = PPP;
        break;
    case L_PPP_HDLC:
        NEED(1);
        layer = p[at] == 0x0f || p[at] == 0x8f ? C_HDLC : PPP;
        break;
    case L_PPP_PPPD: /* a direction where HDLC has an address */
        if (len - at >= 2 && p[at + 1] == 3)
            at += 2;
        layer = PPP;
        break;
    case L_PPP_WITH_DIR: case L_C_HDLC_WITH_DIR: case L_FRELAY_WITH_DIR:
        NEED(1);
        at++;
        layer = f->dlt == L_PPP_WITH_DIR ? PPP : f->dlt == L_FRELAY_WITH_DIR ? FRELAY : C_HDLC;
        break;
    case L_PPP_ETHER:
        layer = PPPOE;
        break;
    case L_C_HDLC:
        layer = C_HDLC;
        break;
    case L_FRELAY:
        layer = FRELAY;
        break;
    case L_MPLS:
        layer = MPLS;
        break;
    case L_NETANALYZER: case L_NETANALYZER_TRANSPARENT:
        size = f->dlt == L_NETANALYZER ? 4 : 12;
        NEED(size);
        at += size;
        layer = ETHERNET;
        break;
    case L_IEEE802_11:
        layer = IEEE802_11;
        break;
    case L_RADIOTAP:
        NEED(4);
        size = le16(p + at + 2);
        if (size < 8)
            return PS_LINK_BAD;
        NEED(size);
        at += size;
        layer = IEEE802_11;
        break;
    case L_PRISM: case L_AVS: /* octets 4 to 7: a length; Prism's in the byte order of who captured */
        NEED(8);
        size = ps_be32(p + at + 4);
        if (ps_be32(p + at) >> 12 != 0x80211 && size > 0xffff)
            size = le32(p + at + 4);
        if (size < 8)
            return PS_LINK_BAD;
        NEED(size);
        at += size;
        layer = IEEE802_11;
        break;
    case L_PPI: case L_PKTAP: { /* a header with its length, and the link type of what follows */
        uint32_t place = f->dlt == L_PPI ? 4 : 8;
        NEED(place + 4);
        size = f->dlt == L_PPI ? le16(p + at + 2) : le32(p + at);
        if (size < place + 4 || ++f->nested > NESTED)
            return PS_LINK_BAD;
        NEED(size);
        place = le32(p + at + place);
        if (place > 0xffff || !ps_known_link((int)place))
            return DONE;
        f->dlt = (int)place;
        at += size;
        layer = LINK;
        break;
    }
    case L_NFLOG:
        NEED(4);
        type = type_of_family(p[at]);
        found = nflog_payload(p + at, len - at);
        if (found < 0)
            return found;
        at += (uint32_t)found;
        break;
    case D_RAW: case D_RAW_OPENBSD: case L_RAW: case L_IPV4: case L_IPV6:
        layer = RAW;
        break;
    default:
        return PS_LINK_NEW;
    }
    f->at = at;
    f->type = type;
    return layer;
}

int64_t ps_link_layer(const uint8_t *p, uint32_t len, int dlt, struct ps_dec *out, struct ps_tags *tags)
{
    struct frame frame = {p, len, 0, 0, dlt, 0};
    uint32_t at = 0, type = 0, size;
    int lengths = 0; /* the type may be a length of IEEE 802.3 */
    int64_t found;
    int layer = dlt == L_ETHERNET ? ETHERNET : LINK;

    out->vlan = 0xffff;
    if (tags) {
        tags->vlans = tags->labels = 0;
        tags->bottom = 0;
    }
    for (;;) { /* each round moves on, or is the last; but for LINK, which is bounded by itself */
        switch (layer) {
        case ETHERNET:
            NEED(14);
            type = ps_be16(p + at + 12);
            at += 14;
            lengths = 1;
            layer = TYPE;
            break;

        case TYPE:
            switch (type) {
            case IP4_TYPE: case IP6_TYPE:
                out->ethertype = (uint16_t)type;
                return at;
            case 0x8100: case 0x88a8: case 0x9100: case 0x9200: case 0x9300: /* 802.1Q, 802.1ad, and what was before */
                NEED(4);
                if (out->vlan == 0xffff)
                    out->vlan = ps_be16(p + at) & 0xfff;
                if (tags && tags->vlans < PS_TAGS)
                    tags->vlan[tags->vlans++] = ps_be16(p + at) & 0xfff;
                type = ps_be16(p + at + 2);
                at += 4;
                break;
            case 0x88e7: /* 802.1ah: a service tag, then the customer's frame */
                NEED(4);
                at += 4;
                layer = ETHERNET;
                break;
            case 0x8926: case 0x893f: /* VN-tag, 802.1BR */
                size = type == 0x8926 ? 6 : 8;
                NEED(size);
                type = ps_be16(p + at + size - 2);
                at += size;
                break;
            case 0x8847: case 0x8848:
                layer = MPLS;
                break;
            case 0x8864:
                layer = PPPOE;
                break;
            case 0x880b:
                layer = PPP;
                break;
            case 0x8870: /* LLC in a jumbo frame */
                layer = LLC;
                break;
            default:
                if (lengths && type <= LONGEST_802_3) {
                    layer = LLC;
                    break;
                }
                out->ethertype = (uint16_t)type;
                return at;
            }
            break;

        case LLC: /* IEEE 802.2, and SNAP: RFC 1042 */
            NEED(3);
            lengths = 0;
            type = 0;
            layer = TYPE;
            if (p[at] == 0xaa && p[at + 1] == 0xaa && p[at + 2] == 3) {
                NEED(8);
                size = ps_be32(p + at + 2) & 0xffffff; /* whose types they are */
                if (size == 0 || size == 0xf8)
                    type = ps_be16(p + at + 6);
                at += 8;
            } else if (p[at] == 0x06 && p[at + 1] == 0x06 && p[at + 2] == 3) {
                type = IP4_TYPE;
                at += 3;
            } else if (p[at] == 0xfe && p[at + 1] == 0xfe && p[at + 2] == 3) { /* RFC 2684 */
                layer = NLPID;
                at += 3;
            }
            break;

        case NLPID: /* RFC 2427 */
            NEED(1);
            if (p[at] == 0) { /* padding */
                at++;
                NEED(1);
            }
            lengths = 0;
            type = 0;
            layer = TYPE;
            switch (p[at++]) {
            case 0xcc:
                type = IP4_TYPE;
                break;
            case 0x8e:
                type = IP6_TYPE;
                break;
            case 0xcf:
                layer = PPP;
                break;
            case 0x80: /* SNAP */
                NEED(5);
                if (p[at] == 0 && p[at + 1] == 0 && p[at + 2] == 0)
                    type = ps_be16(p + at + 3);
                at += 5;
                break;
            }
            break;

        case FRELAY: /* an address of two to four octets, then RFC 2427's, or Cisco's, which is a type */
            do {
                NEED(1);
            } while (!(p[at++] & 1));
            NEED(2);
            if (p[at] == 3) {
                at++;
                layer = NLPID;
            } else {
                type = ps_be16(p + at);
                at += 2;
                lengths = 0;
                layer = TYPE;
            }
            break;

        case PPPOE: /* RFC 2516 */
            NEED(6);
            if (p[at] != 0x11 || p[at + 1] != 0) /* another version; discovery */
                return at;
            at += 6;
            layer = PPP;
            break;

        case PPP: /* RFC 1661, with and without what HDLC puts before it; the protocol may be compressed */
            if (len - at >= 2 && p[at] == 0xff && p[at + 1] == 3)
                at += 2;
            NEED(1);
            if (p[at] & 1) {
                type = p[at++];
            } else {
                NEED(2);
                type = ps_be16(p + at);
                at += 2;
            }
            lengths = 0;
            layer = TYPE;
            switch (type) {
            case 0x21:
                type = IP4_TYPE;
                break;
            case 0x57:
                type = IP6_TYPE;
                break;
            case 0x281: case 0x283:
                layer = MPLS;
                break;
            default:
                type = 0;
            }
            break;

        case MPLS: /* RFC 3032; what is in it shows in its first octet: RFC 4928 */
            do {
                NEED(4);
                if (tags && tags->labels < PS_TAGS)
                    tags->label[tags->labels++] = ps_be32(p + at) >> 12;
                at += 4;
            } while (!(p[at - 2] & 1));
            if (tags)
                tags->bottom = at;
            layer = RAW;
            break;

        case C_HDLC:
            NEED(4);
            type = ps_be16(p + at + 2);
            at += 4;
            lengths = 0;
            layer = TYPE;
            break;

        case IEEE802_11:
            found = header_802_11(p + at, len - at);
            if (found < 0)
                return found;
            if (found == 0)
                return at;
            at += (uint32_t)found;
            layer = LLC;
            break;

        case RAW:
            NEED(1);
            out->ethertype = p[at] >> 4 == 4 ? IP4_TYPE : p[at] >> 4 == 6 ? IP6_TYPE : 0;
            return at;

        case LINK:
            frame.at = at;
            layer = first_layer(&frame);
            if (layer < 0)
                return layer;
            at = frame.at;
            type = frame.type;
            break;

        default: /* DONE: not IP */
            return at;
        }
    }
}
