#define _GNU_SOURCE
#include "source_private.h"
#include "tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PATHSPIDER_HAVE_LIBTRACE
#define PATHSPIDER_HAVE_LIBTRACE 0
#endif
#if PATHSPIDER_HAVE_LIBTRACE
#include <libtrace.h>
#endif

#define BLOCK_TIMEOUT_MS 5          /* the kernel hands over a block that is not full after one or two of these */
#define LINGER_MS 24                /* so long after a stop or a mark: two of them, in jiffies of a kernel with 100 a second */
#define LINGER_MOST_MS 1000         /* and so long where packets do not cease */
#define WAKE_BYTES (256u << 10)     /* wake a waiting consumer at the latest after this much */
#define RING_LIMIT (1ull << 46)     /* no machine maps more */
#define WRAP 0xffffffffu

static int64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void ps_fail(struct ps_error *error, int why, const char *text)
{
    if (error->why)
        return; /* the first one is the cause */
    error->why = why;
    snprintf(error->text, sizeof error->text, "%s", text ? text : "");
}

/* ---- ring ---------------------------------------------------------------------------------------------------- */

static void ring_bell(struct ps_source *s)
{
    uint64_t one = 1;
    if (write(s->wakefd, &one, sizeof one) < 0) {
        /* its counter is full: it is readable then, which is all that is asked for */
    }
}

void ps_wake(struct ps_source *s)
{
    s->woken_at = s->head;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (LOAD(s->consumer_waits) && __atomic_exchange_n(&s->consumer_waits, 0, __ATOMIC_ACQ_REL))
        ring_bell(s);
}

static int room(struct ps_source *s, uint64_t need)
{
    if (s->size - (s->head - s->seen_tail) >= need)
        return 1;
    s->seen_tail = LOAD(s->tail);
    return s->size - (s->head - s->seen_tail) >= need;
}

/* Whether what has not been read yet is not wanted any more: of a file after a stop, of an interface at the end. */
int ps_given_up(struct ps_source *s) { return LOAD(s->closing) || (LOAD(s->stop) && !s->live); }

