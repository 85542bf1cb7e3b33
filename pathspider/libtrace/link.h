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

#define PS_TAGS 16

/* VLAN ids and MPLS labels of a frame, the outermost first. */
struct ps_tags {
    uint32_t vlans, labels;  /* how many are here: of more than PS_TAGS, the first */
    uint16_t vlan[PS_TAGS];
    uint32_t label[PS_TAGS];
    int64_t bottom;          /* offset of what the last label stack of the frame labels; 0 without one */
};

/* Offset of the network header, or one of the above. Sets out->ethertype, which is not IP's where the frame is not IP,
 * and out->vlan. `dlt` is a link type as in capture files, or libpcap's DLT. `tags`: NULL where nobody asks for them. */
int64_t ps_link_layer(const uint8_t *p, uint32_t len, int dlt, struct ps_dec *out, struct ps_tags *tags);

#endif
