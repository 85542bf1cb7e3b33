"""TLS ClientHellos made by hand, and what answers them. :rfc:`8446`

They are like those of today's browsers, GREASE (:rfc:`8701`) included. Nothing is ever decrypted, so there are no keys
behind what is offered: public keys are random, in the form in which a server takes them.
"""

from __future__ import annotations

import errno
import random
import secrets
import select
import socket
import struct
from collections.abc import Iterable, Sequence
from functools import cache

from pathspider.helpers import poller
from pathspider.helpers.dns import OWN_ERRORS
from pathspider.helpers.poller import Exchange, Wait, clock
from pathspider.helpers.sockets import WAITING, Source, errno_name, failed, is_ipv6, local_error, opening, over
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, Conn, Connection, Job
from pathspider.targets.names import to_wire

HANDSHAKE, ALERT = 22, 21
"""Types of records. :rfc:`8446`, section 5.1"""
CLIENT_HELLO, SERVER_HELLO = 1, 2
WARNING, FATAL, CLOSE_NOTIFY = 1, 2, 0
"""The levels of an alert that ends nothing, and of one that does; the warning that ends all the same. :rfc:`5246`,
section 7.2"""
LEGACY_MAJOR = b"\3"
"""The first octet of all versions that records and messages name."""
MOST_IN_RECORD, LEAST_SERVER_HELLO = 1 << 14, 38
"""Octets in a record, and of a ServerHello without a session or extensions. :rfc:`8446`, sections 5.1 and 4.1.3"""
MOST_OCTETS = 1 << 16
"""That are read before a ServerHello is all there, or something else that ends it."""
RECORD_HEADER, MESSAGE_HEADER, EXTENSION_HEADER = 5, 4, 4
"""Octets."""
LEGACY_RECORD, LEGACY_VERSION = 0x0301, 0x0303
"""The versions that the header of a first record and a ClientHello name, whatever they offer."""

CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D,
           0x002F, 0x0035)
X25519, SECP256R1, SECP384R1, X25519MLKEM768 = 0x001D, 0x0017, 0x0018, 0x11EC
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
SERVER_NAME, STATUS_REQUEST, GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS, ALPN, TIMESTAMPS = 0, 5, 10, 11, 13, 16, 18
PADDING, MASTER_SECRET, TICKET, VERSIONS, PSK_MODES, KEY_SHARE = 21, 23, 35, 43, 45, 51
ECH, RENEGOTIATION = 0xFE0D, 0xFF01
"""Types of extensions. :rfc:`8446`, section 4.2; :rfc:`9849`"""

MLKEM_VALUES, MLKEM_MODULUS, MLKEM_SEED = 768, 3329, 32
"""Of an encapsulation key of ML-KEM-768: numbers of 12 bits, each below the modulus, and random octets. FIPS 203"""

ECH_KEY, ECH_PAYLOADS = 32, (144, 176, 208, 240)
"""Octets of an X25519 public key, and of payloads: a ClientHello padded to 32 octets, and a tag of 16."""


def grease() -> int:
    """One of the values that mean nothing. :rfc:`8701`, section 2"""
    return 0x0A0A + 0x1010 * secrets.randbelow(16)


def vector(size: int, content: bytes) -> bytes:
    """A variable-length vector whose length takes ``size`` octets. :rfc:`8446`, section 3.4"""
    return len(content).to_bytes(size, "big") + content


def numbers(values: Iterable[int]) -> bytes:
    """Numbers of two octets each."""
    values = tuple(values)
    return struct.pack(f"!{len(values)}H", *values)


def extension(kind: int, content: bytes = b"") -> bytes:
    """An extension."""
    return kind.to_bytes(2, "big") + vector(2, content)


@cache
def mlkem_key() -> bytes:
    """An encapsulation key of ML-KEM-768, to which nobody has the other half. One for the process: to make it takes
    longer than all else, and a server refuses octets that are no key (FIPS 203, section 7.2)."""
    packed = bytearray()
    values = [secrets.randbelow(MLKEM_MODULUS) for _ in range(MLKEM_VALUES)]
    for low, high in zip(values[::2], values[1::2], strict=True):
        packed += (low | high << 12).to_bytes(3, "little")
    return bytes(packed) + secrets.token_bytes(MLKEM_SEED)


def grease_ech() -> bytes:
    """The extension of a client that has no key to encrypt its ClientHello with. :rfc:`9849`, section 6.2"""
    outer = b"\0" + numbers((0x0001, 0x0001)) + secrets.token_bytes(1)  # HKDF-SHA256, AES-128-GCM; the key's number
    payload = secrets.token_bytes(random.choice(ECH_PAYLOADS))
    return extension(ECH, outer + vector(2, secrets.token_bytes(ECH_KEY)) + vector(2, payload))