/* -1: stopped while waiting for room. `dec`: NULL where it is not decoded yet. */
static inline int put_entry(struct ps_source *s, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt,
                            const struct ps_dec *dec)
{
    uint64_t need = (sizeof(struct ps_entry) + caplen + 7) & ~7ull;
    uint64_t start = s->head & (s->size - 1);
    uint64_t gap = start + need > s->size ? s->size - start : 0; /* entries are contiguous */
    while (!room(s, need + gap)) {
        if (s->kind == LIVE || need + gap > s->size) {
            ADD(s->dropped_ring, 1);
            if (dec) {
                ADD(s->dropped_ring, dec->more_packets);
                ADD(s->absorbed, -(uint64_t)dec->more_packets);
            }
            ps_wake(s);
            return 0;
        }
        ps_wake(s);
        pthread_mutex_lock(&s->lock);
        STORE(s->producer_waits, 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        while (!room(s, need + gap) && !ps_given_up(s))
            pthread_cond_wait(&s->space, &s->lock);
        STORE(s->producer_waits, 0);
        pthread_mutex_unlock(&s->lock);
        if (ps_given_up(s))
            return -1;
    }
    if (gap) {
        if (gap >= 4)
            *(uint32_t *)(s->ring + start) = WRAP;
        start = 0;
    }
    struct ps_entry *entry = (struct ps_entry *)(s->ring + start);
    entry->total = (uint32_t)need;
    entry->caplen = caplen;
    entry->wire_len = wire_len;
    entry->dlt = dlt;
    entry->ts = ts;
    memcpy(entry + 1, p, caplen);
    if (dec)
        entry->dec = *dec;
    else
        ps_decode((const uint8_t *)(entry + 1), caplen, wire_len, dlt, &entry->dec);
    if (s->decapsulate)
        ps_decapsulate((const uint8_t *)(entry + 1), caplen, wire_len, dlt, &entry->dec, NULL);
    STORE(s->head, s->head + need + gap);
    uint64_t fill = s->head - s->seen_tail;
    if (fill > s->peak) {
        s->seen_tail = LOAD(s->tail);
        fill = s->head - s->seen_tail;
        if (fill > s->peak)
            STORE(s->peak, fill);
    }
    if (s->head - s->woken_at > WAKE_BYTES)
        ps_wake(s);
    return 0;
}

/* Fragments that are not to be put together any more go on as they are. */
static int put_let_go(struct ps_source *s)
{
    struct ps_frame frame;
    struct ps_dec dec;
    int rc = 0;
    while (rc == 0 && ps_let_go(s->fragments, &frame, &dec)) {
        ADD(s->absorbed, -1ull);
        rc = put_entry(s, frame.ts, frame.p, frame.caplen, frame.wire_len, frame.dlt, &dec);
    }
    return rc;
}

static int put_reassembled(struct ps_source *s, struct ps_frame frame)
{
    struct ps_dec dec;
    ps_decode(frame.p, frame.caplen, frame.wire_len, frame.dlt, &dec);
    enum ps_reassembled what = ps_reassemble(s->fragments, &frame, &dec);
    if (what == PS_F_HELD)
        ADD(s->absorbed, 1);
    int rc = put_let_go(s);
    if (rc < 0 || what == PS_F_HELD)
        return rc;
    return put_entry(s, frame.ts, frame.p, frame.caplen, frame.wire_len, frame.dlt, &dec);
}

/* -1: stopped while waiting for room. */
int ps_put(struct ps_source *s, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len)
{
    if (wire_len < caplen)
        wire_len = caplen;
    if (s->snaplen > 0 && caplen > (uint32_t)s->snaplen)
        caplen = (uint32_t)s->snaplen;
    ADD(s->count_read, 1);
    struct ps_tap *tap = LOAD(s->tap);
    if (tap)
        ps_tap_packet(tap, ts, p, caplen, wire_len);
    if (s->fragments)
        return put_reassembled(s, (struct ps_frame){ts, p, caplen, wire_len, s->dlt});
    return put_entry(s, ts, p, caplen, wire_len, s->dlt, NULL);
}

const struct ps_entry *ps_next(struct ps_source *s)
{
    if (s->at == s->seen_head && s->at == (s->seen_head = LOAD(s->head)))
        return NULL;
    uint64_t start = s->at & (s->size - 1);
    if (s->size - start < sizeof(struct ps_entry) || *(uint32_t *)(s->ring + start) == WRAP) {
        s->at += s->size - start;
        start = 0;
    }
    const struct ps_entry *entry = (const struct ps_entry *)(s->ring + start);
    s->at += entry->total;
    return entry;
}

const struct ps_entry *ps_ahead(struct ps_source *s, uint64_t *cursor)
{
    if (*cursor < s->at)
        *cursor = s->at;
    if (*cursor >= s->seen_head)
        return NULL;
    uint64_t start = *cursor & (s->size - 1);
    if (s->size - start < sizeof(struct ps_entry) || *(uint32_t *)(s->ring + start) == WRAP) {
        *cursor += s->size - start;
        start = 0;
    }
    const struct ps_entry *entry = (const struct ps_entry *)(s->ring + start);
    *cursor += entry->total;
    /* The reader's core has them in its caches: what of this one is looked at soon, and where the next one begins. */
    __builtin_prefetch((const uint8_t *)entry + 64);
    __builtin_prefetch((const uint8_t *)entry + 128);
    __builtin_prefetch((const uint8_t *)entry + 192);
    __builtin_prefetch(s->ring + (*cursor & (s->size - 1)));
    return entry;
}

int ps_waiting(struct ps_source *s, int64_t *oldest)
{
    uint64_t at = s->at;
    if (at == LOAD(s->head))
        return 0;
    uint64_t start = at & (s->size - 1);
    if (s->size - start < sizeof(struct ps_entry) || *(uint32_t *)(s->ring + start) == WRAP)
        start = 0;
    *oldest = ((const struct ps_entry *)(s->ring + start))->ts;
    return 1;
}

void ps_release(struct ps_source *s)
{
    if (s->tail == s->at)
        return;
    STORE(s->tail, s->at);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* a waiting reader is woken when half of the ring is free: it then works for a while, not for one packet */
    if (LOAD(s->producer_waits) && LOAD(s->head) - s->at <= s->size / 2) {
        pthread_mutex_lock(&s->lock);
        pthread_cond_signal(&s->space);
        pthread_mutex_unlock(&s->lock);
    }
}

int ps_wait(struct ps_source *s, int64_t timeout_ns)
{
    int result = PS_WAIT_TIMEOUT;
    int64_t until = timeout_ns < 0 ? 0 : monotonic() + timeout_ns;
    struct pollfd bell = {s->wakefd, POLLIN, 0};
    for (int last = 0;; ) {
        STORE(s->consumer_waits, 1);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        int ended = LOAD(s->ended); /* asked for first: what was put before the end is then visible */
        if (s->at != LOAD(s->head)) {
            result = PS_WAIT_PACKETS;
            break;
        }
        if (ended) {
            result = PS_WAIT_ENDED;
            break;
        }
        if (__atomic_exchange_n(&s->kicked, 0, __ATOMIC_ACQ_REL)) {
            result = PS_WAIT_KICKED;
            break;
        }
        if (last)
            break;
        struct timespec left = {0, 0};
        if (timeout_ns >= 0) {
            int64_t ns = until - monotonic();
            ns = ns < 0 ? 0 : ns;
            left.tv_sec = ns / 1000000000;
            left.tv_nsec = ns % 1000000000;
        }
        int n = ppoll(&bell, 1, timeout_ns >= 0 ? &left : NULL, NULL);
        if (n < 0) { /* a signal: the interpreter wants to look at it */
            result = PS_WAIT_KICKED;
            break;
        }
        last = n == 0;
        if (n > 0) {
            uint64_t rung;
            if (read(s->wakefd, &rung, sizeof rung) < 0)
                continue;
        }
    }
    STORE(s->consumer_waits, 0);
    return result;
}

/* ---- interfaces ---------------------------------------------------------------------------------------------- */

/* Asks the kernel about an interface, through a descriptor that is open already: there may be no other to be had. The
 * error number, ENODEV where there is no such interface. */
static int ask_about(int fd, unsigned long what, const char *name, struct ifreq *answer)
{
    memset(answer, 0, sizeof *answer);
    snprintf(answer->ifr_name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, name);
    return ioctl(fd, what, answer) < 0 ? errno : 0;
}

/* Flags of an interface, or -1 where there is none. */
static int flags_of(int fd, const char *name)
{
    struct ifreq answer;
    return ask_about(fd, SIOCGIFFLAGS, name, &answer) ? -1 : (unsigned short)answer.ifr_flags;
}

void ps_interfaces_up(char *out, size_t size)
{
    out[0] = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct if_nameindex *names = if_nameindex();
    size_t used = 0;
    for (struct if_nameindex *i = names; fd >= 0 && i && i->if_index; i++) {
        int flags = flags_of(fd, i->if_name);
        if (flags < 0 || !(flags & IFF_UP))
            continue;
        int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", i->if_name);
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
    }
    if (names)
        if_freenameindex(names);
    if (fd >= 0)
        close(fd);
}

/* 0 while the interface can be captured on; otherwise the reason is noted. */
static int check_interface(struct ps_source *s)
{
    if (!s->ifindex)
        return 0; /* "any" and other names without an interface behind them */
    /* One that is being removed is down first, so the two are not told apart. */
    struct ifreq answer;
    int up = 0, same = 0;
    int why = ask_about(s->netfd, SIOCGIFFLAGS, s->device, &answer);
    if (!why) {
        up = answer.ifr_flags & IFF_UP;
        why = ask_about(s->netfd, SIOCGIFINDEX, s->device, &answer);
        same = !why && (unsigned)answer.ifr_ifindex == s->ifindex;
    }
    if (up && same)
        return 0;
    if (why && why != ENODEV) /* nothing is known about it: that is another story */
        ps_fail(&s->error, PS_E_SYSTEM, strerror(why));
    else
        ps_fail(&s->error, PS_E_GONE, NULL);
    return -1;
}

/* ---- live ---------------------------------------------------------------------------------------------------- */

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
    struct ps_source *s = (struct ps_source *)user;
    ps_put(s, (int64_t)h->ts.tv_sec * 1000000000 + (int64_t)h->ts.tv_usec * 1000, bytes, h->caplen, h->len);
}

