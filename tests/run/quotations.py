"""Quotations that are spoiled, octet by octet: no exception, and no interval that is not true.

``python -m tests.run.quotations --quotations 100000`` lets searches run over paths that are made up, of eight routers
whose errors are spoiled at random, each of its own share. Sockets are real, nothing leaves them. Needs root.
"""

import argparse
import os
import random
import sys
from collections import Counter
from types import SimpleNamespace

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.helpers.probing import Heard, Reply, Sender
from pathspider.quotation import read
from pathspider.run.locate import PATIENCE, Finding, Material
from pathspider.run.options import RunOptions
from pathspider.run.specimen import Specimen
from pathspider.run.target import Target

OWN = {4: "127.0.0.1", 6: "::1"}
PORT = 9
HOPS = 8
KINDS = {4: (11, 3), 6: (3, 1)}
"""ICMP types: time exceeded, unreachable."""
ECN = ("tcp_flags", "ecn")
SPIDER = SimpleNamespace(args=SimpleNamespace(connect="tcp"), live_options=lambda config: None, options=RunOptions())


def packets(version):
    """Baseline, experiment and what routers that change it make of it, with the fields that differ."""
    own = {"src": OWN[version], "dst": OWN[version]}
    header = IP if version == 4 else IPv6
    mark = {"tos": 2} if version == 4 else {"tc": 2}
    options = [("MSS", 1460), ("SAckOK", b"")]
    syn = {"sport": 1, "dport": PORT, "options": options}
    odd = {**syn, "options": [*options, (99, b"\xa5\xc3")]}
    query = UDP(sport=1, dport=PORT) / Raw(b"query")
    plain = header(**own) / TCP(**syn, flags="S")
    return [
        (plain, header(**own, **mark) / TCP(**syn, flags="SEC"), plain, ECN),
        (plain, header(**own) / TCP(**odd, flags="S"), plain, ("option_99",)),
        (header(**own) / query, header(**own, **mark) / query, header(**own) / query, ("ecn",)),
    ]


def spoil(drawn, message):
    """An ICMP error that is not what it was."""
    data = bytearray(message)
    for _ in range(drawn.randint(1, 3)):
        if not data:
            break
        at = drawn.randrange(len(data))
        how = drawn.randrange(6)
        if how == 0:
            del data[at:]
        elif how == 1:
            data[at] = drawn.randrange(256)
        elif how == 2:
            data[at:] = bytes(len(data) - at)
        elif how == 3:
            data[at:] = drawn.randbytes(len(data) - at)
        elif how == 4:
            data[4 + drawn.randrange(2):6] = drawn.randbytes(1)  # how much there is before extensions
            data += drawn.randbytes(drawn.randrange(40))
        else:
            del data[at:at + drawn.randint(1, 8)]
    return bytes(data)


class Path:
    """Eight routers, one of which changes or drops the experiment, or none does.

    :param kind: ``changed`` or ``dropped``
    :param hop: it does so behind this one; HOPS + 1: nobody does
    :param share: of errors that are spoiled
    """

    def __init__(self, drawn, version, senders, *, kind, hop, share):
        self.drawn, self.version, self.kind, self.hop, self.share = drawn, version, kind, hop, share
        baseline, experiment, changed, self.fields = drawn.choice(packets(version))
        self.changed = Specimen(bytes(changed))
        self.sent = []
        self.quotations = 0
        sender = senders[version]
        sender.send = lambda packet, target: self.sent.append(packet) is None
        record = {"dip": OWN[version], "dp": PORT, "conditions": [], "path": []}
        made_of = Material(Specimen(bytes(baseline), ttl=56), Specimen(bytes(experiment)), kind == "changed", (0, 1))
        self.target = Target(record, Finding("x", kind, self.fields), made_of, sender, SPIDER, whole=False,
                             random=drawn)

    def word(self):
        """Answer each probe, until there is a word."""
        target, now = self.target, 0.0
        try:
            while target.word is None and not target.failed:
                now += 2
                assert target.send(now)
                side, ttl = target.wanted
                self.answer(*target.wanted)
                if target.under_way and target.wanted == (side, ttl):
                    target.look(now + PATIENCE + 0.1)
            return target.word
        finally:
            target.close()

    def answer(self, side, ttl):
        """What comes back for a probe."""
        target, packet = self.target, self.sent[-1]
        experiment = side in ("B", "F")
        if experiment and self.kind == "dropped" and ttl > self.hop:
            return
        if ttl > HOPS and side != "P":
            target.reply(target._flows["B" if side == "C" else side], Reply(True, 56, 0.0))
            return
        if experiment and self.kind == "changed" and ttl > self.hop:
            packet = self.as_changed(packet)
        number = KINDS[self.version][side == "P" and ttl > HOPS]
        message = bytes((number, 0, 0, 0, 0, 0, 0, 0)) + packet
        if self.drawn.random() < self.share:
            message = spoil(self.drawn, message)
        self.quotations += 1
        quoted = read(message, self.version)
        heard = Heard(f"10.0.{ttl}.1" if ttl <= HOPS else OWN[self.version], quoted, 0.0) if quoted else None
        if heard is not None and target.may_be_meant(heard):
            target.hear(heard)

    def as_changed(self, packet):
        """What the routers behind it see: its flow, and the fields as the baseline has them."""
        view = IP if self.version == 4 else IPv6
        one, plain = view(packet), view(self.changed.first)
        setattr(one, *("tos", 0) if self.version == 4 else ("tc", 0))
        if TCP in one:
            one[TCP].flags, one[TCP].options = plain[TCP].flags, plain[TCP].options
            one[TCP].dataofs = None
        return bytes(one)


def fuzz(count, seed):
    """How often each word came, the words that are not true, and how many quotations were read: ``count`` or some
    more."""
    drawn = random.Random(seed)
    senders = {version: Sender(own) for version, own in OWN.items()}
    words, wrong, read_by_now = Counter(), [], 0
    try:
        while read_by_now < count:
            version, kind = drawn.choice((4, 6)), drawn.choice(("changed", "dropped"))
            hop, share = drawn.choice((*range(HOPS), *[HOPS + 1] * HOPS)), drawn.choice((0, 0.1, 0.3, 0.6, 1))
            path = Path(drawn, version, senders, kind=kind, hop=hop, share=share)
            word = path.word()
            read_by_now += path.quotations
            words[word.what] += 1
            if word.interval and not (word.interval[0] <= hop < word.interval[1]):
                wrong.append(f"{word.condition('x')}, but {kind} behind hop {hop}: IPv{version}, {path.fields}, "
                             f"{share} spoiled")
    finally:
        for sender in senders.values():
            sender.close()
    return words, wrong, read_by_now


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quotations", type=int, default=100_000, metavar="N")
    parser.add_argument("--seed", type=int, default=17, metavar="N")
    args = parser.parse_args()
    if os.geteuid():
        parser.error("raw sockets need root")
    found, untrue, number = fuzz(args.quotations, args.seed)
    told = ", ".join(f"{times} {what}" for what, times in found.most_common())
    print(f"{number} quotations, {found.total()} searches: {told}; {len(untrue)} intervals that are not true")
    print(*untrue, sep="\n", end="\n" if untrue else "")
    sys.exit(int(bool(untrue)))
