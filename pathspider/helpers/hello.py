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
from pathspider.records import CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, Connection, Job
from pathspider.targets.names import to_wire

HANDSHAKE, ALERT = 22, 21
"""Types of records. :rfc:`8446`, section 5.1"""
CLIENT_HELLO, SERVER_HELLO = 1, 2
WARNING, CLOSE_NOTIFY = 1, 0
"""The level of an alert that ends nothing, and the one that ends all the same. :rfc:`5246`, section 7.2"""
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


def behind_warnings(data: bytes) -> tuple[bytes, str | None]:
    """What stands behind the warnings that a server's octets begin with, and which was the last of these: the handshake
    goes on after one, as where the name is not known (112). :rfc:`5246`, section 7.2.2; :rfc:`6066`, section 3"""
    warning = None
    while (len(data) > RECORD_HEADER + 1 and data[0] == ALERT and data[1] == LEGACY_RECORD >> 8
           and data[RECORD_HEADER] == WARNING and data[RECORD_HEADER + 1] != CLOSE_NOTIFY):
        warning = f"alert:{data[RECORD_HEADER + 1]}"
        data = data[RECORD_HEADER + int.from_bytes(data[3:5], "big"):]
    return data, warning


def answer_of(data: bytes) -> str | None:
    """What a server's first octets behind warnings are: ``server_hello``, ``alert:<number>``, or ``other``, which is no
    TLS; None where more are needed to tell. A request for another ClientHello (HelloRetryRequest) is a ServerHello too.
    """
    if (data[:1] and data[0] not in (HANDSHAKE, ALERT)) or (data[1:2] and data[1] != LEGACY_RECORD >> 8):
        return "other"
    if data[:1] == bytes((ALERT,)):
        return f"alert:{data[RECORD_HEADER + 1]}" if len(data) > RECORD_HEADER + 1 else None
    if len(data) > RECORD_HEADER:
        return "server_hello" if data[RECORD_HEADER] == SERVER_HELLO else "other"
    return None


@over(socket.IPPROTO_TCP)
def connect_hello(source: Source, job: Job, timeout: float, parts: Sequence[bytes]) -> Connection:
    """Send a ClientHello, each of its ``parts`` in a segment of its own, and read how the answer begins.

    ``tls_answer`` says what came: what :func:`answer_of` says, a warning (``alert:<number>``) with nothing behind it,
    ``reset``, ``closed``, ``none``, or ``no_connection`` where the TCP handshake failed. ``tls_segments`` are the
    octets of the parts that left: a reset may come before all have. ``spdr_state`` is ``CONN_OK`` for a ServerHello
    alone.
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
            answer = yield from _answer(sock, deadline)
        except OSError as error:
            number = error.errno or 0
            if number in OWN_ERRORS or number in WAITING:
                return local_error(errno_name(number), connection["sp"])
            answer = "none" if number == errno.ETIMEDOUT else "reset"
    if answer != "server_hello":
        connection = failed(CONN_TIMEOUT if answer == "none" else CONN_FAILED, connection["sp"], answer)
    connection["tls_answer"], connection["tls_segments"] = answer, ",".join(left)
    return connection


def _answer(sock: socket.socket, deadline: float) -> Exchange[str]:
    data, warning = b"", None
    while True:
        if not (yield Wait(sock, select.POLLIN, deadline)):
            return warning or "none"
        try:
            more = sock.recv(4096)
        except BlockingIOError:
            continue
        if not more:
            return "other" if data else warning or "closed"
        data, latest = behind_warnings(data + more)
        warning = latest or warning
        if (answer := answer_of(data)) is not None:
            return answer