static void read_stats(struct ps_source *s)
{
    struct pcap_stat stat;
    if (pcap_stats(s->pcap, &stat) == 0) /* libpcap's counter has 32 bits; ours goes on where it wraps */
        STORE(s->dropped_kernel, s->dropped_kernel + (uint32_t)(stat.ps_drop - (uint32_t)s->dropped_kernel));
}

/* Whether what was captured before `since` has been read: what the kernel holds in a block that is not full, too. */
static int caught_up(int64_t since, int64_t now, int n)
{
    return since >= 0 && now >= since + LINGER_MS * 1000000ll && (n == 0 || now >= since + LINGER_MOST_MS * 1000000ll);
}

static void read_live(struct ps_source *s)
{
    struct pollfd fds[2] = {{pcap_get_selectable_fd(s->pcap), POLLIN, 0}, {s->stopfd, POLLIN, 0}};
    int64_t stopped = -1, marked = -1, asked = 0;
    unsigned mark = 0;

    for (;;) {
        int n = pcap_dispatch(s->pcap, 4096, on_packet, (u_char *)s);
        ps_wake(s);
        if (n < 0) {
            if (check_interface(s) == 0)
                ps_fail(&s->error, PS_E_SYSTEM, pcap_geterr(s->pcap));
            break;
        }
        int64_t now = monotonic();
        if (caught_up(marked, now, n)) {
            marked = -1;
            if (s->fragments) {
                ps_reassembly_end(s->fragments);
                put_let_go(s);
            }
            STORE(s->marks_reached, mark);
            ps_kick(s);
        }
        if (marked < 0 && LOAD(s->marks_asked) != mark) {
            mark = LOAD(s->marks_asked);
            marked = now;
        }
        if (stopped < 0 && LOAD(s->stop))
            stopped = now;
        if (caught_up(stopped, now, n))
            break;
        if (now - asked > 1000000000) {
            asked = now;
            read_stats(s);
        }
        if (n > 0)
            continue;
        if (check_interface(s) < 0)
            break;
        int64_t since = stopped >= 0 && (marked < 0 || stopped < marked) ? stopped : marked;
        int wait_ms = since < 0 ? -1 : (int)((since - now) / 1000000 + LINGER_MS + 1);
        poll(fds, stopped < 0 ? 2 : 1, wait_ms < 0 && since >= 0 ? 0 : wait_ms);
        uint64_t rings;
        if (stopped < 0 && fds[1].revents && read(s->stopfd, &rings, sizeof rings) < 0) {
            /* nothing was there to be read */
        }
    }
    read_stats(s);
}

