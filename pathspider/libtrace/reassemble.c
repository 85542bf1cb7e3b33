#include "reassemble.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define WAIT_4 (30 * SECOND)   /* so long an incomplete packet waits: as Linux; RFC 4963 says why not for longer */
#define WAIT_6 (60 * SECOND)   /* RFC 8200 4.5 */
#define REMEMBERED SECOND      /* so long duplicates of a whole packet's fragments are recognised */
#define LATEST 8000000000000000000ll /* as the flow table has it: later times count as this */

#define BLOCKS 8192            /* of 8 octets: as many as offsets can name */
#define BUCKETS 8192           /* of packets */
#define PIECE_BUCKETS 32768
#define MOST_PIECES 65535      /* of one packet: duplicates count */

enum state { OPEN, REFUSED, WHOLE };
enum list { LIST_4, LIST_6, LIST_WHOLE, LISTS };
enum { TCP = 6, NO_NEXT_HEADER = 59, RAW_IP = 101 };

/* A fragment. It belongs to a packet, or waits to be let go. */
struct piece {
    struct piece *next;        /* of the packet, or of those let go: in the order of arrival */
    struct piece *beside;      /* in the bucket */
    struct packet *of;
    int64_t ts;
    uint32_t caplen, wire_len;
    uint32_t l3, data;         /* where the IP header and the content begin */
    uint32_t start, end;       /* place of the content in the packet's */
    int32_t dlt;
    uint8_t more, twin;        /* twin: a duplicate of one that was there */
    uint8_t bytes[];
};

struct key { /* no padding: compared and hashed as memory */
    uint8_t src[16], dst[16];
    uint32_t id;
    int32_t dlt;
    uint16_t vlan;
    uint8_t proto, version;    /* IPv4 tells packets apart by protocol, too */
    uint32_t zero;
};

struct packet {
    struct packet *chained;    /* in the bucket */
    struct packet *before, *after; /* in its list, the oldest first */
    struct key key;
    uint64_t hash;
    uint64_t since;            /* our clock: when it began, or became whole */
    uint64_t memory;           /* of its pieces */
    struct piece *first, *last;
    struct piece *head;        /* the one with the headers */
    uint32_t pieces;
    uint32_t octets;           /* of their IP packets on the wire */
    uint32_t covered, reach;   /* octets that are there; behind the last of them */
    uint32_t total;            /* that it has; 0: not known yet */
    uint32_t header;           /* octets of the head's headers that the whole packet has, from the IP header on */
    uint16_t before_piece;     /* IPv6: the octet that names what follows these, */
    uint8_t next_header;       /* and what that is */
    uint8_t marks;             /* ECN codepoints that were seen, a bit each */
    uint8_t state, list;
    struct ps_dec dec;         /* of the whole packet */
    uint64_t blocks[BLOCKS / 64]; /* those that are there */
};

struct list_ends {
    struct packet *oldest, *newest;
};

struct ps_reassembly {
    uint64_t seed, octets;
    uint32_t most, packets;
    uint64_t clock;            /* ns; never goes back, and may wrap */
    int64_t raw;               /* the packet time that it stands for */
    int started;
    struct list_ends lists[LISTS];
    struct piece *gone, *gone_last; /* to be let go */
    struct piece *shown;       /* was let go by the last call */
    uint8_t *whole;            /* the packet that became whole last */
    size_t room;
    struct ps_fragments counts;
    struct packet *buckets[BUCKETS];
    struct piece *pieces[PIECE_BUCKETS];
};

#define ADD(x, v) __atomic_store_n(&(x), (x) + (v), __ATOMIC_RELAXED) /* one writer, many readers */