def client_hello(name: str | None, *, ech: bool = False, octets: int = 0) -> bytes:
    """A ClientHello, from the handshake message's header on.

    :param name: the server's name as it goes on the wire; None to send none
    :param ech: with GREASE in the place of an encrypted ClientHello
    :param octets: with a post-quantum key share (X25519MLKEM768), padded to this length (:rfc:`7685`); 0: without
    """
    group, first, last = grease(), grease(), grease()
    if first == last:  # no type of extension may stand there twice
        last = 0x0A0A if first != 0x0A0A else 0x1A1A
    groups, shares = [group, X25519, SECP256R1, SECP384R1], numbers((group,)) + vector(2, b"\0")
    if octets:
        groups.insert(1, X25519MLKEM768)
        shares += numbers((X25519MLKEM768,)) + vector(2, mlkem_key() + secrets.token_bytes(32))
    shares += numbers((X25519,)) + vector(2, secrets.token_bytes(32))
    extensions = b"".join((
        extension(first),
        extension(SERVER_NAME, vector(2, b"\0" + vector(2, name.encode("ascii")))) if name else b"",
        extension(MASTER_SECRET),
        extension(RENEGOTIATION, b"\0"),
        extension(GROUPS, vector(2, numbers(groups))),
        extension(POINT_FORMATS, vector(1, b"\0")),
        extension(TICKET),
        extension(ALPN, vector(2, vector(1, b"h2") + vector(1, b"http/1.1"))),
        extension(STATUS_REQUEST, b"\1" + bytes(4)),
        extension(SIGNATURE_ALGORITHMS, vector(2, numbers(SIGNATURES))),
        extension(TIMESTAMPS),
        extension(KEY_SHARE, vector(2, shares)),
        extension(PSK_MODES, vector(1, b"\1")),
        extension(VERSIONS, vector(1, numbers((grease(), 0x0304, 0x0303)))),
        grease_ech() if ech else b"",
        extension(last, b"\0"),
    ))
    begun = (LEGACY_VERSION.to_bytes(2, "big") + secrets.token_bytes(32) + vector(1, secrets.token_bytes(32))
             + vector(2, numbers((grease(), *CIPHERS))) + vector(1, b"\0"))
    missing = octets - MESSAGE_HEADER - len(begun) - 2 - len(extensions)
    if missing >= EXTENSION_HEADER:
        extensions += extension(PADDING, bytes(missing - EXTENSION_HEADER))
    return bytes((CLIENT_HELLO,)) + vector(3, begun + vector(2, extensions))


def record(fragment: bytes) -> bytes:
    """A record of a handshake, or a part of one. :rfc:`8446`, section 5.1"""
    return struct.pack("!BH", HANDSHAKE, LEGACY_RECORD) + vector(2, fragment)


def server_name(job: Job) -> str | None:
    """The name that a ClientHello to a job's target has; None where it has none, which an address is no name for.

    :exc:`ValueError` where there is one that cannot be.
    """
    domain = job.get("domain")
    if not domain:
        return None
    name = to_wire(domain)
    try:
        is_ipv6(name)
    except ValueError:
        return None if name == "." else name
    return None


class Answer:
    """What a server's octets are, as they come."""

    def __init__(self) -> None:
        self.word = "none"
        """``server_hello``: all of a ServerHello, in however many records (a HelloRetryRequest is one, too);
        ``alert:<number>``, a warning unless it is final: behind one the handshake goes on, as where the name is not
        known (112); ``other``: no TLS, or none that comes before a ServerHello; ``incomplete``: the beginning of one
        of these; ``none``. :rfc:`8446`, section 5; :rfc:`5246`, section 7.2; :rfc:`6066`, section 3"""
        self.is_final = False
        """Whether that is all that is to be known."""
        self._octets = 0
        self._rest = b""
        """From the beginning of a record on that is not all there."""
        self._message = b""
        """Of a handshake, from whole records."""

    def take(self, data: bytes) -> None:
        """Look at what comes next."""
        self._octets += len(data)
        self._rest += data
        while self._rest and not self.is_final and self._look():
            pass
        if self._octets > MOST_OCTETS and not self.is_final:
            self._is("other")

    def _look(self) -> bool:
        """Look at a record, or the beginning of one; whether all of it was there."""
        if not may_be_record(self._rest):
            self._is("other")
            return False
        ends = RECORD_HEADER + int.from_bytes(self._rest[3:RECORD_HEADER], "big")
        fragment, is_whole = self._rest[RECORD_HEADER:ends], RECORD_HEADER < ends <= len(self._rest)
        if self._rest[0] == HANDSHAKE:
            self._take_handshake(fragment, is_whole=is_whole)
        elif is_whole:
            self._take_alerts(fragment)
        if not self.is_final and (self._message or not is_whole):
            self.word = "incomplete"
        self._rest = self._rest[ends:] if is_whole else self._rest
        return is_whole

    def _take_handshake(self, fragment: bytes, *, is_whole: bool) -> None:
        message = self._message + fragment
        if not may_be_server_hello(message):
            self._is("other")
        elif len(message) >= max(message_octets(message), MESSAGE_HEADER + LEAST_SERVER_HELLO):
            self._is("server_hello")
        elif is_whole:
            self._message = message

    def _take_alerts(self, fragment: bytes) -> None:
        levels, numbers = fragment[::2], fragment[1::2]
        if len(levels) != len(numbers) or not {*levels} <= {WARNING, FATAL}:
            self._is("other")  # it is encrypted, where nothing can be yet
            return
        self.word = f"alert:{numbers[-1]}"
        for level, number in zip(levels, numbers, strict=True):
            if level == FATAL or number == CLOSE_NOTIFY:
                self._is(f"alert:{number}")
                return

    def _is(self, word: str) -> None:
        self.word, self.is_final = word, True