/* ---- libtrace ------------------------------------------------------------------------------------------------ */

#if PATHSPIDER_HAVE_LIBTRACE
int ps_have_libtrace(void) { return 1; }

/* libtrace checks what it reads with assert(): a hostile file would end the whole process. So it runs in a child, which
 * sends packets through a pipe, and tells at the beginning and at the end how it fared. */
struct report {
    struct ps_error error;
    uint64_t dropped;
};

struct record { /* its bytes follow */
    int64_t ts;
    uint32_t caplen, wire_len;
    int32_t dlt;
    uint32_t zero;
};

struct child {
    libtrace_t *trace;
    int data, reports, stopfd, live;
    uint8_t *buffer;
    size_t used;
    struct report report;
};

/* libtrace's link types, as pcap's. -1: one that libtrace has to look into. */
static int dlt_of(libtrace_linktype_t type)
{
    switch (type) {
    case TRACE_TYPE_ETH: return 1;
    case TRACE_TYPE_NONE: return 101;
    case TRACE_TYPE_LINUX_SLL: return 113;
    case TRACE_TYPE_HDLC_POS: case TRACE_TYPE_POS: return 50;
    case TRACE_TYPE_LLCSNAP: return 100;
    case TRACE_TYPE_80211: return 105;
    case TRACE_TYPE_80211_RADIO: return 127;
    case TRACE_TYPE_80211_PRISM: return 119;
    case TRACE_TYPE_PFLOG: return 117;
    case TRACE_TYPE_PPP: return 9;
    case TRACE_TYPE_OPENBSD_LOOP: return 108;
    default: return -1;
    }
}

/* What libtrace makes of a link layer that only it knows: the IP packet in it, or the frame as one that is not IP. */
static void *reduce(libtrace_packet_t *packet, void *bytes, struct record *record)
{
    uint16_t ethertype = 0;
    uint32_t left = 0;
    uint8_t *network = trace_get_layer3(packet, &ethertype, &left);
    record->dlt = 101;
    if (!network || (ethertype != 0x0800 && ethertype != 0x86dd) || network < (uint8_t *)bytes
        || network > (uint8_t *)bytes + record->caplen) {
        record->caplen = record->wire_len = 1; /* no version of IP begins so */
        return (void *)"";
    }
    uint32_t before = (uint32_t)(network - (uint8_t *)bytes);
    record->caplen -= before;
    record->wire_len = record->wire_len > before ? record->wire_len - before : record->caplen;
    return network;
}