const char *ps_refusal(int reason)
{
    static const char *const words[PS_REFUSALS] = {
        [PS_F_INCOMPLETE] = "incomplete",
        [PS_F_OVERLAP] = "with overlaps",
        [PS_F_LENGTHS] = "of contradictory lengths",
        [PS_F_HEADERS] = "with headers beyond the first fragment",
        [PS_F_ECN] = "with and without ECN",
        [PS_F_CUT] = "cut off in the capture",
        [PS_F_MEMORY] = "for want of memory",
    };
    return reason >= 0 && reason < PS_REFUSALS ? words[reason] : "";
}

struct ps_reassembly *ps_reassembly_new(uint64_t seed, size_t octets, uint32_t packets)
{
    struct ps_reassembly *r = calloc(1, sizeof *r);
    if (r) {
        r->seed = seed | 1;
        r->octets = octets;
        r->most = packets;
    }
    return r;
}

/* ---- buckets and lists ----------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_key(const struct ps_reassembly *r, const struct key *key)
{
    uint64_t words[6];
    memcpy(words, key, sizeof words);
    uint64_t h = r->seed;
    h = mix(h ^ words[0], 0xa0761d6478bd642full ^ words[1]);
    h = mix(h ^ words[2], 0xe7037ed1a0b428dbull ^ words[3]);
    h = mix(h ^ words[4], 0x8ebc6af09c88c6e3ull ^ words[5]);
    return mix(h ^ r->seed, 0x589965cc75374cc3ull);
}

static struct packet *find(const struct ps_reassembly *r, const struct key *key, uint64_t hash)
{
    struct packet *packet = r->buckets[hash % BUCKETS];
    while (packet && (packet->hash != hash || memcmp(&packet->key, key, sizeof *key)))
        packet = packet->chained;
    return packet;
}

static struct piece **bucket_of(struct ps_reassembly *r, const struct packet *packet, uint32_t start)
{
    return &r->pieces[mix(packet->hash ^ start, r->seed ^ 0x1d8e4e27c47d124full) % PIECE_BUCKETS];
}

static void append(struct ps_reassembly *r, struct packet *packet, enum list list)
{
    struct list_ends *ends = &r->lists[list];
    packet->list = list;
    packet->since = r->clock;
    packet->before = ends->newest;
    packet->after = NULL;
    *(ends->newest ? &ends->newest->after : &ends->oldest) = packet;
    ends->newest = packet;
}

static void unlist(struct ps_reassembly *r, struct packet *packet)
{
    struct list_ends *ends = &r->lists[packet->list];
    *(packet->before ? &packet->before->after : &ends->oldest) = packet->after;
    *(packet->after ? &packet->after->before : &ends->newest) = packet->before;
}

/* ---- what is held no longer ------------------------------------------------------------------------------------ */

/* The packet has no pieces any more: they are freed, or go on as they are. */
static void empty(struct ps_reassembly *r, struct packet *packet, int go_on)
{
    struct piece *next;
    for (struct piece *piece = packet->first; piece; piece = next) {
        next = piece->next;
        if (!piece->twin) {
            struct piece **link = bucket_of(r, packet, piece->start);
            while (*link != piece)
                link = &(*link)->beside;
            *link = piece->beside;
        }
        if (!go_on) {
            free(piece);
            continue;
        }
        piece->next = NULL;
        *(r->gone ? &r->gone_last->next : &r->gone) = piece;
        r->gone_last = piece;
    }
    if (packet->state == OPEN)
        ADD(r->counts.held, -(uint64_t)packet->pieces);
    ADD(r->counts.memory, -packet->memory);
    packet->memory = 0; /* its own is given back when it is forgotten */
    packet->first = packet->last = packet->head = NULL;
    packet->pieces = 0;
}

static void forget(struct ps_reassembly *r, struct packet *packet)
{
    struct packet **link = &r->buckets[packet->hash % BUCKETS];
    empty(r, packet, 0);
    while (*link != packet)
        link = &(*link)->chained;
    *link = packet->chained;
    unlist(r, packet);
    free(packet);
    r->packets--;
    ADD(r->counts.memory, -(uint64_t)sizeof *packet);
}

