/* What the parts of a source share: source.c (ring, live capture, libtrace, life), savefile.c (pcap and pcapng) and
 * unpack.c (compressed files). All but the ring's consumer side runs in the reader thread. */
#ifndef PATHSPIDER_SOURCE_PRIVATE_H
#define PATHSPIDER_SOURCE_PRIVATE_H

#include "source.h"

#include <net/if.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <sys/types.h>

#define FILE_BUFFER (1u << 20)
#define RECORD_LIMIT 262144         /* as libpcap: nothing on a wire is longer */
#define UNPACKERS 3                 /* how often a file may be packed: some hold themselves */

enum kind { LIVE, FILE_FD, LIBTRACE };

/* A filter, compiled for one link type. */
struct ps_filter {
    int dlt;
    struct bpf_program program;
    struct ps_filter *next;
};

/* An interface of a pcapng section. */
struct ps_interface {
    int dlt;
    uint32_t snaplen;
    uint8_t resolution;             /* as if_tsresol has it */
    uint8_t counted;                /* by a statistics block, which knows better than packets */
    int64_t offset;                 /* seconds */
    uint64_t dropped;
};

struct ps_unpacker {
    pid_t pid;
    const char *program;
};

struct ps_source {
    enum kind kind;
    char device[IFNAMSIZ * 4];
    unsigned ifindex;
    int snaplen, dlt, swapped;
    char *bpf;
    struct bpf_program program;     /* of a live capture */
    int have_program;
    pcap_t *pcap;
    int netfd;                      /* for questions about the interface */
    int stopfd, wakefd;             /* eventfds: to the reader, to the consumer */
    int fd, regular, live;
    int decapsulate;
    uint8_t *buffer;                /* what was read of the file and not yet consumed: rd..wr */
    size_t rd, wr;
    int64_t offset;                 /* in the file, unpacked, of buffer[rd] */
    struct ps_filter *filters;
    struct ps_interface *interfaces;
    uint32_t n_interfaces, room_interfaces;
    int64_t last_ts;
    uint64_t known;                 /* packets of link types that we know */
    int64_t new_link;               /* the first that we do not know, -1: none; and where */
    int64_t new_link_offset;
    struct ps_unpacker unpackers[UNPACKERS];
    int n_unpackers;
    pid_t child;                    /* runs libtrace */
    int reports;                    /* pipe on which it tells how it fared */

    pthread_t thread;
    pid_t owner;                    /* the process that has this thread; a fork of it has only a copy of the rest */
    int running;
    int stop, closing, ended, opened, kicked; /* atomics */
    struct ps_tap *tap;             /* atomic */
    struct ps_reassembly *fragments; /* NULL: they are not put together */
    unsigned marks_asked, marks_reached; /* atomics: see ps_mark() */
    struct ps_error error;           /* the reader's; valid once `ended` (or `opened`) is set */
    struct ps_comment comments[PS_COMMENTS];
    uint64_t n_comments;             /* seen; atomic, set when the comment is there */

    uint8_t *ring;
    uint64_t size;
    uint64_t head __attribute__((aligned(64))); /* producer */
    uint64_t seen_tail, woken_at;
    uint64_t count_read, dropped_ring, dropped_kernel, peak, absorbed;
    uint64_t tail __attribute__((aligned(64))); /* consumer */
    uint64_t at, seen_head;
    int consumer_waits __attribute__((aligned(64)));
    int producer_waits;
    pthread_mutex_t lock;
    pthread_cond_t headed, space;
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)
#define ADD(x, v) __atomic_store_n(&(x), (x) + (v), __ATOMIC_RELAXED) /* one writer, many readers */

/* source.c */
void ps_fail(struct ps_error *error, int why, const char *text); /* the first one counts: it is the cause */
int ps_put(struct ps_source *s, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len);
void ps_wake(struct ps_source *s);
int ps_given_up(struct ps_source *s);

/* savefile.c */
int ps_have(struct ps_source *s, size_t need); /* so many bytes are in the buffer; 0: they never will be */
void ps_consume(struct ps_source *s, size_t n);
void ps_read_file(struct ps_source *s);

/* unpack.c */
int ps_unpack(struct ps_source *s);    /* s->fd becomes what is unpacked, if it is packed. -1: noted in s->error */
void ps_unpacked(struct ps_source *s); /* at the end: whether the unpackers were content */

#endif
