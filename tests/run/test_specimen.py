"""The packets that probes are made of."""

import unittest

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from pathspider.libtrace import ip, ip6
from pathspider.run.specimen import MOST_SEGMENTS, SPECIMEN, Specimen, SpecimenChain

US, THEM = {"src": "192.0.2.1", "dst": "198.51.100.7"}, {"dst": "192.0.2.1", "src": "198.51.100.7", "ttl": 55}


def noted(*packets):
    """What the chain keeps of these: (packet, whether it comes back)."""
    chain, rec = SpecimenChain(), {}
    for number, (packet, rev) in enumerate(packets):
        data = bytes(packet)
        view = ip(data) if data[0] >> 4 == 4 else ip6(data)
        if not number:
            assert chain.new_flow(rec, view)
        assert chain.ip4(rec, view, rev)
    return rec[SPECIMEN]


class TestSpecimenChain(unittest.TestCase):
    def test_tcp(self):
        syn, again = IP(**US) / TCP(flags="SEC"), IP(**US) / TCP(flags="S")
        data, more = (IP(**US, tos=2) / TCP(flags="PA") / Raw(one) for one in (b"GET", b"more"))
        accepts, acknowledges = IP(**THEM) / TCP(flags="SA", ack=1), IP(**US) / TCP(flags="A")
        late = IP(**{**THEM, "ttl": 3}) / TCP(flags="A")
        kept = noted((syn, False), (again, False), (accepts, True), (acknowledges, False), (data, False), (more, False),
                     (late, True))
        self.assertEqual(kept, Specimen(bytes(syn), bytes(data), 55, only=False))
        kept = noted((syn, False), (accepts, True), (again, False))
        self.assertEqual(kept, Specimen(bytes(syn), ttl=55, accepted=True))

    def test_data_in_several_segments(self):
        """Each goes on where the one before it ended; what is sent again is not kept twice."""
        for header in IP(**US), IPv6():
            syn = header / TCP(flags="S")
            one, two, gap, three = (header / TCP(flags="PA", seq=seq) / Raw(data) for seq, data in (
                (2 ** 32 - 1, b"ab"), (1, b"cd"), (5, b"later"), (3, b"e")))
            kept = noted((syn, False), (one, False), (one, False), (two, False), (gap, False), (two, False),
                         (three, False))
            self.assertEqual(kept.segments, tuple(map(bytes, (one, two, three))))
            many = [(header / TCP(flags="PA", seq=seq) / Raw(b"x"), False) for seq in range(20)]
            self.assertEqual(len(noted((syn, False), *many).segments), MOST_SEGMENTS)
        self.assertEqual(Specimen(b"x").segments, ())

    def test_who_accepts_a_syn(self):
        for header, back in ((IP(**US), IP(**THEM)), (IPv6(), IPv6())):
            for data in (b"", b"GET"):
                syn = header / TCP(flags="S", seq=2 ** 32 - 1) / Raw(data)
                for flags, ack, accepted in (("SA", 0, True), ("SA", 3, bool(data)), ("SA", 4, False), ("RA", 0, False),
                                             ("SA", 7_000, False), ("A", 0, False), ("S", 0, False)):
                    kept = noted((syn, False), (back / TCP(flags=flags, ack=ack), True))
                    self.assertIs(kept.accepted, accepted, (flags, ack, data))
        acknowledges = IP(**US) / TCP(flags="A", seq=2 ** 32 - 1)
        self.assertFalse(noted((acknowledges, False), (IP(**THEM) / TCP(flags="SA", ack=0), True)).accepted)

    def test_a_fallback_is_what_was_accepted(self):
        """A kernel sends a SYN again without what was asked for: the first one may well have been dropped."""
        options = [("NOP", None), ("NOP", None), (34, b"")]
        syn_ack = IP(**THEM) / TCP(flags="SA", ack=1)
        for first, again, only in (
            (TCP(flags="S", options=options), TCP(flags="S"), False), (TCP(flags="SEC"), TCP(flags="S"), False),
            (TCP(flags="S") / Raw(b"GET"), TCP(flags="S"), False), (TCP(flags="S"), TCP(flags="S", window=9), True),
        ):
            kept = noted((IP(**US) / first, False), (IP(**US) / again, False), (syn_ack, True))
            self.assertEqual((kept.only, kept.accepted), (only, only))

    def test_data_on_the_syn_are_not_data_behind_the_handshake(self):
        syn = IP(**US) / TCP(flags="S") / Raw(b"GET")
        self.assertEqual(noted((syn, False)), Specimen(bytes(syn)))

    def test_udp_over_ipv6(self):
        query = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP() / Raw(b"query")
        self.assertEqual(noted((query, False), (query, False)), Specimen(bytes(query)))

    def test_datagrams_with_a_mark_behind_others(self):
        for header in IP(**US), IPv6(src="2001:db8::1", dst="2001:db8::2"):
            first, more = (header / UDP() / Raw(one) for one in (b"one", b"two"))
            marked = header.copy()
            setattr(marked, "tos" if header.version == 4 else "tc", 2)
            marked /= UDP() / Raw(b"three")
            self.assertEqual(noted((first, False), (more, False), (marked, False), (more, False)),
                             Specimen(bytes(first), bytes(marked)))
            self.assertEqual(noted((first, False), (marked, True)).data, b"")

    def test_who_answers_quic(self):
        begins = b"\xc0\0\0\0\1\0\0"
        for header, back in ((IP(**US), IP(**THEM)), (IPv6(), IPv6())):
            for sent, answer, accepted in ((begins, begins, True), (begins, b"\x40" + bytes(30), False),
                                           (b"query", begins, False), (b"query", b"answer", False)):
                kept = noted((header / UDP() / Raw(sent), False), (back / UDP() / Raw(answer), True))
                self.assertIs(kept.accepted, accepted, (sent, answer))

    def test_no_field_reaches_a_record(self):
        self.assertEqual(SpecimenChain().initial, {})