/* It is not put together, and what still comes of it goes on at once: RFC 5722. */
static void refuse(struct ps_reassembly *r, struct packet *packet, enum ps_refused why)
{
    ADD(r->counts.refused[why], 1);
    empty(r, packet, 1);
    packet->state = REFUSED;
}

static void give_up(struct ps_reassembly *r, struct packet *packet, enum ps_refused why)
{
    if (packet->state == OPEN)
        refuse(r, packet, why);
    forget(r, packet);
}

int ps_let_go(struct ps_reassembly *r, struct ps_frame *frame, struct ps_dec *dec)
{
    struct piece *piece = r->gone;
    free(r->shown);
    r->shown = piece;
    if (!piece)
        return 0;
    r->gone = piece->next;
    *frame = (struct ps_frame){piece->ts, piece->bytes, piece->caplen, piece->wire_len, piece->dlt};
    ps_decode(frame->p, frame->caplen, frame->wire_len, frame->dlt, dec);
    dec->late = 1;
    return 1;
}

void ps_reassembly_end(struct ps_reassembly *r)
{
    for (int list = 0; list < LISTS; list++)
        while (r->lists[list].oldest)
            give_up(r, r->lists[list].oldest, PS_F_INCOMPLETE);
}

void ps_reassembly_free(struct ps_reassembly *r)
{
    struct ps_frame frame;
    struct ps_dec dec;
    if (!r)
        return;
    ps_reassembly_end(r);
    while (ps_let_go(r, &frame, &dec))
        continue;
    free(r->whole);
    free(r);
}

/* Moves the clock, as the flow table's: small steps back are reordering, large ones a clock that was set. */
static void tick(struct ps_reassembly *r, int64_t ts)
{
    static const uint64_t wait[LISTS] = {WAIT_4, WAIT_6, REMEMBERED};
    ts = ts < 0 ? 0 : ts > LATEST ? LATEST : ts;
    if (!r->started)
        r->raw = ts;
    r->started = 1;
    int64_t step = ts - r->raw;
    if (step < 0 && step >= -(int64_t)SECOND)
        return;
    r->raw = ts;
    if (step <= 0)
        return;
    r->clock += (uint64_t)step < 2 * WAIT_6 ? (uint64_t)step : 2 * WAIT_6;
    for (int list = 0; list < LISTS; list++)
        while (r->lists[list].oldest && r->clock - r->lists[list].oldest->since >= wait[list])
            give_up(r, r->lists[list].oldest, PS_F_INCOMPLETE);
}

/* Room for so many octets more, and for a packet more where there is none yet; what is whole goes first, then the oldest.
 * 0: only the packet itself could go. */
static int make_room(struct ps_reassembly *r, uint64_t need, const struct packet *packet)
{
    while (r->counts.memory + need > r->octets || (!packet && r->packets >= r->most)) {
        struct packet *oldest = r->lists[LIST_WHOLE].oldest;
        if (!oldest) {
            struct packet *other = r->lists[LIST_6].oldest;
            oldest = r->lists[LIST_4].oldest;
            if (!oldest || (other && r->clock - other->since > r->clock - oldest->since))
                oldest = other;
        }
        if (!oldest || oldest == packet)
            return 0;
        give_up(r, oldest, PS_F_MEMORY);
    }
    return 1;
}

/* ---- fragments ------------------------------------------------------------------------------------------------- */

static struct packet *begin(struct ps_reassembly *r, const struct key *key, uint64_t hash)
{
    struct packet *packet = make_room(r, sizeof *packet, NULL) ? calloc(1, sizeof *packet) : NULL;
    if (!packet)
        return NULL;
    packet->key = *key;
    packet->hash = hash;
    packet->chained = r->buckets[hash % BUCKETS];
    r->buckets[hash % BUCKETS] = packet;
    append(r, packet, key->version == 4 ? LIST_4 : LIST_6);
    r->packets++;
    ADD(r->counts.memory, sizeof *packet);
    return packet;
}

