"""TCP Fast Open: data on the SYN. :rfc:`7413`"""

from __future__ import annotations

import argparse
from time import monotonic

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.handshake import HandshakeChain
from pathspider.chains.plainsyn import PlainSYNChain
from pathspider.chains.tcp import TCPChain, has_syn_ack
from pathspider.chains.tfo import TFOChain
from pathspider.conditions import (
    ECN_SWITCHED,
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    ecn_switched,
    handshake,
    handshake_conditions,
    response_conditions,
    succeeded,
)
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.modes import connect
from pathspider.helpers.tfo import FAST_OPEN, CookieCache
from pathspider.records import CONN_OK, Connection, Flow, Job

CLIENT, WITHOUT_COOKIE = 0x1, 0x4
"""Bits of net.ipv4.tcp_fastopen: ask for cookies and use them; send data without one."""

COOKIE_LENGTHS = range(4, 17, 2)
"""Of cookies that a client takes. :rfc:`7413`, section 4.1.1"""

FIRST_RESEND = 1.0
"""Seconds after which Linux sends an unanswered SYN again, then without Fast Open. :rfc:`6298`"""


class TFO(DesynchronizedSpider, PluggableSpider):
    """Does TCP Fast Open break connectivity, does the target hand out a cookie, and does it take data on the SYN?

    Each target gets three connections: one without Fast Open, one that asks for a cookie, one that uses it. Conclusions
    come from the first and the third. The kernel's cookie for the target is forgotten first; where the target answers a
    request without giving a cookie, it is asked once more, with the experimental option kind, as the kernel does.

    Example: pspdr measure -i eth0 tfo --connect dnstcp <targets.ndjson >results.ndjson
    """

    name = "tfo"
    description = "TCP Fast Open"
    feature = "TCP Fast Open"
    questions = {"cookie": "Does the target hand out a cookie?", "syndata": "Is the data on the SYN taken?"}
    version = __version__
    chains = [BasicChain, TCPChain, TFOChain, PlainSYNChain]
    passive_chains = [*chains, HandshakeChain]
    connect_supported = ["http", "dnstcp"]
    compares_responses = True
    conditions = {
        **connectivity_conditions("tfo"),
        **response_conditions("tfo", connect_supported),
        **handshake_conditions("tfo"),
        "tfo.cookie.received": "the third SYN carried a cookie",
        "tfo.cookie.not_received": "the third SYN carried no cookie",
        "tfo.syndata.acked": "the SYN-ACK acknowledged SYN and data",
        "tfo.syndata.not_acked": "the SYN-ACK acknowledged the SYN, and not all of the data",
        "tfo.syndata.failed": "no SYN-ACK came to the SYN with data",
        "pathspider.local_error:tfo_not_configured": "the SYNs that left lacked the option asked for",
        "pathspider.not_observed": "also where the path loses, or challenges, first SYNs of any kind",
    }
    capabilities = ("CAP_NET_RAW", "CAP_NET_ADMIN")
    fixed_order = True
    located = {
        r"tfo\.connectivity\.broken": ("tfo", "payload_length"),
        r"tfo\.cookie\.not_received": ("tfo",),
        r"tfo\.syndata\.(not_acked|failed)": ("tfo", "payload_length"),
    }
    most_per_address = 1  # nobody else may touch a target's cookie until it was used

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self._cookies: CookieCache | None = None

    def borrow(self) -> None:
        """Have the kernel use Fast Open, with cookies, whatever it has met before; once, for the whole run."""
        bits = int(self.settings.read("net.ipv4.tcp_fastopen"), 0)
        # Borrowed even where it is right: two such runs would take each other's cookies away.
        self.settings.sysctl("net.ipv4.tcp_fastopen", (bits | CLIENT) & ~WITHOUT_COOKIE)
        if self.settings.read("net.ipv4.tcp_fastopen_blackhole_timeout_sec") != "0":
            self.settings.sysctl("net.ipv4.tcp_fastopen_blackhole_timeout_sec", 0)
        self._cookies = CookieCache()

    @property
    def cookies(self) -> CookieCache:
        """The kernel's cookies, from :meth:`borrow` on."""
        assert self._cookies is not None
        return self._cookies

    def finish(self) -> None:
        super().finish()
        if self._cookies is not None:
            self._cookies.close()

    def conn_no_tfo(self, job: Job, config: int) -> Connection:
        """An ordinary connection."""
        return connect(self.args.connect, self.source, job, self.args.timeout)

    def conn_cookie(self, job: Job, config: int) -> Connection:
        """Ask for a cookie."""
        self.cookies.forget(job["dip"])
        connection = self._fast_open(job)
        if connection["spdr_state"] == CONN_OK and not self.cookies.cookie(job["dip"]):
            self.one_more()
            connection = self._fast_open(job)
        return connection

    def conn_tfo(self, job: Job, config: int) -> Connection:
        """Use the cookie; once more if it took so long that a SYN may have been sent again, since any path loses some.

        A slow answer takes as long. Its second connection costs a little, and says the same. Where the data on the SYN
        were acknowledged, no second one can say more.
        """
        began = monotonic()
        connection = self._fast_open(job)
        late = monotonic() - began >= FIRST_RESEND and not connection.get("syn_data_acked")
        if connection["spdr_state"] == CONN_OK and late:
            self.one_more()
            connection = self._fast_open(job)
        return connection

    connections = [conn_no_tfo, conn_cookie, conn_tfo]

    def _fast_open(self, job: Job) -> Connection:
        return connect(self.args.connect, self.source, job, self.args.timeout, sockopts=FAST_OPEN)

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        baseline, request, experiment = flows
        if baseline["tfo_synkind"] or not request["tfo_synkind"] or request["tfo_synclen"] \
                or not experiment["tfo_synkind"]:
            return ["pathspider.local_error:tfo_not_configured"]
        if any(succeeded(flow) and not has_syn_ack(flow) for flow in flows):
            return [NOT_OBSERVED]  # it came up, but the capture lost the packet that shows how
        fell_back = succeeded(experiment) and only_by_fallback(experiment)
        if fell_back and baseline["tfo_resent"]:
            return [NOT_OBSERVED]  # the path is slow or loses first SYNs of any kind: Fast Open was not put to the test
        found = [connectivity("tfo", succeeded(baseline), succeeded(experiment) and not fell_back)]
        if not only_by_fallback(experiment):
            found += handshake("tfo", baseline, experiment)
        if experiment["tfo_synclen"] or has_syn_ack(request):  # otherwise nobody was there to give one
            found.append(f"tfo.cookie.{'received' if experiment['tfo_synclen'] else 'not_received'}")
        if experiment["tfo_dlen"]:
            found.append(f"tfo.syndata.{syn_data(experiment)}")
        return found

    @classmethod
    def passive_conditions(cls, flow: Flow) -> list[str]:
        """That a SYN carried a cookie, or that one which asked for it got one; and what became of data on a SYN with a
        cookie. A SYN-ACK without a cookie is not the last word: the client may ask with another option kind."""
        if not flow["handshake_whole"] or not flow["tfo_synkind"]:
            return []
        cookie = flow["tfo_synclen"]
        found = ["tfo.cookie.received"] if cookie or flow["tfo_ackclen"] in COOKIE_LENGTHS else []
        return [*found, f"tfo.syndata.{syn_data(flow)}"] if cookie and flow["tfo_dlen"] else found


def acknowledged(flow: Flow) -> int:
    """How much of SYN (1) and data the SYN-ACK acknowledged; 0 without a SYN-ACK."""
    return (flow["tfo_ack"] - flow["tfo_seq"]) % (1 << 32) if has_syn_ack(flow) else 0


def only_by_fallback(flow: Flow) -> bool:
    """True if the connection came up for a SYN without Fast Open alone: nothing in the SYN-ACK answers the other."""
    return flow["tfo_fell_back"] and acknowledged(flow) <= 1 and not flow["tfo_ackkind"]


def syn_data(flow: Flow) -> str:
    """What became of the data on the SYN: ``acked``, ``not_acked``, or ``failed`` if no SYN-ACK came for this SYN."""
    if not has_syn_ack(flow) or only_by_fallback(flow):
        return "failed"
    return "acked" if acknowledged(flow) == 1 + flow["tfo_dlen"] else "not_acked"
