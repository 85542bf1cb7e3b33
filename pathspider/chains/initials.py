"""What QUIC's Initial packets say, whose keys everybody can derive. :rfc:`9001`, :rfc:`9369`

AES comes from the package ``cryptography``, which is optional: without it nothing is opened, and one warning says so.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

log = logging.getLogger("pathspider")

VERSION_1 = 1
VERSION_2 = 0x6B3343CF

SALT_1 = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
SALT_2 = bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")
SALT_29 = bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899")

SALTS = {
    VERSION_1: SALT_1,
    VERSION_2: SALT_2,
    **dict.fromkeys(range(0xFF00001D, 0xFF000021), SALT_29),  # draft-29 to draft-32 of version 1
    **dict.fromkeys(range(0xFF000021, 0xFF000023), SALT_1),  # draft-33 and draft-34
}
"""By version: what the client's destination connection id is mixed with. :rfc:`9001` section 5.2, :rfc:`9369` section
3.3.1"""

LONGEST_HELLO = 8192
"""Octets of a ClientHello at most, and of its parts that are kept while some before them are missing."""

PARTS = 64
"""Such parts at most."""

ATTEMPTS = 32
"""Packets of one flow that are deciphered at most; a handshake has a handful."""

SAMPLE = 16
"""Octets of the ciphertext that header protection samples, 4 octets behind the begin of the packet number."""

ACK, ACK_ECN, CRYPTO, CONNECTION_CLOSE = 0x02, 0x03, 0x06, 0x1C
"""The frames that an Initial may have, beside PADDING and PING, which are an octet each, 0 and 1. :rfc:`9000` section
12.4"""

TELLING = re.compile(rb"[^\0\1]")
"""How a frame begins that is none of those two."""

CLIENT_HELLO = 1
SERVER_NAME = 0
HOST_NAME = 0
ALPN = 16


class MalformedError(Exception):
    """Something ends before it is complete, or may not be there. What came before it counts."""


class Packet(NamedTuple):
    """An Initial packet as it was captured."""

    data: bytes
    """From its first octet to its last."""
    number_at: int
    """Offset of the packet number."""
    version: int
    """One of ``SALTS``."""
    dcid: bytes
    """Its destination connection id."""


class AES(NamedTuple):
    """What is taken from ``cryptography``."""

    gcm: Callable[[bytes], Any]
    """An object that encrypts and decrypts with a key."""
    ecb: Callable[[bytes], Callable[[bytes], bytes]]
    """A function that enciphers whole blocks with a key."""
    wrong: type[Exception]
    """What ``decrypt`` raises where the tag is not right."""


class Keys(NamedTuple):
    """What protects the Initials of one direction. Ciphers are made of them when they are needed: those take far more
    memory, and there may be many flows."""

    key: bytes
    iv: int
    hp: bytes


@cache
def aes() -> AES | None:
    """AES of ``cryptography``; ``None``, with one warning, where that is not installed."""
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - optional
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
    except ImportError as error:
        log.warning("QUIC: quic_sni, quic_alpn and quic_ack_ecn stay null: they need the Python package cryptography "
                    "(Debian: python3-cryptography; pip: pathspider[quic]): %s", error)
        return None

    def ecb(key: bytes) -> Callable[[bytes], bytes]:
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update

    return AES(AESGCM, ecb, InvalidTag)


def expand_label(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label with SHA-256 and no context, up to 32 octets. :rfc:`8446` section 7.1"""
    name = b"tls13 " + label.encode()
    return hmac.digest(secret, length.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0\1", "sha256")[:length]


def derive(version: int, dcid: bytes, server: bool) -> Keys:
    """The keys of client or server. :rfc:`9001` section 5.2, :rfc:`9369` section 3.3

    :param version: one of ``SALTS``
    :param dcid: destination connection id of the client's first Initial, after a Retry of the first one after it
    """
    initial = hmac.digest(SALTS[version], dcid, "sha256")
    secret = expand_label(initial, "server in" if server else "client in", 32)
    prefix = "quicv2" if version == VERSION_2 else "quic"
    key, iv, hp = (expand_label(secret, f"{prefix} {use}", size) for use, size in (("key", 16), ("iv", 12), ("hp", 16)))
    return Keys(key, int.from_bytes(iv, "big"), hp)


def unprotect(cipher: AES, keys: Keys, packet: Packet) -> bytes | None:
    """The frames of an Initial; ``None`` where these are not its keys, or it was changed. :rfc:`9001` section 5.4"""
    data, number_at = packet.data, packet.number_at
    if len(data) < number_at + 4 + SAMPLE:
        return None
    mask = cipher.ecb(keys.hp)(data[number_at + 4 : number_at + 4 + SAMPLE])
    first = data[0] ^ mask[0] & 0x0F
    end = number_at + (first & 3) + 1
    number = bytes(a ^ b for a, b in zip(data[number_at:end], mask[1:], strict=False))
    header = bytes([first]) + data[1:number_at] + number
    nonce = keys.iv ^ int.from_bytes(number, "big")  # Initials are few: their numbers are not abbreviated
    try:
        plain: bytes = cipher.gcm(keys.key).decrypt(nonce.to_bytes(12, "big"), data[end:], header)
    except cipher.wrong:
        return None
    return plain


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and the offset behind it. :rfc:`9000` section 16"""
    if at >= len(data):
        raise MalformedError
    end = at + (1 << (data[at] >> 6))
    if end > len(data):
        raise MalformedError
    return int.from_bytes(data[at:end], "big") & (1 << 8 * (end - at) - 2) - 1, end


def vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """The octets behind a length of ``width`` octets, and the offset behind them. :rfc:`8446` section 3.4"""
    begin = at + width
    end = begin + int.from_bytes(data[at:begin], "big")
    if end > len(data):
        raise MalformedError
    return data[begin:end], end


def frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind of each frame but PADDING and PING; of CRYPTO frames also offset and octets.

    :raises MalformedError: where one of them is, or may not be in an Initial
    """
    at, size = 0, len(data)
    while (found := TELLING.search(data, at)) is not None:
        at = found.end()
        kind = data[at - 1]
        offset, octets = 0, b""
        if kind in (ACK, ACK_ECN):
            _, at = varint(data, at)  # the largest
            _, at = varint(data, at)  # the delay
            ranges, at = varint(data, at)
            numbers = 1 + 2 * ranges + (3 if kind == ACK_ECN else 0)
            if numbers > size - at:
                raise MalformedError
            for _ in range(numbers):
                _, at = varint(data, at)
        elif kind == CRYPTO:
            offset, at = varint(data, at)
            length, at = varint(data, at)
            if length > size - at:
                raise MalformedError
            octets = data[at : at + length]
            at += length
        elif kind == CONNECTION_CLOSE:
            _, at = varint(data, at)  # the error
            _, at = varint(data, at)  # the frame's type
            length, at = varint(data, at)
            at += length
        else:
            raise MalformedError
        yield kind, offset, octets


def client_hello(data: bytes) -> tuple[str | None, list[str] | None]:
    """Server name and application protocols that a ClientHello asks for; ``None`` where it does not say. What is not
    ASCII in them is written as ``\\xff``. :rfc:`8446` section 4.1.2, :rfc:`6066` section 3, :rfc:`7301`

    :param data: the message without its type and length
    """
    sni, alpn = None, None
    _, at = vector(data, 2 + 32, 1)  # behind version and random: the session id
    _, at = vector(data, at, 2)  # the cipher suites
    _, at = vector(data, at, 1)  # the compression methods
    extensions, _ = vector(data, at, 2)
    at = 0
    while at < len(extensions):
        kind = int.from_bytes(extensions[at : at + 2], "big")
        extension, at = vector(extensions, at + 2, 2)
        if kind == SERVER_NAME:
            names, _ = vector(extension, 0, 2)
            if names[:1] == bytes([HOST_NAME]):
                sni = vector(names, 1, 2)[0].decode("ascii", "backslashreplace")
        elif kind == ALPN:
            protocols, _ = vector(extension, 0, 2)
            alpn, begin = [], 0
            while begin < len(protocols):
                protocol, begin = vector(protocols, begin, 1)
                alpn.append(protocol.decode("ascii", "backslashreplace"))
    return sni, alpn


class Hello:
    """A ClientHello that comes in CRYPTO frames, in whatever order."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.parts: dict[int, bytes] = {}
        self.held = 0
        """Octets in the parts."""
        self.over = False
        """Nothing more is expected: it is complete, or cannot be one."""

    def add(self, at: int, data: bytes) -> bytes | None:
        """Octets of the stream.

        :returns: the message without its type and length, once it is complete
        """
        if self.over or at + len(data) <= len(self.data) or at >= LONGEST_HELLO:
            return None
        if at > len(self.data):
            grown = len(data) - len(self.parts.get(at, b""))
            if grown > 0 and self.held + grown <= LONGEST_HELLO and (at in self.parts or len(self.parts) < PARTS):
                self.parts[at] = data
                self.held += grown
            return None
        self.data += data[len(self.data) - at :]
        while self.parts and (least := min(self.parts)) <= len(self.data):
            part = self.parts.pop(least)
            self.held -= len(part)
            self.data += part[len(self.data) - least :]
        end = 4 + int.from_bytes(self.data[1:4], "big") if len(self.data) >= 4 else 4
        if end > LONGEST_HELLO or self.data[0] != CLIENT_HELLO:
            self.end()
        elif len(self.data) >= end:
            message = bytes(self.data[4:end])
            self.end()
            return message
        return None

    def end(self) -> None:
        """Lets go of what was kept."""
        self.over = True
        self.data.clear()
        self.parts.clear()


class Initials:
    """The Initial packets of one flow, as far as they can be opened."""

    def __init__(self) -> None:
        self.attempts = ATTEMPTS
        self.dcid: bytes | None = None
        """Connection id from which the keys derive."""
        self.client = False
        """Direction of the client: whether that is reverse. Known with the ``dcid``."""
        self.keys: dict[tuple[int, bool], Keys] = {}
        """By version, and whether they are the server's."""
        self.last: tuple[int, bytes] | None = None
        """Version and destination connection id of the client's last packet."""
        self.hello = Hello()
        self.sni: str | None = None
        self.alpn: list[str] | None = None
        self.ack_ecn: bool | None = None

    def add(self, packet: Packet, rev: bool) -> None:
        """A packet; nothing happens where it cannot be opened.

        :param rev: its direction: ``True`` for reverse
        """
        cipher = aes()
        if cipher is None:
            return
        if self.dcid is not None and rev != self.client:
            if not self.ack_ecn:
                self.read_server(self.open(cipher, packet, self.dcid, True))
            return
        if self.hello.over and self.last == (packet.version, packet.dcid):
            return
        plain = None if self.dcid is None else self.open(cipher, packet, self.dcid)
        if plain is None and packet.dcid != self.dcid:  # the first, or the first after a Retry, or of a new connection
            known, self.keys = self.keys, {}
            plain = self.open(cipher, packet, packet.dcid)
            if plain is None:
                self.keys = known
            else:
                self.dcid, self.client = packet.dcid, rev
                if not self.hello.over:
                    self.hello = Hello()
        if plain is not None:
            self.last = packet.version, packet.dcid
            self.read_client(plain)

    def open(self, cipher: AES, packet: Packet, dcid: bytes, server: bool = False) -> bytes | None:
        """The frames of a packet of client or server; ``None`` where it cannot be opened."""
        if self.attempts <= 0:
            return None
        self.attempts -= 1
        keys = self.keys.get((packet.version, server))
        if keys is None:
            keys = self.keys[packet.version, server] = derive(packet.version, dcid, server)
        return unprotect(cipher, keys, packet)

    def read_client(self, plain: bytes) -> None:
        """Frames of the client."""
        if self.hello.over:
            return
        try:
            for kind, at, data in frames(plain):
                message = self.hello.add(at, data) if kind == CRYPTO else None
                if message is not None:
                    self.sni, self.alpn = client_hello(message)
        except MalformedError:
            pass

    def read_server(self, plain: bytes | None) -> None:
        """Frames of the server."""
        try:
            for kind, _, _ in frames(plain or b""):
                if kind in (ACK, ACK_ECN):
                    self.ack_ecn = bool(self.ack_ecn) or kind == ACK_ECN
        except MalformedError:
            pass
