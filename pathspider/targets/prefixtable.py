"""Which prefix an address is in: the longest of those that a table has, IPv4 and IPv6."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")

BITS = {socket.AF_INET: 32, socket.AF_INET6: 128}

Found = tuple[str, V]
"""A prefix as text, such as ``192.0.2.0/24``, and its value."""


def packed(address: str) -> tuple[int, socket.AddressFamily]:
    """An address as a number, and its family; ``OSError`` or ``ValueError`` if it is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, address), "big"), family


def prefix_text(number: int, length: int, family: socket.AddressFamily) -> str:
    """A prefix as text.

    :param number: its first ``length`` bits
    """
    bits = BITS[family]
    return f"{socket.inet_ntop(family, (number << (bits - length)).to_bytes(bits // 8, 'big'))}/{length}"


class PrefixTable(Generic[V]):
    """Values by prefix; for each length a dict by its first bits, so that a lookup costs one step for each length.

    ``docs/decisions/0016-prefix-table.rst`` has what else there is, and figures.
    """

    def __init__(self) -> None:
        self._lengths: dict[socket.AddressFamily, dict[int, dict[int, V]]] = {family: {} for family in BITS}
        self._order: dict[socket.AddressFamily, list[tuple[int, int, dict[int, V]]]] | None = None

    def of_length(self, family: socket.AddressFamily, length: int) -> dict[int, V]:
        """The values of all prefixes of this length by their first bits, to be read and written."""
        if not 0 <= length <= BITS[family]:
            raise ValueError(f"a prefix length of {length}, where {BITS[family]} is the most")
        found = self._lengths[family].get(length)
        if found is None:
            self._order = None
            found = self._lengths[family][length] = {}
        return found

    def insert(self, prefix: str, value: V) -> None:
        """Give a prefix a value, in the place of what it has; bits behind its length do not count.

        :raises ValueError: if it is none
        """
        text, slash, length = prefix.partition("/")
        try:
            number, family = packed(text)
        except (OSError, ValueError):
            raise ValueError(f"{text!r:.100} is no address") from None
        bits = BITS[family]
        if slash and not (length.isascii() and length.isdecimal()):
            raise ValueError(f"{length!r:.100} is no prefix length")
        size = int(length) if slash else bits
        self.of_length(family, size)[number >> max(0, bits - size)] = value

    def find(self, address: str) -> Found[V] | None:
        """The longest prefix that an address (valid, as text) is in, and its value; None if there is none."""
        number, family = packed(address)
        for length, shift, values in self._longest_first()[family]:
            value = values.get(number >> shift)
            if value is not None:
                return prefix_text(number >> shift, length, family), value
        return None

    def _longest_first(self) -> dict[socket.AddressFamily, list[tuple[int, int, dict[int, V]]]]:
        if self._order is None:
            self._order = {family: [(length, BITS[family] - length, lengths[length])
                                    for length in sorted(lengths, reverse=True)]
                           for family, lengths in self._lengths.items()}
        return self._order

    def __len__(self) -> int:
        return sum(len(values) for lengths in self._lengths.values() for values in lengths.values())

    def __iter__(self) -> Iterator[Found[V]]:
        for family, lengths in self._lengths.items():
            for length, values in lengths.items():
                for number, value in values.items():
                    yield prefix_text(number, length, family), value
