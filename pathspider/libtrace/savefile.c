/* Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), from files as from pipes. */
#define _GNU_SOURCE
#include "source_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LATEST_SECONDS 9000000000ll /* keeps nanoseconds in 64 bits */
#define INTERFACES (1u << 20)       /* that a section may have: they are held in memory */

/* ---- bytes --------------------------------------------------------------------------------------------------- */

/* More bytes into the buffer; 0 at the end of the file or after a stop. */
static size_t refill(struct ps_source *s)
{
    if (s->rd == s->wr)
        s->rd = s->wr = 0;
    else if (s->wr == FILE_BUFFER) {
        memmove(s->buffer, s->buffer + s->rd, s->wr - s->rd);
        s->wr -= s->rd;
        s->rd = 0;
    }
    if (!s->regular) {
        ps_wake(s); /* a pipe can be quiet for long */
        struct pollfd fds[2] = {{s->fd, POLLIN, 0}, {s->stopfd, POLLIN, 0}};
        while (poll(fds, s->live ? 1 : 2, -1) < 0 && errno == EINTR)
            ; /* libtrace's child looks at stopfd itself, and ends the stream */
    }
    if (ps_given_up(s))
        return 0;
    ssize_t n;
    while ((n = read(s->fd, s->buffer + s->wr, FILE_BUFFER - s->wr)) < 0 && errno == EINTR)
        ;
    if (n < 0) {
        ps_fail(&s->error, PS_E_SYSTEM, strerror(errno));
        s->error.offset = s->offset;
        return 0;
    }
    s->wr += (size_t)n;
    return (size_t)n;
}

int ps_have(struct ps_source *s, size_t need)
{
    while (s->wr - s->rd < need)
        if (refill(s) == 0)
            return 0;
    return 1;
}

void ps_consume(struct ps_source *s, size_t n)
{
    s->rd += n;
    s->offset += (int64_t)n;
}

/* Leaves out bytes, which need not fit into the buffer; 0 where the file ends before. */
static int skip(struct ps_source *s, size_t n)
{
    while (n > 0) {
        if (s->wr == s->rd && refill(s) == 0)
            return 0;
        size_t step = s->wr - s->rd < n ? s->wr - s->rd : n;
        ps_consume(s, step);
        n -= step;
    }
    return 1;
}

static uint32_t word(const struct ps_source *s, const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return s->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t half(const struct ps_source *s, const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, 2);
    return s->swapped ? __builtin_bswap16(value) : value;
}

static uint64_t quad(const struct ps_source *s, const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, 8);
    return s->swapped ? __builtin_bswap64(value) : value;
}

/* ---- what both formats need ---------------------------------------------------------------------------------- */

static void fail_at(struct ps_source *s, int why, int64_t number, int64_t offset, const char *text)
{
    if (s->error.why)
        return;
    ps_fail(&s->error, why, text);
    s->error.number = number;
    s->error.offset = offset;
}

/* The file ends within what begins at `offset`: an error, unless we stopped reading. */
static void cut_at(struct ps_source *s, int64_t offset)
{
    if (!LOAD(s->stop))
        fail_at(s, PS_E_CUT, 0, offset, NULL);
}

void ps_name_link(int dlt, char *out, size_t size)
{
    const char *name = pcap_datalink_val_to_name(dlt), *text = pcap_datalink_val_to_description(dlt);
    snprintf(out, size, "%s%s%s", name ? name : "", name && text && strcmp(name, text) ? ", " : "",
             name && text && strcmp(name, text) ? text : "");
    if (!name && dlt >= 147 && dlt <= 162) /* for private use: libpcap has numbers for them, and no names */
        snprintf(out, size, "USER%d", dlt - 147);
}

static void fail_link(struct ps_source *s, int dlt, int64_t offset)
{
    char name[256];
    ps_name_link(dlt, name, sizeof name);
    fail_at(s, PS_E_LINK, dlt, offset, name);
}

static void mark_opened(struct ps_source *s)
{
    if (s->opened)
        return;
    pthread_mutex_lock(&s->lock);
    STORE(s->opened, 1);
    pthread_cond_broadcast(&s->headed);
    pthread_mutex_unlock(&s->lock);
}

/* The filter for a link type; NULL where there is none to be had, and s->error is set. Filters are run by us, so that
 * the file's offsets are known for every record. */
