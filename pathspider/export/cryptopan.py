"""Crypto-PAn: addresses become others, so that two with a common prefix still have one of the same length.

J. Xu, J. Fan, M. Ammar, S. Moon: Prefix-preserving IP address anonymization, ICNP 2002. Scheme and key are those of the
authors' program, so that other programs with the same key make the same addresses. IPv6 is done alike, over 128 bits.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

KEY_LENGTH = 32
"""Octets: the key of AES-128, and the padding."""


class MissingCryptographyError(Exception):
    """The package ``cryptography`` is not installed; the text says what to do."""


class CryptoPAn:
    """A mapping of addresses.

    :param key: :data:`KEY_LENGTH` octets
    :raises MissingCryptographyError: where there is no AES
    """

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - optional
        except ImportError:
            raise MissingCryptographyError("--anonymise needs the Python package cryptography: install it (apt install "
                                           "python3-cryptography, or pip install cryptography)") from None
        if len(key) != KEY_LENGTH:
            raise ValueError(f"{len(key)} octets, where {KEY_LENGTH} are needed")
        self._encrypt = Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor().update
        self._pad = int.from_bytes(self._encrypt(key[16:]))
        self.text = lru_cache(maxsize=100_000)(self._text)

    def address(self, address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """The address that stands for this one."""
        length = address.max_prefixlen
        value = int(address)
        blocks = bytearray()
        for known in range(length):  # that many bits of the address, and of the padding the others
            rest = 128 - known
            blocks += ((value >> length - known << rest) | (self._pad & (1 << rest) - 1)).to_bytes(16)
        encrypted = self._encrypt(bytes(blocks))
        flips = 0
        for octet in encrypted[::16]:
            flips = flips << 1 | octet >> 7
        return type(address)(value ^ flips)

    def _text(self, address: str) -> str:
        """The same of a text; ``ValueError`` where it is no address."""
        return str(self.address(ip_address(address)))


def read_key(data: bytes) -> bytes:
    """What is in a key file, 32 octets or 64 hexadecimal digits, as a key; ``ValueError`` for anything else."""
    if len(data) == KEY_LENGTH:
        return data
    try:
        key = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_LENGTH:
        raise ValueError("a key is 32 octets, or 64 hexadecimal digits: `openssl rand -hex 32` makes one")
    return key
