"""TCP options of any kind, unknown ones by default: do they pass, and do they come back? :rfc:`9293`, section 3.2"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from functools import partial

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.tcp import TO_EOL, TO_NOP, tcp_options
from pathspider.traversal import Exchange, TraversalSpider, Variant, tcp_option

VALUE = bytes.fromhex("a5c3960f")
"""Of an option whose value is not given: nothing that a host or a middlebox would send by itself."""

DEFAULT_KINDS = "99,200"
"""Reserved by IANA: no host knows them, and none may answer them."""

MOST_VALUE_OCTETS = 18
"""Beside the options that Linux sends, which have 20 of the 40 octets."""

OUTCOMES = {
    "option.returned": "the SYN-ACK had an option of this kind, with another value than was sent",
    "option.mirrored": "the SYN-ACK had this very option, as it was sent",
    "option.not_returned": "the SYN-ACK had no option of this kind: it was not known, or did not arrive",
    "option.unasked": "the SYN-ACK had the same option as that of the baseline, which did not ask",
}
"""What a SYN-ACK can say of an option."""


def look_for(kind: int, experiment: Exchange, baseline: Exchange | None) -> Iterable[str]:
    """What a SYN-ACK says of an option of the SYN."""
    sent, returned = (tcp_options(packet.tcp).get(kind) for packet in experiment)
    unasked = None
    if baseline is not None and kind not in tcp_options(baseline.sent.tcp):
        unasked = tcp_options(baseline.reply.tcp).get(kind)
    if returned is None:
        yield "option.not_returned"
    elif returned == unasked:
        yield "option.unasked"
    else:
        yield "option.mirrored" if returned == sent else "option.returned"


def option_variant(kind: int, value: bytes, name: str | None = None) -> Variant:
    """The row that tries one option; it is called as its kind unless a name is given."""
    return Variant(str(kind) if name is None else name, tcp_option(kind, value), partial(look_for, kind), OUTCOMES)


class TCPOpt(TraversalSpider, PluggableSpider):
    """Do TCP options of a kind break connectivity, and does the SYN-ACK have them?

    Each target gets a SYN as Linux sends it, and one more for each kind with that option: forged, so that a SYN that is
    sent again has it too. Where an option that nobody knows comes back, somebody copies what he does not know.

    Example: pspdr measure -i eth0 tcpopt --kind 99,253=f00d0102 <targets.ndjson >results.ndjson
    """

    name = "tcpopt"
    description = "TCP Options of Any Kind"
    feature = "TCP option"
    questions = {"<kind>.option": "Does the SYN-ACK have the option, too?"}
    version = __version__
    conditions = Variant("<kind>", lambda packet: packet, outcomes=OUTCOMES).conditions("tcpopt")

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        TraversalSpider.extra_args(parser)
        parser.add_argument("--kind", type=options, default=options(DEFAULT_KINDS), metavar="N[=HEX][,…]",
                            help="Kinds of options, from 2 to 255, each with a value in hexadecimal. (Default: "
                                 f"{DEFAULT_KINDS}, reserved ones, with 4 octets)")

    def table(self) -> Sequence[Variant]:
        return [option_variant(kind, value) for kind, value in self.args.kind]


def options(text: str) -> list[tuple[int, bytes]]:
    """An option's value as kinds and values of TCP options, for argparse."""
    found: dict[int, bytes] = {}
    for one in text.split(","):
        kind, equals, value = one.partition("=")
        if not kind.isdecimal() or int(kind) > 255 or int(kind) in (TO_EOL, TO_NOP):
            raise argparse.ArgumentTypeError(f"{one}: a kind of TCP option from 2 to 255 is needed, as in 99 or "
                                             "99=0102")
        if not re.fullmatch(f"([0-9a-fA-F]{{2}}){{0,{MOST_VALUE_OCTETS}}}", value):
            raise argparse.ArgumentTypeError(f"{one}: a value of up to {MOST_VALUE_OCTETS} octets in hexadecimal is "
                                             "needed behind the =, as in 99=0102")
        if int(kind) in found:
            raise argparse.ArgumentTypeError(f"{text}: kind {int(kind)} stands there twice")
        found[int(kind)] = bytes.fromhex(value) if equals else VALUE
    return [*found.items()]