static struct ps_filter *filter_for(struct ps_source *s, int dlt)
{
    for (struct ps_filter *one = s->filters; one; one = one->next)
        if (one->dlt == dlt)
            return one;
    /* pcap_compile() wants libpcap's own numbers, which differ from those of files for a few old ones */
    pcap_t *dead = pcap_open_dead(dlt == 101 ? DLT_RAW : dlt == 100 ? DLT_ATM_RFC1483 : dlt, RECORD_LIMIT);
    struct ps_filter *made = calloc(1, sizeof *made);
    if (!dead || !made || pcap_compile(dead, &made->program, s->bpf, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        ps_fail(&s->error, PS_E_FILTER, dead && made ? pcap_geterr(dead) : "out of memory");
        free(made);
        made = NULL;
    } else {
        made->dlt = dlt;
        made->next = s->filters;
        s->filters = made;
    }
    if (dead)
        pcap_close(dead);
    return made;
}

/* Hands on a packet of link type s->dlt that the filter lets through. -1: no further ones are wanted. */
static int deliver(struct ps_source *s, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len)
{
    if (s->bpf && ps_known_link(s->dlt)) {
        struct ps_filter *filter = filter_for(s, s->dlt);
        struct pcap_pkthdr header;
        if (!filter)
            return -1;
        memset(&header, 0, sizeof header);
        header.caplen = caplen;
        header.len = wire_len;
        if (!pcap_offline_filter(&filter->program, &header, p))
            return 0;
    }
    return ps_put(s, ts, p, caplen, wire_len);
}

/* ---- pcap ---------------------------------------------------------------------------------------------------- */

enum { PCAP_MICRO = 0xa1b2c3d4, PCAP_NANO = 0xa1b23c4d, PCAP_MODIFIED = 0xa1b2cd34 };

/* The number that a pcap file begins with, and into s->swapped in which byte order; 0: it is none. */
static uint32_t pcap_magic(struct ps_source *s, const uint8_t *p)
{
    int before = s->swapped;
    for (s->swapped = 0; s->swapped < 2; s->swapped++) {
        uint32_t magic = word(s, p);
        if (magic == PCAP_MICRO || magic == PCAP_NANO || magic == PCAP_MODIFIED)
            return magic;
    }
    s->swapped = before;
    return 0;
}

/* Whether in the place of a record another file's header begins, as `cat` leaves it: as a record it would be of a later
 * century's packet without a byte. */
static int begins_another(const uint8_t *p)
{
    static const uint8_t versions[2][12] = {{2, 0, 4}, {0, 2, 0, 4}}; /* then time zone and accuracy, which are 0 */
    return !memcmp(p + 4, versions[0], 12) || !memcmp(p + 4, versions[1], 12);
}

/* 1: another file begins behind it. */
static int read_pcap(struct ps_source *s, uint32_t magic)
{
    if (!ps_have(s, 24)) {
        cut_at(s, s->offset);
        return 0;
    }
    /* The header's snaplen is not to be relied on: segmentation offload makes packets that are longer. */
    uint16_t major = half(s, s->buffer + s->rd + 4), minor = half(s, s->buffer + s->rd + 6);
    s->dlt = (int)(word(s, s->buffer + s->rd + 20) & 0xffff);
    if (!ps_known_link(s->dlt)) {
        fail_link(s, s->dlt, s->offset);
        return 0;
    }
    if (s->bpf && !filter_for(s, s->dlt))
        return 0;
    ps_consume(s, 24);
    mark_opened(s);
    int64_t unit = magic == PCAP_NANO ? 1 : 1000;
    size_t header = magic == PCAP_MODIFIED ? 24 : 16; /* Kuznetzov's patch: interface, protocol and kind as well */
    while (!LOAD(s->stop)) {
        if (ps_have(s, 16) && begins_another(s->buffer + s->rd) && pcap_magic(s, s->buffer + s->rd))
            return 1;
        if (!ps_have(s, header)) {
            if (s->wr != s->rd)
                cut_at(s, s->offset);
            return 0;
        }
        const uint8_t *p = s->buffer + s->rd;
        uint32_t seconds = word(s, p), fraction = word(s, p + 4), caplen = word(s, p + 8), wire_len = word(s, p + 12);
        if (major == 2 && (minor < 3 || (minor == 3 && caplen > wire_len))) { /* they had changed places before 2.4 */
            uint32_t other = caplen;
            caplen = wire_len;
            wire_len = other;
        }
        if (caplen > RECORD_LIMIT) {
            fail_at(s, PS_E_LENGTH, caplen, s->offset, NULL);
            return 0;
        }
        if (!ps_have(s, header + caplen)) {
            cut_at(s, s->offset);
            return 0;
        }
        p = s->buffer + s->rd + header;
        if (deliver(s, (int64_t)seconds * 1000000000 + (int64_t)fraction * unit, p, caplen, wire_len) < 0)
            return 0;
        ps_consume(s, header + caplen);
    }
    return 0;
}

/* ---- pcapng -------------------------------------------------------------------------------------------------- */

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 2, SIMPLE = 3, STATISTICS = 5, ENHANCED = 6 };
enum {
    END_OF_OPTIONS = 0, COMMENT = 1, EPB_DROPCOUNT = 4, ISB_IFDROP = 5, ISB_OSDROP = 7, IF_TSRESOL = 9, IF_TSOFFSET = 14
};

