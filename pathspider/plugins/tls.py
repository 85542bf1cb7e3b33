"""TLS ClientHellos: with encrypted ClientHello, and so large that they take two segments. :rfc:`8446`, :rfc:`9849`"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.segments import SegmentsChain
from pathspider.chains.tcp import TCPChain
from pathspider.conditions import (
    ECN_SWITCHED,
    NOT_OBSERVED,
    all_observed,
    connectivity,
    connectivity_conditions,
    ecn_switched,
    succeeded,
)
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.hello import RECORD_HEADER, Answer, client_hello, connect_hello, record, server_name
from pathspider.helpers.sockets import local_error
from pathspider.records import CONN_FAILED, Connection, Flow, Job

LARGE = 1800
"""Octets of a ClientHello with a post-quantum key share; with it one takes two segments."""

FIRST_SEGMENT = 1300
"""Octets of data in the first segment: fewer than any usual path takes, so that routers need not be asked."""

NOT_AS_SENT = "pathspider.local_error:not_as_sent"


def plain(name: str | None) -> list[bytes]:
    """The baseline: a ClientHello in one segment."""
    return [record(client_hello(name))]


def ech(name: str | None) -> list[bytes]:
    """The same with GREASE in the place of an encrypted ClientHello."""
    return [record(client_hello(name, ech=True))]


def large(name: str | None) -> list[bytes]:
    """One that is too large for a segment, in one record."""
    whole = record(client_hello(name, octets=LARGE))
    return [whole[:FIRST_SEGMENT], whole[FIRST_SEGMENT:]]


def records(name: str | None) -> list[bytes]:
    """The same, in two records: the second segment begins with the second one."""
    message = client_hello(name, octets=LARGE)
    begun = FIRST_SEGMENT - RECORD_HEADER
    return [record(message[:begun]), record(message[begun:])]


HELLOS: dict[str, Callable[[str | None], list[bytes]]] = {"ech": ech, "large": large, "records": records}
"""The experiments: a server's name, or none -> what goes into each segment."""

BASELINE = "plain"

ANSWERS = {
    "server_hello": "the answer was a ServerHello: the ClientHello arrived, and suits the server",
    "alert:<number>": "the answer was a TLS alert of this number, from the server or in its name (RFC 8446, section 6)",
    "incomplete": "a TLS record began to come back, and its end, or the ServerHello's, was missing when the time was "
                  "over or the connection was closed",
    "other": "what came back was not TLS, or nothing that comes before a ServerHello",
    "reset": "the connection was reset",
    "closed": "the connection was closed without an answer",
    "none": "nothing came back until the time was over",
    "no_connection": "the TCP handshake failed, before there was a ClientHello",
}