static int write_all(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

static int send_packets(struct child *c)
{
    size_t used = c->used;
    c->used = 0;
    return write_all(c->data, c->buffer, used);
}

static void note_error(struct child *c)
{
    if (trace_is_err(c->trace)) {
        libtrace_err_t why = trace_get_err(c->trace);
        ps_fail(&c->report.error, PS_E_SYSTEM, why.problem);
    }
}

/* 1: told to stop; -1: nobody reads what we write. Waits for `fd` as well, where there is one. */
static int wait_child(struct child *c, int fd, int ms)
{
    struct pollfd fds[3] = {{c->stopfd, POLLIN, 0}, {c->data, 0, 0}, {fd, POLLIN, 0}};
    poll(fds, fd < 0 ? 2 : 3, ms);
    return fds[1].revents & POLLERR ? -1 : fds[0].revents & POLLIN ? 1 : 0;
}

static void run_child(struct child *c)
{
    libtrace_packet_t *packet = trace_create_packet();
    for (unsigned n = 0; packet; n++) {
        libtrace_eventobj_t event = {TRACE_EVENT_PACKET, -1, 0, 0};
        if (c->live)
            event = trace_event(c->trace, packet); /* lets us wait, and be stopped */
        else
            event.size = trace_read_packet(c->trace, packet); /* events would replay a file at its own pace */
        if (event.type == TRACE_EVENT_IOWAIT || event.type == TRACE_EVENT_SLEEP) {
            int ms = event.type == TRACE_EVENT_IOWAIT ? -1 : (int)(event.seconds * 1000) + 1;
            if (send_packets(c) < 0 || wait_child(c, event.type == TRACE_EVENT_IOWAIT ? event.fd : -1, ms) != 0)
                break; /* all that was captured has been sent by now */
            continue;
        }
        if (event.type == TRACE_EVENT_TERMINATE || event.size <= 0)
            break;
        if (!(n & 1023) && !c->live && wait_child(c, -1, 0) != 0)
            break;
        libtrace_linktype_t type;
        struct record record;
        memset(&record, 0, sizeof record);
        void *bytes = trace_get_packet_buffer(packet, &type, &record.caplen);
        if (!bytes)
            continue;
        if (record.caplen > RECORD_LIMIT)
            record.caplen = RECORD_LIMIT;
        struct timespec ts = trace_get_timespec(packet);
        int64_t seconds = ts.tv_sec; /* hostile ones would not fit into nanoseconds */
        seconds = seconds < 0 ? 0 : seconds > 9000000000ll ? 9000000000ll : seconds;
        record.ts = seconds * 1000000000 + ts.tv_nsec % 1000000000;
        size_t wire_len = trace_get_wire_length(packet);
        if (type == TRACE_TYPE_ETH && wire_len >= 4)
            wire_len -= 4; /* libtrace counts the frame check sequence */
        record.wire_len = wire_len > 0xffffffffu ? record.caplen : (uint32_t)wire_len;
        record.dlt = dlt_of(type);
        if (record.dlt < 0)
            bytes = reduce(packet, bytes, &record);
        if (c->used + sizeof record + record.caplen > FILE_BUFFER && send_packets(c) < 0)
            break;
        memcpy(c->buffer + c->used, &record, sizeof record);
        memcpy(c->buffer + c->used + sizeof record, bytes, record.caplen);
        c->used += sizeof record + record.caplen;
    }
    note_error(c);
    send_packets(c);
    uint64_t dropped = trace_get_dropped_packets(c->trace);
    c->report.dropped = dropped == UINT64_MAX ? 0 : dropped; /* on files it means: not known */
}

static struct child *dying;

/* libtrace's assert() failed: what was read before is sent, then the word of it. Only write() and _exit() here. */
static void on_abort(int number)
{
    (void)number;
    static const char text[] = "libtrace gave up on it: its assertion failed";
    send_packets(dying);
    dying->report.error.why = PS_E_SYSTEM;
    memcpy(dying->report.error.text, text, sizeof text);
    write_all(dying->reports, &dying->report, sizeof dying->report);
    _exit(1);
}

static void child_main(const char *uri, const struct ps_options *options, int data, int reports, int stopfd)
{
    struct child c = {NULL, data, reports, stopfd, options->live, NULL, 0, {{0}, 0}};
    struct rlimit none = {0, 0};
    int kept[3] = {data, reports, stopfd};
    sigset_t nothing;

    dying = &c;
    signal(SIGABRT, on_abort);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGINT, SIG_IGN); /* the parent tells when to stop */
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    for (unsigned fd = 3, next; fd < 1u << 30; fd = next + 1) { /* what else is open is the parent's business */
        next = 1u << 30;
        for (int i = 0; i < 3; i++)
            if (kept[i] >= (int)fd && kept[i] < (int)next)
                next = (unsigned)kept[i];
        if (next > fd)
            close_range(fd, next - 1, 0);
    }
    c.buffer = malloc(FILE_BUFFER);
    c.trace = trace_create(uri);
    note_error(&c);
    if (!c.report.error.why && options->snaplen > 0 && options->snaplen < 65535) {
        int snaplen = options->snaplen;
        if (trace_config(c.trace, TRACE_OPTION_SNAPLEN, &snaplen) < 0)
            trace_get_err(c.trace); /* files have none: the parent cuts */
    }
    if (!c.report.error.why && options->bpf && *options->bpf) {
        libtrace_filter_t *filter = trace_create_filter(options->bpf);
        if (!filter || trace_config(c.trace, TRACE_OPTION_FILTER, filter) < 0) {
            note_error(&c);
            c.report.error.why = PS_E_FILTER;
        }
    }
    if (!c.report.error.why && trace_start(c.trace) < 0) {
        note_error(&c);
        ps_fail(&c.report.error, PS_E_SYSTEM, "libtrace could not start it");
    }
    int failed = c.report.error.why || !c.buffer;
    if (write_all(reports, &c.report, sizeof c.report) == 0 && !failed) {
        run_child(&c);
        write_all(reports, &c.report, sizeof c.report);
    }
    _exit(0);
}