static void note_comment(struct ps_source *s, int64_t offset, const uint8_t *text, size_t length)
{
    if (s->n_comments < PS_COMMENTS) {
        struct ps_comment *one = &s->comments[s->n_comments];
        one->offset = offset;
        one->length = (uint32_t)(length < sizeof one->text ? length : sizeof one->text);
        one->whole = (uint32_t)length;
        memcpy(one->text, text, one->length);
    }
    STORE(s->n_comments, s->n_comments + 1);
}

/* Packets lost by the capture that made the file: what it tells for an interface is a sum so far. */
static void note_drops(struct ps_source *s, struct ps_interface *interface, uint64_t dropped)
{
    if (dropped <= interface->dropped || dropped > UINT64_MAX / 2)
        return;
    STORE(s->dropped_kernel, s->dropped_kernel + (dropped - interface->dropped));
    interface->dropped = dropped;
}

/* The options of a block, at `at` of its body `p`, which ends at `end`; `interface` is whom they are about, or NULL. */
static void read_options(struct ps_source *s, uint32_t kind, const uint8_t *p, size_t at, size_t end,
                         struct ps_interface *interface)
{
    uint64_t sum = 0;
    while (at + 4 <= end) {
        uint16_t code = half(s, p + at), length = half(s, p + at + 2);
        const uint8_t *value = p + at + 4;
        if (code == END_OF_OPTIONS || at + 4 + length > end)
            break;
        if (code == COMMENT)
            note_comment(s, s->offset, value, length);
        else if (kind == INTERFACE && code == IF_TSRESOL && length == 1)
            interface->resolution = value[0];
        else if (kind == INTERFACE && code == IF_TSOFFSET && length == 8)
            interface->offset = (int64_t)quad(s, value);
        else if (kind == ENHANCED && code == EPB_DROPCOUNT && length == 8 && !interface->counted)
            note_drops(s, interface, interface->dropped + quad(s, value));
        else if (kind == STATISTICS && (code == ISB_IFDROP || code == ISB_OSDROP) && length == 8)
            sum += quad(s, value);
        at += 4 + ((length + 3u) & ~3u);
    }
    if (kind == STATISTICS) {
        interface->counted = 1;
        note_drops(s, interface, sum);
    }
}

/* Nanoseconds since 1970 of a time in an interface's units; those that no clock shows are moved to the nearest one. */
static int64_t nanoseconds(const struct ps_interface *interface, uint64_t units)
{
    uint8_t exponent = interface->resolution & 0x7f;
    __int128 ns = units; /* of 64 bits by 30 */
    if (interface->resolution & 0x80) {
        ns = ns * 1000000000 >> exponent;
    } else {
        static const uint64_t powers[10] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
        for (; exponent > 9; exponent--)
            ns /= 10;
        ns *= powers[9 - exponent];
    }
    ns += (__int128)interface->offset * 1000000000;
    return ns < 0 ? 0 : ns > (__int128)LATEST_SECONDS * 1000000000 ? LATEST_SECONDS * 1000000000 : (int64_t)ns;
}

