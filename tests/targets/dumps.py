"""Files of prefixes, made after the descriptions of their formats: RFC 6396 (MRT), MaxMind DB 2.0."""

import ipaddress
import struct

PEERS = 3


def mrt_record(subtype, body, kind=13):
    return struct.pack(">LHHL", 1_700_000_000, kind, subtype, len(body)) + body


def peer_table(peers=PEERS):
    entries = b"".join(struct.pack(">B4s4sL", 2, bytes(4), bytes([192, 0, 2, peer]), 64500 + peer)
                       for peer in range(peers))
    return mrt_record(1, bytes(4) + struct.pack(">HH", 0, peers) + entries)


def attribute(kind, value, long=False):
    flags = 0x50 if long else 0x40
    return bytes([flags, kind]) + len(value).to_bytes(2 if long else 1, "big") + value


def as_path(*segments, long=False):
    """Each segment a list (a sequence), a set, or a tuple of its type and AS."""
    value = b""
    for segment in segments:
        kind, systems = segment if isinstance(segment, tuple) else (1 if isinstance(segment, set) else 2, segment)
        value += bytes([kind, len(systems)]) + struct.pack(f">{len(systems)}L", *systems)
    return attribute(2, value, long)


def rib_entry(prefix, *paths, path_ids=False):
    """A prefix as so many peers have it: the AS paths as made by :func:`as_path`, or other attributes."""
    network = ipaddress.ip_network(prefix)
    subtype = (2 if network.version == 4 else 4) + (6 if path_ids else 0)
    octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
    body = bytes(4) + bytes([network.prefixlen]) + octets + struct.pack(">H", len(paths))
    for peer, path in enumerate(paths):
        attributes = attribute(1, b"\0") + path + attribute(3, bytes([192, 0, 2, peer % PEERS]))
        body += struct.pack(">HL", peer % PEERS, 0) + (b"\0\0\0\1" if path_ids else b"")
        body += struct.pack(">H", len(attributes)) + attributes
    return mrt_record(subtype, body)


def _field(value):
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_field(key) + _field(one) for key, one in value.items())
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(_field, value))
    kind, number = value
    octets = number.to_bytes(8, "big").lstrip(b"\0")
    return _control(kind, len(octets)) + octets


def _control(kind, size):
    assert size < 285
    first, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return (bytes([kind << 5 | first]) if kind < 8 else bytes([first, kind - 7])) + more


UINT16, UINT32, UINT64 = 5, 6, 9


def mmdb(records, version=6):
    """A database: what stands under each prefix, numbers as pairs of their type and value."""
    nodes = [[None, None]]
    for prefix, record in records.items():
        network = ipaddress.ip_network(prefix)
        number = int(network.network_address)
        length = network.prefixlen + (96 if network.version == 4 and version == 6 else 0)
        at = 0
        for bit in range(length):
            way = number >> ((128 if version == 6 else 32) - 1 - bit) & 1
            if bit == length - 1:
                nodes[at][way] = record
            else:
                if nodes[at][way] is None:
                    nodes.append([None, None])
                    nodes[at][way] = len(nodes) - 1
                at = nodes[at][way]
    tree, data = b"", b""
    for node in nodes:
        for side in node:
            if isinstance(side, dict):
                tree += (len(nodes) + 16 + len(data)).to_bytes(3, "big")
                data += _field(side)
            else:
                tree += (len(nodes) if side is None else side).to_bytes(3, "big")
    about = {"node_count": (UINT32, len(nodes)), "record_size": (UINT16, 24), "ip_version": (UINT16, version),
             "database_type": "Test", "languages": ["en"], "binary_format_major_version": (UINT16, 2),
             "binary_format_minor_version": (UINT16, 0), "build_epoch": (UINT64, 1_700_000_000),
             "description": {"en": "a test"}}
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _field(about)
