"""RIB dumps, made after RFC 6396."""

import io
import random
import socket
import unittest

from pathspider.targets.mrt import MRTError, looks_like_mrt, routes
from tests.targets.dumps import as_path, attribute, mrt_record, peer_table, rib_entry

FOUR = rib_entry("198.18.0.0/15", as_path([64501, 64502, 64510]), as_path([64503, 64510]))


def read(octets):
    return list(routes(io.BytesIO(octets).read))


class TestRoutes(unittest.TestCase):
    def origins(self, *paths):
        [route] = read(peer_table() + rib_entry("2001:db8:8000::/33", *paths))
        self.assertEqual((route.family, route.number, route.length), (socket.AF_INET6, 0x20010db8 << 1 | 1, 33))
        return route.origins

    def test_prefixes_of_both_versions(self):
        found = read(peer_table() + FOUR + rib_entry("2001:db8::/32", as_path([64510])) + rib_entry("0.0.0.0/0"))
        self.assertEqual([(route.number, route.length, route.origins) for route in found],
                         [(198 << 7 | 18 >> 1, 15, [64510]), (0x20010db8, 32, [64510]), (0, 0, [])])

    def test_the_end_of_the_path(self):
        self.assertEqual(self.origins(as_path([64501, 4_200_000_001])), [4_200_000_001])
        self.assertEqual(self.origins(as_path([1] * 255, [2] * 45 + [64510], long=True)), [64510])
        self.assertEqual(self.origins(as_path([64501], (3, [65001, 65002]))), [64501])
        self.assertEqual(self.origins(as_path(), as_path([])), [])
        self.assertEqual(self.origins(attribute(5, bytes(4)) + as_path([64510])), [64510])
        self.assertEqual(self.origins(attribute(4, bytes(4))), [])

    def test_sets(self):
        self.assertEqual(self.origins(as_path([64501], {64511, 64510})), [(64510, 64511)])
        self.assertEqual(self.origins(as_path([64501], {64511})), [64511])

    def test_several_origins_by_how_many_peers_see_them(self):
        paths = [as_path([64501, one]) for one in (64512, 64511, 64511, 64513, 64511, 64513)]
        self.assertEqual(self.origins(*paths), [64511, 64513, 64512])

    def test_additional_paths(self):
        [route] = read(peer_table() + rib_entry("192.0.2.0/24", as_path([64501, 64510]), path_ids=True))
        self.assertEqual(route.origins, [64510])

    def test_other_records_are_passed_over(self):
        multicast = mrt_record(3, FOUR[12:])
        self.assertEqual(len(read(peer_table() + multicast + FOUR)), 1)


class TestWhatIsNone(unittest.TestCase):
    def after(self, octets, says):
        found = []
        with self.assertRaisesRegex(MRTError, says):
            for route in routes(io.BytesIO(octets).read):
                found.append(route)
        return found

    def test_cut_off_and_damaged(self):
        whole = peer_table() + FOUR
        for left in (len(whole) + 5, len(whole) + 40):
            self.assertEqual(len(self.after((whole + FOUR)[:left], f"cut off after octet {len(whole)}")), 1)
        for place, octet in ((4, 33), (8, 9), (16, 200), (19, 200), (23, 200), (25, 200)):
            body = bytearray(FOUR[12:])
            body[place] = octet
            with self.subTest(place):
                self.assertEqual(len(self.after(whole + mrt_record(2, bytes(body)), "damaged")), 1)
        self.after(whole + mrt_record(2, b"\0\0"), "damaged")
        self.after(whole + b"garbage that is long enough", "no record of a RIB dump")

    def test_whatever_is_damaged(self):
        """Nothing but the error that is declared, and what came before is good."""
        rng = random.Random(18)
        whole = peer_table() + FOUR
        damaged = 0
        for _ in range(2000):
            second = bytearray(rib_entry("2001:db8::/32", as_path([64501, 64510]), as_path([1], {64511, 64512})))
            for _ in range(rng.randrange(1, 4)):
                second[rng.randrange(len(second))] = rng.randrange(256)
            found = []
            try:
                for route in routes(io.BytesIO(whole + second).read):
                    found.append(route)
            except MRTError:
                damaged += 1
            self.assertEqual(found[0].origins, [64510])
        self.assertTrue(0 < damaged < 2000)

    def test_other_types(self):
        self.after(mrt_record(1, b"", kind=12), "bgpdump -m")
        self.after(mrt_record(4, b"", kind=16), "updates")

    def test_how_it_looks(self):
        self.assertTrue(looks_like_mrt(peer_table()))
        for other in (b"", b"192.0.2.0\t24\t64496\n", bytes(12)):
            self.assertFalse(looks_like_mrt(other))
