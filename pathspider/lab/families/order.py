"""What order, time and turns decide: paths that treat ECN as all else, and paths that treat it badly now and then.

One pair of connections may say ``broken`` there. Confirmation must not: the rounds come later, and in both orders.
Truths hold from two rounds on. Where our own machine stands still, a first pair is made once more, and then comes too
late for these paths: what it finds is given as ``instead``.
"""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.families.ecn import FINE_WITHOUT_DATA, TCP, truth
from pathspider.lab.scenario import Scenario

BROKEN = truth("broken")
TRANSIENT = truth("transient", "succeeded")
OFFLINE = truth("offline")
UNSTABLE = ("unstable",)

SCENARIOS = [
    # Limiters: the first connection passes, whatever it asks for
    Scenario("order-ban", [path.ban_after_contact(60)], TCP, BROKEN, instead=[OFFLINE], stable=UNSTABLE),
    # Longer than a pair of rounds: with 10 s and two rounds, a machine that stands still for some seconds falls in step
    Scenario("order-one-in-30s", [path.one_connection_in(30)], TCP, BROKEN, instead=[OFFLINE], stable=UNSTABLE),
    Scenario("order-one-at-once", [path.one_connection_at_once()], TCP, FINE_WITHOUT_DATA),
    Scenario("order-one-at-once-kept", [path.one_connection_at_once(kept=10)], TCP, BROKEN, instead=[OFFLINE],
             stable=UNSTABLE),
    Scenario("order-gateway-rate", [path.gateway_rate()], TCP, FINE_WITHOUT_DATA),
    # ECN is dropped indeed, but whoever drops it then drops all else: who is to blame cannot be told
    Scenario("order-residual-block", [path.residual_block(30)], TCP, BROKEN, instead=[OFFLINE], stable=UNSTABLE),

    # Load balancers
    Scenario("order-backend-dead", [path.other_backend("dead")], TCP, BROKEN, stable=UNSTABLE),
    Scenario("order-backend-drops-ecn", [path.other_backend("drops-ecn")], TCP, BROKEN, stable=("works", "unstable")),
    Scenario("order-backend-no-ecn", [path.other_backend("no-ecn")], TCP, truth("works", "failed")),
    # A connection comes to the worse one in one of two cases: of 2 * 4^N such targets, one is broken for N rounds, and
    # of 2 * 2^N one where the worse one drops ECN alone: half of the ports are broken there
    Scenario("order-backend-dead-by-port", [path.backend_by_port("dead")], TCP, FINE_WITHOUT_DATA,
             instead=[BROKEN, TRANSIENT, OFFLINE], stable=("works", "unstable", "broken", "transient")),
    Scenario("order-backend-drops-ecn-by-port", [path.backend_by_port("drops-ecn")], TCP, FINE_WITHOUT_DATA,
             instead=[BROKEN], stable=("works", "unstable", "broken")),

    # Moments
    # The baseline's last SYN is half a second early, and one of the experiment's late: for timeouts of 3 to 5 s, unless
    # our own machine stands still (Linux before 6.5 sends too few in 3 s: net.ipv4.tcp_syn_linear_timeouts)
    Scenario("order-flapping", [path.flapping(4.5, 8.5)], TCP, TRANSIENT,
             instead=[FINE_WITHOUT_DATA, OFFLINE], stable=("works", "unstable")),
    Scenario("order-second-lost", [path.second_connection_fails()], TCP, BROKEN, instead=[FINE_WITHOUT_DATA],
             stable=("works",)),
    Scenario("order-icmp-stray", [path.second_connection_fails("reject with icmpx type host-unreachable")], TCP, BROKEN,
             instead=[FINE_WITHOUT_DATA], stable=("works",)),
    Scenario("order-icmp-late", [path.icmp_for_handshake_ack("host-unreachable")], TCP, FINE_WITHOUT_DATA),

    # Partial loss of the feature
    Scenario("order-ecn-lossy", [path.lossy_for_ecn()], TCP, BROKEN, instead=[FINE_WITHOUT_DATA], stable=("works",),
             lossy=True),
    Scenario("order-ecn-half-of-syns", [path.half_of_ecn_setup_syns()], TCP, FINE_WITHOUT_DATA),
    Scenario("order-ecn-half-of-connections", [path.half_of_ecn_connections()], TCP, BROKEN,
             instead=[FINE_WITHOUT_DATA], stable=("works",)),
]
