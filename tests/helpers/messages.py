"""DNS messages of hostile servers, for tests."""

import struct

LONGEST = 65535
A_CHAIN = 900
"""Pointers that follow each other."""


def pointer_chains(query: bytes, longest: int = LONGEST) -> bytes:
    """A well-formed response to a query, all of whose thousands of names are chains of :data:`A_CHAIN` pointers.

    The chain stands where nothing is parsed: in a record of an unknown type.
    """
    message = bytearray(query[:2] + struct.pack("!5H", 0x8180, 1, 0, 0, 0) + query[12:])
    first = len(message) + 11
    chain = bytes(2) + b"".join(struct.pack("!H", 0xC000 | first + 2 * number) for number in range(A_CHAIN))
    message += b"\0" + struct.pack("!HHIH", 65280, 1, 0, len(chain)) + chain
    record = struct.pack("!HHHIHB", 0xC000 | first + 2 * A_CHAIN, 65280, 1, 0, 1, 0)
    records = (longest - len(message)) // len(record)
    message += record * records
    struct.pack_into("!H", message, 6, 1 + records)
    return bytes(message)
