"""The longest prefix that an address is in."""

import ipaddress
import random
import unittest

from pathspider.targets.prefixtable import PrefixTable


def random_table(rng, count):
    """Prefixes nested in each other and beside each other, and addresses that are near them."""
    table, plain, addresses = PrefixTable(), {}, []
    for value in range(count):
        bits = rng.choice((32, 128))
        base = rng.choice((0x0A000000, 0xC6120000)) if bits == 32 else rng.choice((0x20010db8, 0x2A000000)) << 96
        number = base | (rng.getrandbits(20) << (rng.choice((0, 4)) if bits == 32 else rng.choice((76, 60, 0))))
        length = rng.randrange(1, bits + 1)
        network = ipaddress.ip_network((number, length), strict=False)
        table.insert(str(network), value)
        plain[network] = value
        addresses.append(ipaddress.ip_address(number ^ rng.getrandbits(rng.randrange(1, bits // 2))) if bits == 32
                         else ipaddress.IPv6Address(number ^ rng.getrandbits(rng.randrange(1, 64))))
    return table, plain, addresses


class TestTable(unittest.TestCase):
    def test_as_a_plain_search_finds(self):
        table, plain, addresses = random_table(random.Random(18), 400)
        by_bits = {bits: sorted(((int(net.network_address), int(net.broadcast_address), net, value)
                                 for net, value in plain.items() if net.max_prefixlen == bits),
                                key=lambda one: -one[2].prefixlen) for bits in (32, 128)}
        found = 0
        for address in addresses * 2:
            number = int(address)
            match = next(((str(net), value) for first, last, net, value in by_bits[address.max_prefixlen]
                          if first <= number <= last), None)
            self.assertEqual(table.find(str(address)), match, address)
            found += match is not None
        self.assertGreater(found, 100)
        self.assertEqual(len(table), len(plain))
        self.assertEqual(dict(table), {str(net): value for net, value in plain.items()})

    def test_ends(self):
        table = PrefixTable()
        self.assertIsNone(table.find("192.0.2.1"))
        for prefix in ("0.0.0.0/0", "192.0.2.1", "::/0", "2001:db8::1/128", "192.0.2.255/25"):
            table.insert(prefix, prefix)
        for address, prefix in {"192.0.2.1": "192.0.2.1/32", "192.0.2.2": "0.0.0.0/0", "2001:db8::1": "2001:db8::1/128",
                                "2001:db8::2": "::/0", "192.0.2.128": "192.0.2.128/25"}.items():
            self.assertEqual(table.find(address)[0], prefix)

    def test_what_is_inserted_last_counts_and_what_is_new_is_found(self):
        table = PrefixTable()
        table.insert("192.0.2.0/24", 1)
        self.assertEqual(table.find("192.0.2.9"), ("192.0.2.0/24", 1))
        table.insert("192.0.2.0/24", 0)
        table.insert("192.0.2.8/31", 2)
        self.assertEqual((table.find("192.0.2.9")[1], table.find("192.0.2.1")[1]), (2, 0))

    def test_what_is_no_prefix(self):
        table = PrefixTable()
        for text in ("192.0.2.0/33", "2001:db8::/129", "192.0.2/24", "x/8", "192.0.2.0/",
                     "192.0.2.0/-1", "fe80::1%eth0"):
            with self.subTest(text), self.assertRaises(ValueError):
                table.insert(text, 1)
        self.assertEqual(len(table), 0)
