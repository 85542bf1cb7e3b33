"""Many DSCP codepoints: which of them pass, and what class of remarking the path shows. :rfc:`2474`, :rfc:`9435`"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence

from pathspider.base import PluggableSpider, __version__
from pathspider.records import Flow
from pathspider.traversal import AS_SET, BROKEN, WORKS, Exchange, TraversalSpider, Variant, exchange, traffic_class

CODEPOINTS = 64
PRECEDENCE, REST = 0b111000, 0b000111
"""The bits that were the precedence of the type of service, and the others. :rfc:`791`"""

NETWORK = 0b110000
"""Both bits are set in the codepoints of network control, CS6 and CS7, and those beside them. :rfc:`2474`"""

CLASSES: dict[str, Callable[[int, int], bool]] = {
    "none": lambda sent, came: came == sent,
    "tos_precedence": lambda sent, came: came == sent & REST,
    "some_tos": lambda sent, came: came == (sent if sent & NETWORK == NETWORK else sent & REST),
    "low": lambda sent, came: came == sent & PRECEDENCE,
    "some_low": lambda sent, came: came == (sent if sent & NETWORK == NETWORK else sent & PRECEDENCE),
}
"""What a codepoint becomes, by class. :rfc:`9435`, section 4"""

OUTCOMES = {"replymark:<codepoint>": "codepoint of the answer to a SYN with the first codepoint"}

MEANINGS = {
    "class.none": "the target answers with the codepoint that it was asked with, and each came back as it was sent",
    "class.tos_precedence": "so it does, and each came back with the first three bits 0, the others as they were sent",
    "class.some_tos": "the same, but that those whose first two bits are 1 came back as they were sent",
    "class.low": "so it does, and each came back with the last three bits 0, the others as they were sent",
    "class.some_low": "the same, but that those whose first two bits are 1 came back as they were sent",
    "class.remark_tos": "each came back with the same first three bits, not 0, and the others as they were sent",
    "class.remark": "answers depend on what was sent, and in none of these ways",
}


def look(experiment: Exchange, baseline: Exchange | None) -> Iterable[str]:
    """The codepoint that came back."""
    yield f"replymark:{experiment.reply.traffic_class >> 2}"


def class_of(answers: Mapping[int, int]) -> str | None:
    """The class of remarking; None where the target's answers do not depend on what was sent, so that nothing shows
    what arrived, and where fewer codepoints were tried than tell one class from the others.

    :param answers: sent -> came back
    """
    if len({*answers.values()}) < 2:
        return None
    fitting = [name for name, becomes in CLASSES.items() if all(becomes(*pair) for pair in answers.items())]
    precedences = {came & PRECEDENCE for came in answers.values()}
    kept = all(sent & REST == came & REST for sent, came in answers.items())
    if kept and len(precedences) == 1 and precedences != {0}:
        fitting.append("remark_tos")
    return None if len(fitting) > 1 else fitting[0] if fitting else "remark"


class DSCPClass(TraversalSpider, PluggableSpider):
    """Which codepoints pass, with which do answers come back, and how does the path change them?

    Each target gets a SYN with codepoint 0, and one more with each codepoint that is asked for: all 63 others unless
    told otherwise, or so many of them as --variants says. How codepoints are changed shows where the target answers
    with the codepoint that it was asked with.

    Example: pspdr measure -i eth0 dscpclass --variants 8 <targets.ndjson >results.ndjson
    """

    name = "dscpclass"
    description = "DSCP Codepoints, Many at a Target"
    feature = "DSCP"
    questions = {
        "class": "How does the path change codepoints?",
        "<codepoint>.replymark": "Which codepoint do answers carry?",
    }
    version = __version__
    conditions = {
        **Variant("<codepoint>", traffic_class(0), look, OUTCOMES).conditions("dscpclass"),
        **{f"dscpclass.{word}": meaning for word, meaning in MEANINGS.items()},
    }

    located = {
        BROKEN: AS_SET,
        r"dscpclass\.46\.replymark:(?!46$|0$)\d+": AS_SET,  # no class leaves 46 as it is
        r"dscpclass\.(\d+)\.replymark:(?!\1$|0$)\d+": AS_SET,
        r"dscpclass\.46\.connectivity\.works": AS_SET,
        WORKS: AS_SET,
    }

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        TraversalSpider.extra_args(parser)
        parser.add_argument("--codepoints", type=codepoints, default=codepoints("all"), metavar="N[,…]",
                            help="Codepoints from 1 to 63, or all of them. (Default: all)")

    def table(self) -> Sequence[Variant]:
        return [Variant(str(codepoint), traffic_class(codepoint << 2), look, OUTCOMES)
                for codepoint in self.args.codepoints]

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        found = super().combine_flows(flows)
        if not found or found[0].startswith("pathspider."):
            return found
        pairs = [pair for pair in map(exchange, flows) if pair is not None]
        shown = class_of({pair.sent.traffic_class >> 2: pair.reply.traffic_class >> 2 for pair in pairs})
        return [*found, f"dscpclass.class.{shown}"] if shown else found


def codepoints(text: str) -> list[int]:
    """An option's value as codepoints, for argparse."""
    if text == "all":
        return [*range(1, CODEPOINTS)]
    found = []
    for one in text.split(","):
        if not one.isdecimal() or not 0 < int(one) < CODEPOINTS:
            raise argparse.ArgumentTypeError(f"{one!r}: codepoints from 1 to 63, or all, are needed, as in 10,46")
        found.append(int(one))
    return [*dict.fromkeys(found)]