/* The same fragment, if it is there already: place, content and what follows it. RFC 8200 4.5. */
static struct piece *twin_of(struct ps_reassembly *r, const struct packet *packet, const struct piece *one,
                             const uint8_t *content)
{
    struct piece *piece = *bucket_of(r, packet, one->start);
    while (piece && (piece->of != packet || piece->start != one->start))
        piece = piece->beside;
    return piece && piece->end == one->end && piece->more == one->more
           && !memcmp(piece->bytes + piece->data, content, one->end - one->start) ? piece : NULL;
}

static int is_taken(const struct packet *packet, uint32_t start, uint32_t end)
{
    for (uint32_t block = start / 8; block < (end + 7) / 8; block++)
        if (packet->blocks[block / 64] >> (block % 64) & 1)
            return 1;
    return 0;
}

/* Which packet the fragment is of, and which part. */
static void read_fragment(const struct ps_frame *frame, const struct ps_dec *dec, const struct ps_ip *ip, struct key *key,
                          struct piece *one)
{
    const uint8_t *net = frame->p + dec->l3;
    uint32_t alen = dec->version == 4 ? 4 : 16, header;
    memset(key, 0, sizeof *key);
    memcpy(key->src, net + (dec->version == 4 ? 12 : 8), alen);
    memcpy(key->dst, net + (dec->version == 4 ? 16 : 24), alen);
    key->dlt = frame->dlt;
    key->vlan = dec->vlan;
    key->version = dec->version;
    if (dec->version == 4) {
        header = (net[0] & 15u) * 4;
        key->proto = net[9];
        key->id = ps_be16(net + 4);
        one->start = (ps_be16(net + 6) & 0x1fffu) * 8;
    } else {
        header = ip->piece + 8u;
        key->id = ps_be32(net + ip->piece + 4);
        one->start = ps_be16(net + ip->piece + 2) & 0xfff8u;
    }
    one->ts = frame->ts;
    one->caplen = frame->caplen;
    one->wire_len = frame->wire_len;
    one->dlt = frame->dlt;
    one->l3 = dec->l3;
    one->data = dec->l3 + header;
    one->end = one->start + dec->ip_len - header;
    one->more = ip->more;
}

/* Keeps the fragment. 0: there is no room for it. */
static int keep(struct ps_reassembly *r, struct packet *packet, const struct piece *one, const uint8_t *bytes)
{
    size_t size = sizeof *one + one->caplen;
    struct piece *piece = packet->pieces < MOST_PIECES && make_room(r, size, packet) ? malloc(size) : NULL;
    if (!piece)
        return 0;
    *piece = *one;
    memcpy(piece->bytes, bytes, one->caplen);
    piece->next = NULL;
    piece->of = packet;
    *(packet->first ? &packet->last->next : &packet->first) = piece;
    packet->last = piece;
    packet->pieces++;
    packet->memory += size;
    ADD(r->counts.memory, size);
    ADD(r->counts.held, 1);
    if (one->twin)
        return 1;
    struct piece **bucket = bucket_of(r, packet, one->start);
    piece->beside = *bucket;
    *bucket = piece;
    for (uint32_t block = one->start / 8; block < (one->end + 7) / 8; block++)
        packet->blocks[block / 64] |= 1ull << (block % 64);
    packet->covered += one->end - one->start;
    if (one->end > packet->reach)
        packet->reach = one->end;
    if (!one->more)
        packet->total = one->end;
    if (one->start == 0)
        packet->head = piece;
    return 1;
}

/* IPv6: whether all headers, and the fixed part of the transport's, are in the first fragment. RFC 7112. */
static int has_headers(const struct ps_dec *dec, const struct ps_ip *ip)
{
    return ip->l4 ? ip->l4 + ps_fixed_len(ip->proto) <= dec->size : ip->proto == NO_NEXT_HEADER && !dec->fragment;
}

