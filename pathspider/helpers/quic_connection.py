"""aioquic's connection, and what it does not tell of a server: ECN counts, who ended it. Loaded where aioquic is.

It tells these by no interface of its own: methods are extended that are private to it, as version 1.7.2 has them, which
is the least that is asked for. Of those that read frames and versions a test fails where they are not called any more.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any

from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicReceiveContext
from aioquic.quic.packet import QuicFrameType, QuicHeader, pull_ack_frame
from aioquic.tls import Epoch, Group

logging.getLogger("quic").addHandler(logging.NullHandler())
logging.getLogger("quic").propagate = False  # what a network does is no error of ours

NO_ERROR = 0x100
"""Of HTTP/3. :rfc:`9114`, section 8.1"""
INITIAL_RTT = 0.333
"""Seconds, before anything is known: the first packet is sent again after twice as many. :rfc:`9002`, section 6.2.2"""
GROUPS = (Group.X25519, Group.SECP256R1)
"""Of the keys that are sent: servers have one of these (:rfc:`8446`, section 9.1), and aioquic's others take longer to
make than all the rest of a ClientHello."""
LARGEST_BODY = 16_384
"""Octets of a response that a server may send us unasked."""

Counts = tuple[int, int, int]
"""Packets that a server has received with ECT(0), ECT(1) and CE. :rfc:`9000`, section 19.3.2"""


class Client(QuicConnection):
    """A client's connection, for HTTP/3, that checks no certificate and keeps what its packets are told of.

    :param name: the server's, for its certificate; None to send none
    """

    acknowledged: frozenset[int] = frozenset()
    """Numbers of the 1-RTT packets that were."""
    counts: Counts | None = None
    """What the acknowledgement of the latest of them said of marks; None: nothing."""
    offered: tuple[int, ...] = ()
    """Versions that a Version Negotiation packet had."""
    ended: str = ""
    """``closed:<error>`` where the server has ended it, ``unusable`` where we had to; an error of HTTP/3 is in
    hexadecimal, and one of TLS begins with ``0x1``. :rfc:`9000`, section 20; :rfc:`9114`, section 8.1"""

    def __init__(self, name: str | None) -> None:
        super().__init__(configuration=QuicConfiguration(
            alpn_protocols=["h3"], server_name=name, verify_mode=ssl.CERT_NONE,
            initial_rtt=INITIAL_RTT, max_data=2 * LARGEST_BODY, max_stream_data=LARGEST_BODY))
        self._latest = -1

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._supported_groups = [*GROUPS]

    @property
    def version(self) -> int | None:
        """The one that both speak; None before the server has agreed to one."""
        return self._version if self._remote_initial_source_connection_id is not None else None

    @property
    def next_number(self) -> int:
        """Of the packet that is sent next."""
        return self._packet_number

    @property
    def confirmed(self) -> bool:
        """Whether the handshake is. :rfc:`9001`, section 4.1.2"""
        return self._handshake_confirmed

    @property
    def complete(self) -> bool:
        """Whether both sides have the keys for requests and responses."""
        return self._handshake_complete

    @property
    def patience(self) -> float:
        """Seconds after which an acknowledgement that has not come is missing. :rfc:`9002`, section 6.2.1"""
        return 3 * self._loss.get_probe_timeout()

    @property
    def over(self) -> bool:
        """Whether one side has ended it, or nothing has come for too long."""
        return self._close_event is not None

    def close(self, error_code: int = NO_ERROR, frame_type: int | None = None, reason_phrase: str = "") -> None:
        """End it: by ourselves, or by what aioquic does not like."""
        if error_code != NO_ERROR and not self.over:
            self.ended = "unusable"
        super().close(error_code, frame_type, reason_phrase)

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        begin = buf.tell()
        super()._handle_ack_frame(context, frame_type, buf)
        if context.epoch != Epoch.ONE_RTT:
            return
        end = buf.tell()
        buf.seek(begin)
        ranges, _ = pull_ack_frame(buf)
        found = [number for one in ranges for number in range(one.start, min(one.stop, self._packet_number))]
        self.acknowledged |= frozenset(found)
        if found and max(found) >= self._latest:  # one that was overtaken tells of an earlier time
            counts = None if frame_type != QuicFrameType.ACK_ECN else (
                buf.pull_uint_var(), buf.pull_uint_var(), buf.pull_uint_var())
            if self._latest == max(found) and self.counts is not None:  # either may be the later one: counts only grow
                ect0, ect1, ce = map(max, self.counts, counts or self.counts)
                counts = ect0, ect1, ce
            self._latest, self.counts = max(found), counts
        buf.seek(end)

    def _handle_connection_close_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        if self._close_event is None:
            begin = buf.tell()
            self.ended = f"closed:{buf.pull_uint_var():#x}"
            buf.seek(begin)
        super()._handle_connection_close_frame(context, frame_type, buf)

    def _receive_version_negotiation_packet(self, header: QuicHeader, now: float) -> None:
        self.offered = tuple(header.supported_versions)
        super()._receive_version_negotiation_packet(header, now)
        if self._close_event is not None and not self.ended:
            self.ended = "other_version"


def http_over(connection: Client) -> Any:
    """HTTP/3 on it. :rfc:`9114`"""
    from aioquic.h3.connection import H3Connection  # noqa: PLC0415 - with QPACK, which is a package of its own

    return H3Connection(connection)