/* What the child says; how it died, where it cannot say anything any more. */
static int read_report(struct ps_source *s, struct report *report)
{
    size_t got = 0;
    memset(report, 0, sizeof *report);
    while (got < sizeof *report) {
        ssize_t n = read(s->reports, (uint8_t *)report + got, sizeof *report - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got == sizeof *report)
        return 0;
    int status = 0;
    char text[128] = "libtrace ended without a word";
    memset(report, 0, sizeof *report);
    if (waitpid(s->child, &status, 0) == s->child) {
        s->child = 0;
        if (WIFSIGNALED(status))
            snprintf(text, sizeof text, "libtrace gave up on it: %s", strsignal(WTERMSIG(status)));
    }
    ps_fail(&report->error, PS_E_SYSTEM, text);
    return -1;
}

static void read_libtrace(struct ps_source *s)
{
    struct record record;
    struct report report;
    while (ps_have(s, sizeof record)) {
        memcpy(&record, s->buffer + s->rd, sizeof record);
        if (record.caplen > RECORD_LIMIT || !ps_have(s, sizeof record + record.caplen))
            break;
        s->dlt = record.dlt;
        if (ps_put(s, record.ts, s->buffer + s->rd + sizeof record, record.caplen, record.wire_len) < 0)
            break;
        ps_consume(s, sizeof record + record.caplen);
    }
    close(s->fd); /* the child notices, if it still has something to say */
    s->fd = -1;
    read_report(s, &report);
    STORE(s->dropped_kernel, report.dropped);
    if (!LOAD(s->stop) && report.error.why)
        s->error = report.error;
}
#else
int ps_have_libtrace(void) { return 0; }
#endif

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void *reader(void *arg)
{
    struct ps_source *s = arg;
    pthread_setname_np(pthread_self(), "pspdr-reader");
    if (s->kind == LIVE)
        read_live(s);
    else if (s->kind == FILE_FD)
        ps_read_file(s);
#if PATHSPIDER_HAVE_LIBTRACE
    else
        read_libtrace(s);
#endif
    pthread_mutex_lock(&s->lock);
    STORE(s->ended, 1);
    if (s->tap)
        ps_tap_end(s->tap);
    pthread_cond_broadcast(&s->headed);
    pthread_mutex_unlock(&s->lock);
    ring_bell(s);
    return NULL;
}

static void destroy(struct ps_source *s)
{
    if (s->pcap)
        pcap_close(s->pcap);
    if (s->have_program)
        pcap_freecode(&s->program);
    if (s->reports >= 0)
        close(s->reports);
    if (s->netfd >= 0)
        close(s->netfd);
    if (s->stopfd >= 0)
        close(s->stopfd);
    if (s->wakefd >= 0)
        close(s->wakefd);
    if (s->fd >= 0)
        close(s->fd);
    if (s->child > 0) {
        kill(s->child, SIGKILL);
        waitpid(s->child, NULL, 0);
    }
    for (int i = 0; i < s->n_unpackers; i++)
        if (s->unpackers[i].pid > 0) {
            kill(s->unpackers[i].pid, SIGKILL);
            waitpid(s->unpackers[i].pid, NULL, 0);
        }
    for (struct ps_filter *one = s->filters, *next; one; one = next) {
        next = one->next;
        pcap_freecode(&one->program);
        free(one);
    }
    free(s->interfaces);
    if (s->ring)
        munmap(s->ring, s->size);
    free(s->buffer);
    free(s->bpf);
    pthread_cond_destroy(&s->headed);
    pthread_cond_destroy(&s->space);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct ps_source *create(enum kind kind, const struct ps_options *options, struct ps_error *error)
{
    memset(error, 0, sizeof *error);
    struct ps_source *s;
    if (posix_memalign((void **)&s, 64, sizeof *s)) {
        ps_fail(error, PS_E_MEMORY, NULL);
        return NULL;
    }
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->owner = getpid();
    s->netfd = s->fd = s->stopfd = s->wakefd = s->reports = -1;
    s->snaplen = options->snaplen;
    s->decapsulate = options->decapsulate;
    s->fragments = options->fragments;
    s->dlt = 1;
    pthread_cond_init(&s->headed, NULL);
    pthread_cond_init(&s->space, NULL);
    pthread_mutex_init(&s->lock, NULL);
    s->size = 1 << 20; /* room for the longest record */
    while (s->size < options->ring && s->size < RING_LIMIT)
        s->size <<= 1;
    s->stopfd = eventfd(0, EFD_CLOEXEC);
    s->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (options->bpf && *options->bpf)
        s->bpf = strdup(options->bpf);
    s->ring = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->ring == MAP_FAILED) {
        s->ring = NULL;
        ps_fail(error, PS_E_MEMORY, NULL);
    } else if (s->stopfd < 0 || s->wakefd < 0) {
        ps_fail(error, PS_E_SYSTEM, strerror(errno));
    }
    if (error->why) {
        destroy(s);
        return NULL;
    }
    return s;
}

static struct ps_source *start(struct ps_source *s, struct ps_error *error)
{
    sigset_t all, before; /* signals are the interpreter's business */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&s->thread, NULL, reader, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        ps_fail(error, PS_E_SYSTEM, strerror(rc));
        destroy(s);
        return NULL;
    }
    s->running = 1;
    return s;
}