static int add_interface(struct ps_source *s, const uint8_t *p, size_t end)
{
    if (s->n_interfaces == s->room_interfaces) {
        uint32_t room = s->room_interfaces ? s->room_interfaces * 2 : 8;
        struct ps_interface *more = room > INTERFACES ? NULL : realloc(s->interfaces, room * sizeof *more);
        if (!more) {
            fail_at(s, PS_E_BLOCK, 0, s->offset, "more interfaces than fit into memory");
            return -1;
        }
        s->interfaces = more;
        s->room_interfaces = room;
    }
    struct ps_interface *interface = &s->interfaces[s->n_interfaces++];
    memset(interface, 0, sizeof *interface);
    interface->dlt = half(s, p + 8);
    interface->snaplen = word(s, p + 12);
    interface->resolution = 6;
    read_options(s, INTERFACE, p, 16, end, interface);
    return 0;
}

/* The interface of a packet or of statistics; NULL where it was not described. */
static struct ps_interface *interface_of(struct ps_source *s, uint32_t number)
{
    char text[128];
    if (number < s->n_interfaces)
        return &s->interfaces[number];
    if (s->n_interfaces)
        snprintf(text, sizeof text, "it names interface %u, and the section describes only %u", number,
                 s->n_interfaces);
    else
        snprintf(text, sizeof text, "an interface description block is missing before it: it names interface %u",
                 number);
    fail_at(s, PS_E_BLOCK, number, s->offset, text);
    return NULL;
}

/* A packet block of whichever kind, `p`, whose options end at `end`. */
static int read_packet(struct ps_source *s, uint32_t kind, const uint8_t *p, size_t end)
{
    uint32_t number = kind == ENHANCED ? word(s, p + 8) : kind == PACKET ? half(s, p + 8) : 0;
    struct ps_interface *interface = interface_of(s, number);
    uint32_t caplen, wire_len;
    size_t data = kind == SIMPLE ? 12 : 28;
    if (!interface)
        return -1;
    if (kind == SIMPLE) { /* it has neither a captured length nor a time */
        wire_len = word(s, p + 8);
        caplen = wire_len < end - data ? wire_len : (uint32_t)(end - data);
        if (interface->snaplen && interface->snaplen < caplen && caplen - interface->snaplen < 4)
            caplen = interface->snaplen; /* the rest is padding */
    } else {
        caplen = word(s, p + 20);
        wire_len = word(s, p + 24);
        s->last_ts = nanoseconds(interface, (uint64_t)word(s, p + 12) << 32 | word(s, p + 16));
    }
    if (caplen > end - data || caplen > RECORD_LIMIT) {
        fail_at(s, PS_E_LENGTH, caplen, s->offset, NULL);
        return -1;
    }
    s->dlt = interface->dlt;
    if (ps_known_link(s->dlt)) {
        s->known++;
    } else if (s->new_link < 0) {
        s->new_link = s->dlt;
        s->new_link_offset = s->offset;
    }
    if (kind == ENHANCED)
        read_options(s, kind, p, data + ((caplen + 3u) & ~3u), end, interface);
    else if (kind == PACKET && half(s, p + 10) != 0xffff && !interface->counted)
        note_drops(s, interface, interface->dropped + half(s, p + 10));
    if (s->bpf && ps_known_link(s->dlt) && !filter_for(s, s->dlt))
        return -1;
    mark_opened(s);
    return deliver(s, s->last_ts, p + data, caplen, wire_len);
}

/* Sets the byte order of a section from its header block, of which 12 bytes are there. */
static int begin_section(struct ps_source *s, const uint8_t *p)
{
    static const uint8_t big[4] = {0x1a, 0x2b, 0x3c, 0x4d}, little[4] = {0x4d, 0x3c, 0x2b, 0x1a};
    uint32_t one = 1;
    int host_is_little = *(uint8_t *)&one;
    if (memcmp(p + 8, big, 4) != 0 && memcmp(p + 8, little, 4) != 0) {
        if (s->offset == 0)
            fail_at(s, PS_E_NOT_CAPTURE, 0, 0, "it begins as pcapng does, and has no byte-order magic at byte 8");
        else
            fail_at(s, PS_E_BLOCK, 0, s->offset, "a section header without a byte-order magic");
        return -1;
    }
    s->swapped = (memcmp(p + 8, little, 4) == 0) != host_is_little;
    s->n_interfaces = 0;
    return 0;
}

