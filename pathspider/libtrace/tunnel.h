/* Packets inside packets: which flow a tunnelled packet belongs to. Pure, bounds-checked, nothing is allocated. */
#ifndef PATHSPIDER_TUNNEL_H
#define PATHSPIDER_TUNNEL_H

#include <stdint.h>

#include "decode.h"
#include "link.h"

#define PS_DEPTH 8 /* tunnels in tunnels; what is deeper is not looked into */

enum ps_tunnel_kind {
    PS_T_4IN4, PS_T_6IN4, PS_T_4IN6, PS_T_6IN6, PS_T_GRE, PS_T_NVGRE, PS_T_PPTP, PS_T_WCCP, PS_T_ERSPAN, PS_T_MPLS_IP,
    PS_T_ESP, PS_T_VXLAN, PS_T_GENEVE, PS_T_GTP, PS_T_TEREDO, PS_T_MPLS_UDP, PS_T_L2TP, PS_T_PSEUDOWIRE,
    PS_TUNNELS
};

/* One tunnel. */
struct ps_tunnel {
    uint8_t kind;       /* enum ps_tunnel_kind */
    uint8_t named;      /* it has an identifier */
    uint8_t version;    /* of the IP packet that carries it; 0: none does */
    uint32_t id;        /* key, VNI, session, TEID, SPI, call; L2TP: its tunnel in the upper half, its session in the lower */
    uint8_t ends[32];   /* source and destination address of that packet */
};

/* What a packet is in, the outermost first. */
struct ps_stack {
    uint32_t depth;
    struct ps_tunnel at[PS_DEPTH];
};

/* Makes of what ps_decode() found what is inside: `dec` is the innermost packet then, its key tells in which tunnels it
 * was. Where there is no tunnel, or nothing of IP in it, nothing changes; where it cannot be, dec->reason says why.
 * `stack`: NULL where nobody asks for it. */
void ps_decapsulate(const uint8_t *p, uint32_t caplen, uint32_t wire_len, int dlt, struct ps_dec *dec,
                    struct ps_stack *stack);

/* The name of a kind of tunnel, as records have it. */
const char *ps_tunnel_name(int kind);

#endif
