/* Addresses as text. */
#ifndef PATHSPIDER_ADDRESS_H
#define PATHSPIDER_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#define PS_ADDRESS_TEXT 46 /* octets of the longest one, as INET6_ADDRSTRLEN; no NUL is written */

/* Writes an address of 4 or 16 octets as inet_ntop(3) does, only faster; octets written. RFC 5952 */
size_t ps_address_text(const uint8_t *address, int length, char *out);

#endif