/* A block that is in the buffer, all of it or, if it does not fit, its beginning; `total` is its length, `there` how
 * much of that. -1: the end. */
static int read_block(struct ps_source *s, const uint8_t *p, size_t total, size_t there)
{
    static const size_t least[] = {[INTERFACE] = 20, [PACKET] = 32, [SIMPLE] = 16, [STATISTICS] = 24, [ENHANCED] = 32};
    uint32_t kind = word(s, p);
    size_t end = there == total ? total - 4 : there;
    if (total < (kind == SECTION ? 28u : kind <= ENHANCED && least[kind] ? least[kind] : 12)) {
        fail_at(s, PS_E_LENGTH, (int64_t)total, s->offset, NULL);
        return -1;
    }
    if (there == total && word(s, p + total - 4) != total) {
        fail_at(s, PS_E_BLOCK, 0, s->offset, "its length stands there twice, and not the same");
        return -1;
    }
    struct ps_interface *interface;
    switch (kind) {
    case SECTION:
        if (half(s, p + 12) != 1) {
            fail_at(s, PS_E_BLOCK, half(s, p + 12), s->offset, "a section in another version of pcapng than 1");
            return -1;
        }
        read_options(s, kind, p, 24, end, NULL);
        return 0;
    case INTERFACE:
        return add_interface(s, p, end);
    case STATISTICS:
        if (!(interface = interface_of(s, word(s, p + 8))))
            return -1;
        read_options(s, kind, p, 20, end, interface);
        return 0;
    case PACKET: case SIMPLE: case ENHANCED:
        return read_packet(s, kind, p, end);
    default: /* names, keys, journals, others' own: nothing that we look at */
        return 0;
    }
}

static void read_pcapng(struct ps_source *s)
{
    while (!LOAD(s->stop)) {
        int64_t start = s->offset;
        if (!ps_have(s, 12)) {
            if (s->wr != s->rd)
                cut_at(s, start);
            else if (!s->known && s->new_link >= 0)
                fail_link(s, (int)s->new_link, s->new_link_offset);
            break;
        }
        if (word(s, s->buffer + s->rd) == SECTION && begin_section(s, s->buffer + s->rd) < 0)
            break; /* a number that is the same in either byte order */
        size_t total = word(s, s->buffer + s->rd + 4);
        if (total < 12 || total & 3) {
            fail_at(s, PS_E_LENGTH, (int64_t)total, start, NULL);
            break;
        }
        uint32_t kind = word(s, s->buffer + s->rd);
        int looked_into = kind == SECTION || (kind <= ENHANCED && kind != 0 && kind != 4);
        size_t there = !looked_into ? 12 : total < FILE_BUFFER ? total : FILE_BUFFER;
        if (!ps_have(s, there)) {
            cut_at(s, start);
            break;
        }
        if (looked_into && read_block(s, s->buffer + s->rd, total, there) < 0)
            break;
        if (there == total) {
            ps_consume(s, total);
            continue;
        }
        if (!skip(s, total - 4) || !ps_have(s, 4)) {
            cut_at(s, start);
            break;
        }
        if (word(s, s->buffer + s->rd) != total) {
            fail_at(s, PS_E_BLOCK, 0, start, "its length stands there twice, and not the same");
            break;
        }
        ps_consume(s, 4);
    }
    if (!s->error.why)
        mark_opened(s); /* also where there is no packet in it */
}

/* ---- either -------------------------------------------------------------------------------------------------- */

static void read_capture(struct ps_source *s)
{
    if (!ps_have(s, 4)) {
        if (!LOAD(s->stop))
            fail_at(s, s->wr == s->rd ? PS_E_EMPTY : PS_E_NOT_CAPTURE, 0, 0, NULL);
        return;
    }
    uint32_t magic = word(s, s->buffer + s->rd);
    if (magic == SECTION) {
        read_pcapng(s);
        return;
    }
    if (!(magic = pcap_magic(s, s->buffer + s->rd)))
        fail_at(s, PS_E_NOT_CAPTURE, 0, 0, NULL);
    while (magic && read_pcap(s, magic))
        magic = pcap_magic(s, s->buffer + s->rd);
}

void ps_read_file(struct ps_source *s)
{
    s->new_link = -1;
    if (ps_unpack(s) < 0)
        return;
    read_capture(s);
    ps_unpacked(s);
}
