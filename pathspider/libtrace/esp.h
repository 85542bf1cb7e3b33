/* Whether an ESP packet is not encrypted, which it does not say. Pure, and bounds-checked. RFC 4303, RFC 5879 */
#ifndef PATHSPIDER_ESP_H
#define PATHSPIDER_ESP_H

#include <stdint.h>

#include "decode.h"

/* The whole ESP header at `at`, up to `end`, in the packet `dec`. The number of what is in it, which stands from *body to
 * *to; -1 where it is encrypted, or may be. */
int ps_null_esp(const uint8_t *p, uint32_t at, uint32_t end, const struct ps_dec *dec, uint32_t *body, uint32_t *to);

/* Whether an IP header is to be believed: one of IPv4 has a checksum, one of IPv6 has none. */
int ps_ip_right(const uint8_t *net, const struct ps_dec *dec);

#endif
