/* Link layers: where a captured frame's IP header is. Pure, and bounds-checked. */
#ifndef PATHSPIDER_LINK_H
#define PATHSPIDER_LINK_H

#include <stdint.h>

#include "decode.h"

enum {
    PS_LINK_CUT = -1,  /* the capture ends inside the link layer */
    PS_LINK_BAD = -2,  /* its lengths contradict each other */
    PS_LINK_NEW = -3   /* a link type that we do not know */
};

/* Offset of the network header, or one of the above. Sets out->ethertype, which is not IP's where the frame is not IP,
 * and out->vlan. `dlt` is a link type as in capture files, or libpcap's DLT. */
int64_t ps_link_layer(const uint8_t *p, uint32_t len, int dlt, struct ps_dec *out);

#endif