/* Sets 16 bits of an IPv4 header; its checksum is right afterwards if it was before. RFC 1624. */
static void set_word(uint8_t *header, uint32_t at, uint16_t value)
{
    uint32_t sum = (uint16_t)~ps_be16(header + 10) + (uint32_t)(uint16_t)~ps_be16(header + at) + value;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    header[at] = (uint8_t)(value >> 8);
    header[at + 1] = (uint8_t)value;
    header[10] = (uint8_t)(~sum >> 8);
    header[11] = (uint8_t)~sum;
}

/* The headers of a whole packet, as a host's IP would leave them. */
static void mend_headers(const struct packet *packet, uint8_t *net)
{
    int congested = packet->marks >> 3 & 1;
    if (packet->key.version == 4) {
        if (congested)
            set_word(net, 0, (uint16_t)(ps_be16(net) | 3));
        set_word(net, 2, (uint16_t)(packet->header + packet->total));
        set_word(net, 6, ps_be16(net + 6) & 0xc000);
        return;
    }
    uint32_t length = packet->header - 40 + packet->total;
    net[1] |= congested ? 0x30 : 0;
    net[4] = (uint8_t)(length >> 8);
    net[5] = (uint8_t)length;
    net[packet->before_piece] = packet->next_header;
}

/* All of the packet is there: into r->whole. 0: no memory. */
static int join(struct ps_reassembly *r, struct packet *packet, struct ps_frame *frame, struct ps_dec *dec)
{
    const struct piece *head = packet->head;
    uint32_t length = packet->header + packet->total, octets = packet->octets;
    size_t size = (size_t)head->l3 + length;
    if (size > r->room) {
        uint8_t *larger = realloc(r->whole, size);
        if (!larger)
            return 0;
        r->whole = larger;
        r->room = size;
    }
    uint8_t *net = r->whole + head->l3;
    memcpy(r->whole, head->bytes, head->l3 + packet->header);
    for (const struct piece *piece = packet->first; piece; piece = piece->next)
        if (!piece->twin)
            memcpy(net + packet->header + piece->start, piece->bytes + piece->data, piece->end - piece->start);
    mend_headers(packet, net);
    /* The link layer's own lengths are those of a fragment: it is not decoded again. */
    uint16_t ethertype = dec->ethertype, vlan = dec->vlan;
    ps_decode(net, length, length, RAW_IP, dec);
    dec->l3 += head->l3;
    dec->l4 += dec->l4 ? head->l3 : 0;
    dec->ethertype = ethertype;
    dec->vlan = vlan;
    dec->more_packets = (uint16_t)(packet->pieces - 1);
    dec->more_octets = octets > dec->ip_len ? octets - dec->ip_len : 0;
    *frame = (struct ps_frame){frame->ts, r->whole, (uint32_t)size, (uint32_t)size, frame->dlt};
    ADD(r->counts.joined, packet->pieces);
    ADD(r->counts.whole, 1);
    ADD(r->counts.held, -(uint64_t)packet->pieces);
    packet->dec = *dec;
    packet->state = WHOLE;
    unlist(r, packet);
    append(r, packet, LIST_WHOLE);
    return 1;
}

/* A fragment of a packet that is whole already: of the same flow, but no header is read in it again. */
static void come_after(struct ps_reassembly *r, const struct packet *packet, struct ps_dec *dec)
{
    dec->key = packet->dec.key;
    dec->hash = packet->dec.hash;
    dec->dir = packet->dec.dir;
    dec->quote = packet->dec.quote;
    dec->proto = packet->dec.proto;
    dec->l4 = dec->l4_len = 0;
    dec->l4_whole = 0;
    dec->fragment = 1;
    dec->reason = PS_R_NONE;
    ADD(r->counts.joined, 1);
}