struct ps_source *ps_open_live(const char *device, const struct ps_options *options, struct ps_error *error)
{
    struct ps_source *s = create(LIVE, options, error);
    char text[PCAP_ERRBUF_SIZE] = "";
    if (!s)
        return NULL;
    snprintf(s->device, sizeof s->device, "%s", device);
    s->netfd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->netfd < 0) {
        ps_fail(error, PS_E_SYSTEM, strerror(errno));
        goto failed;
    }
    struct ifreq answer;
    s->ifindex = ask_about(s->netfd, SIOCGIFINDEX, device, &answer) ? 0 : (unsigned)answer.ifr_ifindex;
    s->pcap = pcap_create(device, text);
    if (!s->pcap) {
        ps_fail(error, PS_E_SYSTEM, text);
        goto failed;
    }
    pcap_set_snaplen(s->pcap, options->snaplen > 0 ? options->snaplen : 65535);
    pcap_set_promisc(s->pcap, options->promisc);
    pcap_set_timeout(s->pcap, BLOCK_TIMEOUT_MS);
    pcap_set_buffer_size(s->pcap, (int)(options->buffer > 0x7fffffff ? 0x7fffffff : options->buffer));
    if (s->ifindex && !(flags_of(s->netfd, device) & IFF_UP)) {
        ps_fail(error, PS_E_DOWN, NULL);
        goto failed;
    }
    int rc = pcap_activate(s->pcap);
    if (rc < 0) {
        int why = rc == PCAP_ERROR_NO_SUCH_DEVICE ? PS_E_NO_DEVICE
                : rc == PCAP_ERROR_PERM_DENIED || rc == PCAP_ERROR_PROMISC_PERM_DENIED ? PS_E_PERMISSION
                : rc == PCAP_ERROR_IFACE_NOT_UP ? PS_E_DOWN : PS_E_SYSTEM;
        const char *said = pcap_geterr(s->pcap);
        ps_fail(error, why, said && *said ? said : pcap_statustostr(rc));
        goto failed;
    }
    s->dlt = pcap_datalink(s->pcap);
    if (!ps_known_link(s->dlt)) {
        char name[256];
        ps_name_link(s->dlt, name, sizeof name);
        ps_fail(error, PS_E_LINK, name);
        error->number = s->dlt;
        goto failed;
    }
    if (s->bpf) {
        if (pcap_compile(s->pcap, &s->program, s->bpf, 1, PCAP_NETMASK_UNKNOWN) < 0) {
            ps_fail(error, PS_E_FILTER, pcap_geterr(s->pcap));
            goto failed;
        }
        s->have_program = 1;
        if (pcap_setfilter(s->pcap, &s->program) < 0) {
            ps_fail(error, PS_E_FILTER, pcap_geterr(s->pcap));
            goto failed;
        }
    }
    if (pcap_setnonblock(s->pcap, 1, text) < 0) {
        ps_fail(error, PS_E_SYSTEM, text);
        goto failed;
    }
    return start(s, error);
failed:
    destroy(s);
    return NULL;
}

struct ps_source *ps_open_fd(int fd, int wait, const struct ps_options *options, struct ps_error *error)
{
    struct ps_source *s = create(FILE_FD, options, error);
    if (!s) {
        close(fd);
        return NULL;
    }
    s->fd = fd;
    s->regular = lseek(fd, 0, SEEK_CUR) >= 0;
    s->buffer = malloc(FILE_BUFFER);
    if (!s->buffer) {
        ps_fail(error, PS_E_MEMORY, NULL);
        destroy(s);
        return NULL;
    }
    s = start(s, error);
    if (!s || !wait)
        return s;
    pthread_mutex_lock(&s->lock);
    while (!LOAD(s->opened) && !LOAD(s->ended))
        pthread_cond_wait(&s->headed, &s->lock);
    int opened = LOAD(s->opened);
    pthread_mutex_unlock(&s->lock);
    if (!opened) {
        *error = s->error;
        ps_close(s);
        return NULL;
    }
    return s;
}