class TLS(DesynchronizedSpider, PluggableSpider):
    """Do TLS ClientHellos get through that are larger, or stranger, than those of the past?

    Each target gets a ClientHello as browsers sent it for years; one with GREASE in the place of an encrypted
    ClientHello; one of 1,800 octets, as post-quantum key shares make it, in two TCP segments; and one more of these
    whose segments are TLS records of their own. A ServerHello, or what comes back in its place, is the answer; then the
    connection ends.

    Example: pspdr measure -i eth0 tls --hellos ech,large <targets.ndjson >results.ndjson
    """

    name = "tls"
    description = "TLS ClientHellos"
    feature = "A TLS ClientHello"
    features = {
        "ech": "A TLS ClientHello with encrypted ClientHello (GREASE)",
        "large": "A large TLS ClientHello in one record",
        "records": "A large TLS ClientHello in two records",
    }
    questions = {
        "plain.answer": "What answers an ordinary TLS ClientHello?",
        "ech.answer": "What answers a TLS ClientHello with encrypted ClientHello (GREASE)?",
        "large.answer": "What answers a large TLS ClientHello in one record?",
        "records.answer": "What answers a large TLS ClientHello in two records?",
    }
    version = __version__
    chains = [BasicChain, TCPChain, SegmentsChain]
    connect_supported = ["https"]
    capabilities = ("CAP_NET_RAW",)
    located = {r"tls\.\w+\.connectivity\.broken": ()}
    conditions = {
        **{condition: meaning for hello in HELLOS
           for condition, meaning in connectivity_conditions(f"tls.{hello}").items()},
        **{f"tls.{hello}.answer.{word}": meaning for hello in (BASELINE, *HELLOS) for word, meaning in ANSWERS.items()},
        NOT_AS_SENT: "data left in other segments than they had to, or the capture says so",
    }

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--hellos", type=hellos, default=[*HELLOS], metavar="NAME[,…]",
                            help=f"ClientHellos to try: {', '.join(HELLOS)}. (Default: all)")

    def configuration_count(self) -> int:
        return 1 + len(self.args.hellos)

    def perform(self, job: Job, config: int) -> Connection:
        try:
            name = server_name(job)
        except ValueError:
            return local_error("bad_domain")
        hello = self.args.hellos[config - 1] if config else BASELINE
        parts = HELLOS[hello](name) if config else plain(name)
        connection = connect_hello(self.source, job, self.args.timeout, parts)
        connection["tls_hello"] = hello
        return connection

    def is_answer(self, octets: bytes) -> bool | None:
        found = Answer()
        found.take(octets)
        return found.word == "server_hello" if found.is_final else None

    def compared(self, name: str, flows: Sequence[Flow]) -> tuple[Flow, Flow]:
        hello = name.removeprefix(f"{self.name}.")
        return flows[0], next((flow for flow in flows if flow.get("tls_hello") == hello), flows[-1])

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        if ecn_switched(flows, self.asks_for_ecn):
            return [ECN_SWITCHED]
        asked = [flow for flow in flows if was_asked(flow)]
        if any(lost(flow) for flow in asked):
            return [NOT_OBSERVED]
        if not all(left_as_sent(flow["tls_segments"], flow["segments_fwd"], whole=needs_all(flow)) for flow in asked):
            return [NOT_AS_SENT]
        baseline, *experiments = flows
        found = [answer(baseline)]
        for flow in experiments:
            # where TCP fails and the baseline's did not, nobody saw the ClientHello: nothing follows about it
            if was_asked(flow) or not succeeded(baseline):
                found.append(connectivity(prefix(flow), succeeded(baseline), succeeded(flow)))
            found.append(answer(flow))
        return found


def prefix(flow: Flow) -> str:
    """What the conditions of a ClientHello begin with."""
    return ".".join((TLS.name, flow["tls_hello"]))


def was_asked(flow: Flow) -> bool:
    """Whether a ClientHello left at all, or a part of one: a RST may have come before."""
    return bool(flow["tls_answer"] != "no_connection" and flow["tls_segments"])


def answer(flow: Flow) -> str:
    """The condition that says what came back. Where a RST came right behind the SYN-ACK, the kernel says that there was
    no connection, or a moment later that it was reset."""
    said = flow["tls_answer"]
    was_reset = said == "no_connection" and flow["tcp_connected"] and flow["spdr_state"] == CONN_FAILED
    return f"{prefix(flow)}.answer.{'reset' if was_reset else said}"


def lost(flow: Flow) -> bool:
    """Whether the capture lost what a connection says that there was: its data, or what was read from it."""
    read = succeeded(flow) or flow["tls_answer"].partition(":")[0] in ("alert", "incomplete", "other")
    return flow["segments_fwd"] is None or (read and flow["segments_rev"] is None)


def needs_all(flow: Flow) -> bool:
    """Whether all of a ClientHello must have left: a refusal may come before that."""
    return flow["tls_answer"] in ("server_hello", "none")


def left_as_sent(meant: str, seen: str, *, whole: bool = True) -> bool:
    """Whether data left in segments that end where they had to; a path that takes smaller ones has further ends.

    :param meant: octets of each segment, as the chain ``segments`` has them
    :param whole: whether all must have left
    """
    left = ends(seen)
    due = [end for end in ends(meant) if whole or end <= left[-1]]
    return set(due) <= set(left) and left[-1] <= ends(meant)[-1]


def ends(lengths: str) -> Sequence[int]:
    """Behind how many octets each segment ends."""
    found = [0]
    for length in lengths.split(","):
        found.append(found[-1] + int(length))
    return found[1:]


def hellos(text: str) -> list[str]:
    """An option's value as names of ClientHellos, for argparse."""
    found = list(dict.fromkeys(text.split(",")))
    for one in found:
        if one not in HELLOS:
            raise argparse.ArgumentTypeError(f"{one!r} is no ClientHello; there are {', '.join(HELLOS)}")
    return found
