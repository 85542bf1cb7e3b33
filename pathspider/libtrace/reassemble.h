/* Fragments of IPv4 and IPv6 packets, put together. Pure: frames and their times in; whole packets, and the fragments that
 * could not be put together, out. Memory is bounded, and so is the time that a fragment is held, which is packet time.
 * RFC 791, RFC 8200 4.5, RFC 5722, RFC 6946, RFC 7112, RFC 3168 5.3. */
#ifndef PATHSPIDER_REASSEMBLE_H
#define PATHSPIDER_REASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

#include "decode.h"

/* A captured frame, from the link layer on. */
struct ps_frame {
    int64_t ts;        /* nanoseconds since 1970 */
    const uint8_t *p;
    uint32_t caplen, wire_len;
    int32_t dlt;
};

/* Why the fragments of a packet were not put together. In words: ps_refusal(). */
enum ps_refused {
    PS_F_INCOMPLETE,   /* some did not come in time, or before the end */
    PS_F_OVERLAP,      /* two share octets, and are not the same */
    PS_F_LENGTHS,      /* two say that the packet ends elsewhere, or it were longer than 65,535 octets */
    PS_F_HEADERS,      /* IPv6: the first one does not hold all headers */
    PS_F_ECN,          /* some say that the transport knows ECN, and some that it does not */
    PS_F_CUT,          /* one was not captured whole */
    PS_F_MEMORY,       /* the room was needed for others */
    PS_REFUSALS
};

const char *ps_refusal(int reason);

struct ps_fragments {
    uint64_t joined;   /* fragments that went into whole packets, and duplicates of these */
    uint64_t whole;    /* packets that were made of them */
    uint64_t refused[PS_REFUSALS]; /* packets that were not put together */
    uint64_t held;     /* fragments that wait */
    uint64_t memory;   /* octets that they take; duplicates of what is whole are recognised for a while, and count too */
};

struct ps_reassembly;

/* Holds so many octets and unfinished packets at most. `seed`: random, so that nobody can aim at one bucket. NULL: no
 * memory. */
struct ps_reassembly *ps_reassembly_new(uint64_t seed, size_t octets, uint32_t packets);
void ps_reassembly_free(struct ps_reassembly *r);

enum ps_reassembled {
    PS_F_PASS,         /* it goes on as it is */
    PS_F_HELD,         /* it waits for the others: nothing goes on */
    PS_F_WHOLE         /* frame and dec are those of the whole packet, until the next call */
};

/* The next frame, in the order of capture. Before anything else is done, ps_let_go() is to be asked until it has none. */
enum ps_reassembled ps_reassemble(struct ps_reassembly *r, struct ps_frame *frame, struct ps_dec *dec);

/* A fragment that is held no longer and goes on as it is: `frame` and `dec`, until the next call. 0: there is none. */
int ps_let_go(struct ps_reassembly *r, struct ps_frame *frame, struct ps_dec *dec);

/* All that is incomplete is to be let go. */
void ps_reassembly_end(struct ps_reassembly *r);

/* Any thread. */
void ps_reassembly_counts(const struct ps_reassembly *r, struct ps_fragments *out);

#endif
