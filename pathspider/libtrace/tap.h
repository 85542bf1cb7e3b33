/* A tap: captured packets as pcapng blocks, on their way to a file. Single producer, single consumer; it never waits for
 * its consumer: what finds no room is counted. draft-ietf-opsawg-pcapng */
#ifndef PATHSPIDER_TAP_H
#define PATHSPIDER_TAP_H

#include <stddef.h>
#include <stdint.h>

struct ps_tap;

/* `room`: octets that may wait. `unit`: nanoseconds of one step of the blocks' times. NULL: no memory. */
struct ps_tap *ps_tap_open(size_t room, int64_t unit);
void ps_tap_free(struct ps_tap *t);

/* The producer's: one packet as an Enhanced Packet Block of interface 0; `ts` in nanoseconds since 1970. */
void ps_tap_packet(struct ps_tap *t, int64_t ts, const uint8_t *p, uint32_t caplen, uint32_t wire_len);

/* Any thread: no more packets are taken; those that wait can still be. */
void ps_tap_end(struct ps_tap *t);

/* The consumer's. Whole blocks: as many as `most` octets hold, and one at least; 0 where none waits. They stay until
 * they are released. */
size_t ps_tap_next(struct ps_tap *t, size_t most, const uint8_t **blocks, size_t *packets);
void ps_tap_release(struct ps_tap *t, size_t length);
/* Until there is enough to be worth a write, which `most` octets are, the end, or so many milliseconds have passed. */
void ps_tap_wait(struct ps_tap *t, size_t most, int ms);
int ps_tap_ended(struct ps_tap *t);

/* Any thread: packets that were offered, and those of them that found no room or came too late. */
void ps_tap_counts(struct ps_tap *t, uint64_t *offered, uint64_t *lost);

#endif
