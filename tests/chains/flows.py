"""Runs frames through one chain, as plain Python and compiled, and checks that both say the same; all the chains."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any
from unittest import TestCase

from pathspider.chains.base import Chain
from pathspider.libtrace import FlowTable
from pathspider.libtrace.compiled import twin

NAMES = ("basic", "dns", "dscp", "ecn", "evidence", "evil", "fallback", "feedback", "handshake", "headers", "hops",
         "icmp", "mss", "noop", "quic", "segments", "sizes", "tcp", "tfo", "udp")


def chain_of(name: str) -> type[Chain]:
    """The chain class of a module."""
    module = import_module(f"pathspider.chains.{name}")
    return next(
        v
        for v in vars(module).values()
        if isinstance(v, type) and issubclass(v, Chain) and v.__module__ == module.__name__
    )


def seen(record: dict[str, Any]) -> set[str]:
    """The marks that an ECNChain's record names."""
    return {name.removeprefix("ecn_") for name, value in record.items() if value}


class ChainTest(TestCase):
    """The records of frames, whichever way the chain runs."""

    def flows(self, chain: type[Chain], frames: Iterable[bytes], linktype: int = 1) -> list[dict[str, Any]]:
        """All records, in the order in which flows end; ``pkt_first`` and ``pkt_last`` left out."""
        kinds = {chain, twin(chain)}
        found = []
        for kind in kinds:
            table = FlowTable([kind()])
            records = []
            for number, data in enumerate(frames):
                records += table.feed(data, 1000 + number / 1000, linktype)
            records += table.flush()
            for record in records:
                self.assertEqual(set(record), {*chain.fields, "pkt_first", "pkt_last"})
                for name, field in chain.fields.items():
                    if record[name] is not None:
                        self.assertIs(type(record[name]), field.type, name)
                del record["pkt_first"], record["pkt_last"]
            found.append(records)
        for records in found[1:]:
            self.assertEqual(records, found[0])
        return found[0]

    def flow(self, chain: type[Chain], *frames: bytes) -> dict[str, Any]:
        """The record of frames that are one flow."""
        (record,) = self.flows(chain, frames)
        return record

    def completes(self, chain: type[Chain], frames: list[bytes]) -> bool:
        """Whether the chain said that the flow is complete: it ends 5 seconds after the last frame, not 30."""
        answers = set()
        for kind in {chain, twin(chain)}:
            table = FlowTable([kind()])
            for data in frames:
                table.feed(data, 1000.0)
            answers.add(bool(table.advance(1006.0)))
        (answer,) = answers
        return answer
