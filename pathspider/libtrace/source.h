/* Packet sources: a reader thread (never under the interpreter's lock) that fills a single-producer ring. */
#ifndef PATHSPIDER_SOURCE_H
#define PATHSPIDER_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "decode.h"
#include "reassemble.h"
#include "tap.h"

/* Why a source could not be opened, or ended. */
enum ps_why {
    PS_FINE = 0,
    PS_E_SYSTEM,     /* the operating system's or the library's own words are in text */
    PS_E_NO_DEVICE,
    PS_E_DOWN,
    PS_E_PERMISSION,
    PS_E_FILTER,
    PS_E_NOT_CAPTURE,
    PS_E_EMPTY,
    PS_E_LINK,       /* unknown link type: see number */
    PS_E_LENGTH,     /* impossible record length: see number, offset */
    PS_E_CUT,        /* the file ends inside a record: see offset */
    PS_E_GONE,       /* the interface went down or was removed while capturing */
    PS_E_NO_LIBTRACE,
    PS_E_MEMORY,
    PS_E_BLOCK,      /* a pcapng block that contradicts the format, or what stands before it: see text, offset */
    PS_E_NO_UNPACKER, /* the program in text is not installed */
    PS_E_UNPACK      /* it did not like the file: see unpacker, status */
};

struct ps_error {
    int why;
    int64_t number;
    int64_t offset;        /* bytes; of the unpacked stream where there is an unpacker */
    char text[512];
    char unpacker[16];     /* the program that unpacks; empty where the file is not packed */
    int status;            /* how it ended, where not well: its exit status, or minus the signal's number */
};

/* A comment in a capture file. UTF-8, as it says itself; not ended by 0. */
#define PS_COMMENTS 16
struct ps_comment {
    int64_t offset;        /* of the block that it is about */
    uint32_t length, whole; /* bytes that are here, and that it has */
    char text[240];
};

/* One packet in the ring; its bytes follow. */
struct ps_entry {
    uint32_t total;    /* bytes to the next entry */
    uint32_t caplen;
    uint32_t wire_len;
    int32_t dlt;
    int64_t ts;        /* nanoseconds since 1970, UTC */
    struct ps_dec dec;
};

struct ps_counts {
    uint64_t read;           /* packets that the source delivered, before the ring */
    uint64_t dropped_kernel; /* lost before we could read them; those that a file tells of, too */
    uint64_t dropped_ring;   /* read, but the ring was full */
    uint64_t bytes_waiting;  /* fill of the ring */
    uint64_t peak;           /* highest fill of the ring, in bytes */
    uint64_t absorbed;       /* fragments that are held, or part of a packet in the ring */
};

struct ps_source;

struct ps_options {
    const char *bpf;       /* NULL: everything */
    int snaplen;
    size_t buffer;         /* kernel buffer of a live capture, bytes */
    size_t ring;           /* ring between reader and consumer, bytes */
    int promisc;
    int live;              /* libtrace: the source is an interface, so reading may have to wait */
    int decapsulate;       /* the flow is that of the packet inside tunnels: see tunnel.h */
    struct ps_reassembly *fragments; /* the reader's while it runs; NULL: fragments are not put together */
};

/* Each returns NULL and fills `error` where it fails. The reader runs when they return. */
struct ps_source *ps_open_live(const char *device, const struct ps_options *options, struct ps_error *error);
/* Takes over `fd`. With `wait`, the file's header is looked at before this returns. */
struct ps_source *ps_open_fd(int fd, int wait, const struct ps_options *options, struct ps_error *error);
struct ps_source *ps_open_libtrace(const char *uri, const struct ps_options *options, struct ps_error *error);
int ps_have_libtrace(void);

/* Consumer's side, one thread. An entry stays valid until ps_release(). */
const struct ps_entry *ps_next(struct ps_source *s);
/* Looks ahead of ps_next(), as far as is known to be there; `cursor` starts at 0. */
const struct ps_entry *ps_ahead(struct ps_source *s, uint64_t *cursor);
void ps_release(struct ps_source *s);
/* Whether packets wait for ps_next(), and the time of the oldest. Other threads may ask while ps_next() is not running. */
int ps_waiting(struct ps_source *s, int64_t *oldest);
enum { PS_WAIT_PACKETS, PS_WAIT_TIMEOUT, PS_WAIT_KICKED, PS_WAIT_ENDED };
int ps_wait(struct ps_source *s, int64_t timeout_ns); /* negative: for ever */

/* Any thread. */
int ps_foreign(struct ps_source *s); /* whether this is a fork of the process that opened it: there, nothing reads */
void ps_stop(struct ps_source *s);
void ps_kick(struct ps_source *s);
/* Marks this moment, 1 the first. Once the mark is reached, what was captured before it is there for ps_next(), and
 * ps_wait() returns; of a file, what has been read by now. Marks may be reached several at once. */
unsigned ps_mark(struct ps_source *s);
unsigned ps_marks_reached(struct ps_source *s);
void ps_abandon(struct ps_source *s); /* what is still to come is not wanted: ps_wait() returns, ps_close() is next */
void ps_counts(struct ps_source *s, struct ps_counts *out);
int ps_is_live(struct ps_source *s);
uint64_t ps_comments(struct ps_source *s); /* how many there are so far; the first PS_COMMENTS are kept */
const struct ps_comment *ps_comment(struct ps_source *s, uint64_t index);
/* What pcap calls a link type; empty where it has no name. */
void ps_name_link(int dlt, char *out, size_t size);
/* Of a live capture, whose packets have all the same. */
int ps_link(struct ps_source *s);
/* From now on, each packet goes to the tap too, before the ring, whether there is room in that or not. The tap ends with
 * the source, and outlives it. */
void ps_attach(struct ps_source *s, struct ps_tap *tap);

void ps_error(struct ps_source *s, struct ps_error *out);
void ps_close(struct ps_source *s); /* stops, waits for the reader, frees */

/* Names of the interfaces that are up, separated by ", ". */
void ps_interfaces_up(char *out, size_t size);

#endif