/* What is wrong with a packet that this fragment came to; -1: nothing. */
static int contradiction(const struct packet *packet, const struct piece *one)
{
    if (is_taken(packet, one->start, one->end))
        return PS_F_OVERLAP;
    if (packet->total ? one->end > packet->total || !one->more : !one->more && packet->reach > one->end)
        return PS_F_LENGTHS;
    return -1;
}

enum ps_reassembled ps_reassemble(struct ps_reassembly *r, struct ps_frame *frame, struct ps_dec *dec)
{
    struct ps_ip ip;
    struct key key;
    struct piece one = {0};
    tick(r, frame->ts);
    if (dec->status != PS_OK || !(dec->fragment || dec->more))
        return PS_F_PASS;
    ps_decode_ip(frame->p + dec->l3, dec->size, dec->ip_len, &ip);
    read_fragment(frame, dec, &ip, &key, &one);
    if (ps_bad_fragment(one.start, one.end - one.start, one.more, 0) || dec->reason == PS_R_FRAGMENT)
        return PS_F_PASS;
    const uint8_t *content = frame->p + one.data;
    uint64_t hash = hash_key(r, &key);
    struct packet *packet = find(r, &key, hash);
    if (packet && packet->state == WHOLE) {
        if (!dec->cut && twin_of(r, packet, &one, content)) {
            come_after(r, packet, dec);
            return PS_F_PASS;
        }
        forget(r, packet); /* the number is used again */
        packet = NULL;
    }
    if (!packet)
        packet = begin(r, &key, hash);
    if (!packet || packet->state == REFUSED)
        return PS_F_PASS;
    if (dec->cut) {
        refuse(r, packet, PS_F_CUT);
        return PS_F_PASS;
    }
    one.twin = twin_of(r, packet, &one, content) != NULL;
    int wrong = one.twin ? -1 : contradiction(packet, &one);
    if (wrong < 0 && one.start == 0 && key.version == 6 && !has_headers(dec, &ip))
        wrong = PS_F_HEADERS;
    if (wrong < 0 && !keep(r, packet, &one, frame->p))
        wrong = PS_F_MEMORY;
    if (wrong >= 0) {
        refuse(r, packet, (enum ps_refused)wrong);
        return PS_F_PASS;
    }
    const uint8_t *net = frame->p + dec->l3;
    packet->octets += dec->ip_len;
    packet->marks |= 1 << (key.version == 4 ? net[1] & 3 : net[1] >> 4 & 3);
    if (one.start == 0 && !one.twin) {
        packet->header = key.version == 4 ? one.data - one.l3 : ip.piece;
        packet->before_piece = ip.before;
        packet->next_header = key.version == 4 ? 0 : net[ip.piece];
    }
    if (!packet->total || packet->covered != packet->total)
        return PS_F_HELD;
    if ((packet->marks & 1) && packet->marks != 1)
        wrong = PS_F_ECN;
    else if (packet->header - (key.version == 4 ? 0 : 40) + packet->total > 0xffff)
        wrong = PS_F_LENGTHS;
    else if (!join(r, packet, frame, dec))
        wrong = PS_F_MEMORY;
    if (wrong < 0)
        return PS_F_WHOLE;
    refuse(r, packet, (enum ps_refused)wrong); /* this fragment, too, goes on from there */
    return PS_F_HELD;
}

void ps_reassembly_counts(const struct ps_reassembly *r, struct ps_fragments *out)
{
    out->joined = __atomic_load_n(&r->counts.joined, __ATOMIC_RELAXED);
    out->whole = __atomic_load_n(&r->counts.whole, __ATOMIC_RELAXED);
    for (int reason = 0; reason < PS_REFUSALS; reason++)
        out->refused[reason] = __atomic_load_n(&r->counts.refused[reason], __ATOMIC_RELAXED);
    out->held = __atomic_load_n(&r->counts.held, __ATOMIC_RELAXED);
    out->memory = __atomic_load_n(&r->counts.memory, __ATOMIC_RELAXED);
}
