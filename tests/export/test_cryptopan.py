"""Crypto-PAn: the published samples, prefixes, keys."""

import subprocess
import sys
import unittest
from ipaddress import ip_address
from random import Random

from pathspider.export.cryptopan import CryptoPAn, read_key
from tests.export.optional import with_cryptography

KEY = bytes([21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
             216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2])
"""Of the sample that comes with the authors' program, Crypto-PAn 1.0."""
SAMPLES = {
    "128.11.68.132": "135.242.180.132", "129.118.74.4": "134.136.186.123", "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160", "192.102.249.13": "252.138.62.131",
    # of IPv6: what yacryptopan's tests have for the same key
    "::1": "78ff:f001:9fc0:20df:8380:b1f1:704:ed", "::2": "78ff:f001:9fc0:20df:8380:b1f1:704:ef",
    "2001:db8::1": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e", "2001:db8::2": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"}


def common_bits(one, other):
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@with_cryptography
class TestCryptoPAn(unittest.TestCase):
    def test_samples(self):
        mapping = CryptoPAn(KEY)
        for address, other in SAMPLES.items():
            self.assertEqual(mapping.text(address), other)

    def test_common_prefixes_keep_their_length(self):
        mapping, rng = CryptoPAn(bytes(range(32))), Random(1)
        for bits, kind in ((32, "0.0.0.0"), (128, "::")):
            for common in range(bits):
                one = rng.getrandbits(bits)
                other = one ^ (1 << bits - common - 1) ^ rng.getrandbits(bits - common - 1)
                pair = [type(ip_address(kind))(value) for value in (one, other)]
                self.assertEqual(common_bits(*map(mapping.address, pair)), common)

    def test_another_key_makes_other_addresses(self):
        one, other = (CryptoPAn(bytes([number]) * 32).text("192.0.2.1") for number in (1, 2))
        self.assertNotEqual(one, other)

    def test_what_is_no_address(self):
        with self.assertRaises(ValueError):
            CryptoPAn(KEY).text("www.example.com")
        with self.assertRaises(ValueError):
            CryptoPAn(b"short")


class TestKey(unittest.TestCase):
    def test_forms(self):
        for data in (KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n"):
            self.assertEqual(read_key(data), KEY)
        for data in (b"", b"secret", KEY[:31], b"zz" * 32, KEY.hex().encode() + b"00"):
            with self.assertRaisesRegex(ValueError, "openssl rand -hex 32"):
                read_key(data)

    def test_without_cryptography(self):
        code = ("import sys; sys.modules['cryptography'] = None\n"
                "from pathspider.export.cryptopan import *\n"
                "try: CryptoPAn(bytes(32))\nexcept MissingCryptographyError as error: print(error)")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertIn(b"python3-cryptography", done.stdout)