def may_be_record(data: bytes) -> bool:
    """Whether octets, of which there is at least one, begin as the record of a handshake, or of an alert."""
    return (data[0] in (HANDSHAKE, ALERT) and data[1:2] in (b"", LEGACY_MAJOR)
            and (len(data) < RECORD_HEADER or 0 < int.from_bytes(data[3:RECORD_HEADER], "big") <= MOST_IN_RECORD))


def may_be_server_hello(message: bytes) -> bool:
    """Whether octets begin as a ServerHello does. :rfc:`8446`, section 4.1.3"""
    return (message[:1] in (b"", bytes((SERVER_HELLO,))) and message[MESSAGE_HEADER:][:1] in (b"", LEGACY_MAJOR)
            and (len(message) < MESSAGE_HEADER
                 or LEAST_SERVER_HELLO <= message_octets(message) - MESSAGE_HEADER <= MOST_IN_RECORD))


def message_octets(message: bytes) -> int:
    """The length of a handshake message, its header included. :rfc:`8446`, section 4"""
    return MESSAGE_HEADER + int.from_bytes(message[1:MESSAGE_HEADER], "big")


@over(socket.IPPROTO_TCP)
def connect_hello(source: Source, job: Job, timeout: float, parts: Sequence[bytes]) -> Connection:
    """Send a ClientHello, each of its ``parts`` in a segment of its own, and read how the answer begins.

    ``tls_answer`` says what came: an :class:`Answer`'s word, ``reset``, ``closed`` in the place of ``none``, or
    ``no_connection`` where the TCP handshake failed. ``tls_segments`` are the octets of the parts that left: a reset
    may come before all have. ``spdr_state`` is ``CONN_OK`` for a ServerHello alone.
    """
    return poller.run(_exchange(source, job, clock() + timeout, parts), here=False)


def _exchange(source: Source, job: Job, deadline: float, parts: Sequence[bytes]) -> Exchange[Connection]:
    # without Nagle's algorithm each part leaves at once, as a segment
    connection = yield from opening(source, job, deadline, [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
    if connection["spdr_state"] != CONN_OK:
        if connection["spdr_state"] != CONN_SKIPPED:
            connection["tls_answer"] = "no_connection"
        return connection
    left: list[str] = []
    with connection.pop("client") as sock:
        try:
            for part in parts:
                left.append(str(sock.send(part)))  # the buffer of a new connection has room for all of it
            answer, state = yield from _answer(sock, deadline)
        except OSError as error:
            number = error.errno or 0
            if number in OWN_ERRORS or number in WAITING:
                return local_error(errno_name(number), connection["sp"])
            answer, state = ("none", CONN_TIMEOUT) if number == errno.ETIMEDOUT else ("reset", CONN_FAILED)
    if state != CONN_OK:
        connection = failed(state, connection["sp"], answer)
    connection["tls_answer"], connection["tls_segments"] = answer, ",".join(left)
    return connection


def _answer(sock: socket.socket, deadline: float) -> Exchange[tuple[str, Conn]]:
    """What came, and the state that this makes of the connection."""
    answer = Answer()
    while True:
        if not (yield Wait(sock, select.POLLIN, deadline)):
            return answer.word, CONN_FAILED if answer.word.startswith("alert:") else CONN_TIMEOUT
        try:
            more = sock.recv(4096)
        except BlockingIOError:
            continue
        answer.take(more)
        if answer.is_final:
            return answer.word, CONN_OK if answer.word == "server_hello" else CONN_FAILED
        if not more:
            return "closed" if answer.word == "none" else answer.word, CONN_FAILED