struct ps_source *ps_open_libtrace(const char *uri, const struct ps_options *options, struct ps_error *error)
{
#if PATHSPIDER_HAVE_LIBTRACE
    struct ps_source *s = create(LIBTRACE, options, error);
    int data[2], reports[2];
    struct report report;
    if (!s)
        return NULL;
    s->live = options->live;
    s->buffer = malloc(FILE_BUFFER);
    if (!s->buffer || pipe2(data, O_CLOEXEC) < 0) {
        ps_fail(error, PS_E_SYSTEM, strerror(errno));
        destroy(s);
        return NULL;
    }
    s->fd = data[0];
    if (pipe2(reports, O_CLOEXEC) < 0) {
        ps_fail(error, PS_E_SYSTEM, strerror(errno));
        close(data[1]);
        destroy(s);
        return NULL;
    }
    s->reports = reports[0];
    fcntl(data[0], F_SETPIPE_SZ, 1 << 20);
    s->child = fork();
    if (s->child == 0)
        child_main(uri, options, data[1], reports[1], s->stopfd);
    close(data[1]);
    close(reports[1]);
    if (s->child < 0) {
        s->child = 0;
        ps_fail(error, PS_E_SYSTEM, strerror(errno));
    } else {
        read_report(s, &report);
        *error = report.error;
    }
    if (error->why) {
        destroy(s);
        return NULL;
    }
    return start(s, error);
#else
    (void)uri;
    (void)options;
    memset(error, 0, sizeof *error);
    ps_fail(error, PS_E_NO_LIBTRACE, NULL);
    return NULL;
#endif
}

int ps_foreign(struct ps_source *s) { return s->owner != getpid(); }

static void call_reader(struct ps_source *s)
{
    uint64_t one = 1;
    if (write(s->stopfd, &one, sizeof one) < 0) {
        /* its counter is full: it is readable then, which is all that is asked for */
    }
}

void ps_stop(struct ps_source *s)
{
    if (ps_foreign(s))
        return; /* the descriptors are shared with the owner, whose source it would stop */
    STORE(s->stop, 1);
    call_reader(s);
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->space);
    pthread_mutex_unlock(&s->lock);
}

void ps_abandon(struct ps_source *s)
{
    STORE(s->closing, 1);
    ps_stop(s);
    ps_kick(s);
}

void ps_kick(struct ps_source *s)
{
    if (ps_foreign(s))
        return;
    STORE(s->kicked, 1);
    ring_bell(s);
}

unsigned ps_mark(struct ps_source *s)
{
    if (ps_foreign(s))
        return 0;
    unsigned mark = __atomic_add_fetch(&s->marks_asked, 1, __ATOMIC_SEQ_CST);
    if (s->kind == LIVE) {
        call_reader(s);
    } else {
        STORE(s->marks_reached, mark);
        ps_kick(s);
    }
    return mark;
}

unsigned ps_marks_reached(struct ps_source *s) { return LOAD(s->marks_reached); }

void ps_counts(struct ps_source *s, struct ps_counts *out)
{
    out->read = LOAD(s->count_read);
    out->dropped_kernel = LOAD(s->dropped_kernel);
    out->dropped_ring = LOAD(s->dropped_ring);
    uint64_t tail = LOAD(s->tail); /* before the head, which is never behind it: no moment gives less than nothing */
    uint64_t fill = LOAD(s->head) - tail;
    out->bytes_waiting = fill < s->size ? fill : s->size;
    out->peak = LOAD(s->peak);
    out->absorbed = LOAD(s->absorbed);
}

int ps_is_live(struct ps_source *s) { return s->kind == LIVE; }

uint64_t ps_comments(struct ps_source *s) { return LOAD(s->n_comments); }

const struct ps_comment *ps_comment(struct ps_source *s, uint64_t index) { return &s->comments[index]; }

int ps_link(struct ps_source *s) { return s->dlt; }

void ps_attach(struct ps_source *s, struct ps_tap *tap)
{
    pthread_mutex_lock(&s->lock);
    STORE(s->tap, tap);
    if (s->ended)
        ps_tap_end(tap);
    pthread_mutex_unlock(&s->lock);
}

void ps_error(struct ps_source *s, struct ps_error *out)
{
    memset(out, 0, sizeof *out);
    if (LOAD(s->ended))
        *out = s->error;
}

void ps_close(struct ps_source *s)
{
    if (!s || ps_foreign(s))
        return; /* a fork has no thread to wait for; its copy goes when it ends */
    STORE(s->closing, 1);
    ps_stop(s);
    if (s->running)
        pthread_join(s->thread, NULL);
    destroy(s);
}
