#define _GNU_SOURCE
#include "tap.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORTH (1u << 20)    /* octets that wait when the consumer is woken */
#define WRAP 0xffffffffu    /* in the place of a block's type: go on at the ring's beginning */
#define PACKET_BLOCK 6      /* Enhanced Packet Block */
#define AROUND 32           /* octets of such a block beside the packet's */
#define LONGEST (1u << 18)  /* no packet that was captured is longer: as libpcap's files have it */

struct ps_tap {
    uint8_t *ring;
    uint64_t size;
    int64_t unit;
    int bell;               /* eventfd */
    int ended;              /* atomic */
    uint64_t head __attribute__((aligned(64))); /* the producer's */
    uint64_t seen_tail, rung_at, offered, lost;
    uint64_t tail __attribute__((aligned(64))); /* the consumer's */
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

static void ring_bell(struct ps_tap *t)
{
    uint64_t one = 1;
    if (write(t->bell, &one, sizeof one) < 0) {
        /* its counter is full: it is readable then, which is all that is asked for */
    }
}

struct ps_tap *ps_tap_open(size_t room, int64_t unit)
{
    struct ps_tap *t;
    if (posix_memalign((void **)&t, 64, sizeof *t))
        return NULL;
    memset(t, 0, sizeof *t);
    t->unit = unit;
    t->size = 2 * LONGEST;
    while (t->size < room && t->size < (uint64_t)1 << 40)
        t->size <<= 1;
    t->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->ring = mmap(NULL, t->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t->bell >= 0 && t->ring != MAP_FAILED)
        return t;
    if (t->ring == MAP_FAILED)
        t->ring = NULL;
    ps_tap_free(t);
    return NULL;
}

void ps_tap_free(struct ps_tap *t)
{
    if (t->bell >= 0)
        close(t->bell);
    if (t->ring)
        munmap(t->ring, t->size);
    free(t);
}

static int room(struct ps_tap *t, uint64_t need)
{
    if (t->size - (t->head - t->seen_tail) >= need)
        return 1;
    t->seen_tail = LOAD(t->tail);
    return t->size - (t->head - t->seen_tail) >= need;
}

void ps_tap_packet(struct ps_tap *t, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len)
{
    uint32_t padded = (caplen + 3) & ~3u, total = padded + AROUND;
    uint64_t start = t->head & (t->size - 1);
    uint64_t gap = start + total > t->size ? t->size - start : 0; /* blocks are contiguous */

    STORE(t->offered, t->offered + 1);
    if (caplen > LONGEST || LOAD(t->ended) || !room(t, total + gap)) {
        STORE(t->lost, t->lost + 1);
        return;
    }
    if (gap) { /* all lengths are multiples of four: there is room for a word */
        uint32_t wrap = WRAP;
        memcpy(t->ring + start, &wrap, 4);
        start = 0;
    }
    uint64_t when = (uint64_t)(ts < 0 ? 0 : ts / t->unit);
    uint32_t words[7] = {PACKET_BLOCK, total, 0, (uint32_t)(when >> 32), (uint32_t)when, caplen, wire_len};
    uint8_t *block = t->ring + start;
    memcpy(block, words, sizeof words);
    memcpy(block + sizeof words, p, caplen);
    memset(block + sizeof words + caplen, 0, padded - caplen);
    memcpy(block + sizeof words + padded, &total, 4);
    STORE(t->head, t->head + gap + total);
    if (t->head - t->rung_at >= WORTH) {
        t->rung_at = t->head;
        ring_bell(t);
    }
}

void ps_tap_end(struct ps_tap *t)
{
    STORE(t->ended, 1);
    ring_bell(t);
}

int ps_tap_ended(struct ps_tap *t) { return LOAD(t->ended); }

static uint32_t word(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return value;
}

size_t ps_tap_next(struct ps_tap *t, size_t most, const uint8_t **blocks, size_t *packets)
{
    uint64_t head = LOAD(t->head), length = 0;
    if (t->tail == head)
        return 0;
    uint64_t start = t->tail & (t->size - 1);
    if (word(t->ring + start) == WRAP) { /* a block always follows it: both came at once */
        STORE(t->tail, t->tail + t->size - start);
        start = 0;
    }
    uint64_t end = start + (head - t->tail) < t->size ? start + (head - t->tail) : t->size;
    *blocks = t->ring + start;
    *packets = 0;
    while (start + length < end && word(*blocks + length) != WRAP) {
        uint64_t next = word(*blocks + length + 4);
        if (length && length + next > most)
            break;
        length += next;
        *packets += 1;
    }
    return length;
}

void ps_tap_release(struct ps_tap *t, size_t length) { STORE(t->tail, t->tail + length); }

void ps_tap_wait(struct ps_tap *t, size_t most, int ms)
{
    struct pollfd bell = {t->bell, POLLIN, 0};
    uint64_t rung, waiting = LOAD(t->head) - t->tail;
    if (waiting >= WORTH || waiting >= most)
        return;
    if (poll(&bell, 1, ms) > 0 && read(t->bell, &rung, sizeof rung) < 0) {
        /* somebody else has heard it */
    }
}

void ps_tap_counts(struct ps_tap *t, uint64_t *offered, uint64_t *lost)
{
    *lost = LOAD(t->lost); /* before those of which they are a part */
    *offered = LOAD(t->offered);
}
