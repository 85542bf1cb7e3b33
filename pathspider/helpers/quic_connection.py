"""aioquic's connection, and what it does not tell of a server: ECN counts, who ended it. Loaded where aioquic is.

It tells these by no interface of its own: methods are extended that are private to it, as version 1.7.2 has them, which
is the least that is asked for. Of those that read frames and versions a test fails where they are not called any more.
Others spare work, since thousands of connections are made: what they do is what aioquic does, in fewer steps.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any

from aioquic._buffer import Buffer
from aioquic.h3.connection import H3Connection
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    NetworkAddress,
    QuicConnection,
    QuicConnectionError,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicHeader, QuicPacketType, pull_ack_frame
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.rangeset import RangeSet
from aioquic.tls import Epoch, Group

logging.getLogger("quic").addHandler(logging.NullHandler())
logging.getLogger("quic").propagate = False  # what a network does is no error of ours
logging.getLogger("quic").setLevel(logging.CRITICAL)  # nor is it to be put into words

NO_ERROR = 0x100
"""Of HTTP/3. :rfc:`9114`, section 8.1"""
INITIAL_RTT = 0.333
"""Seconds, before anything is known: the first packet is sent again after twice as many. :rfc:`9002`, section 6.2.2"""
GROUPS = (Group.X25519, Group.SECP256R1)
"""Of the keys that are sent: servers have one of these (:rfc:`8446`, section 9.1), and aioquic's others take longer to
make than all the rest of a ClientHello."""
CONNECTION_IDS = 2
"""Of a server, that are kept: the least. This client stays where it is. :rfc:`9000`, section 18.2"""
LARGEST_BODY = 16_384
"""Octets of a response that a server may send us unasked."""

Counts = tuple[int, int, int]
"""Packets that a server has received with ECT(0), ECT(1) and CE. :rfc:`9000`, section 19.3.2"""


class Client(QuicConnection):
    """A client's connection, for HTTP/3, that checks no certificate and keeps what its packets are told of.

    :param name: the server's, for its certificate; None to send none
    """

    latest = -1
    """Number of the latest 1-RTT packet that was acknowledged."""
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
        self.acknowledged: set[int] = set()
        """Numbers of the 1-RTT packets that were."""
        self._local_active_connection_id_limit = CONNECTION_IDS

    def forget(self) -> None:
        """Let go of everything: most of it refers to this connection, and would otherwise wait for the garbage
        collector."""
        vars(self).clear()

    def _replenish_connection_ids(self) -> None:
        """A client that stays where it is needs no other connection ids."""

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

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """What is to be sent. A PING by itself is not looked for in all the places where something else may be."""
        if not self._ping_pending or not self._is_quiet(now):
            return super().datagrams_to_send(now)
        path = self._network_paths[0]
        builder = QuicPacketBuilder(
            host_cid=self.host_cid, is_client=True, max_datagram_size=self._max_datagram_size,
            packet_number=self._packet_number, peer_cid=self._peer_cid.cid, spin_bit=self._spin_bit,
            version=self._version or 0)
        builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[Epoch.ONE_RTT])
        self._write_ping_frame(builder, self._ping_pending)
        self._ping_pending.clear()
        self._loss._pacer.update_after_send(now=now)
        return self._flush_builder(
            builder=builder, network_path=path, peer_cid=self._peer_cid.cid, now=now)

    def _is_quiet(self, now: float) -> bool:
        """Whether a PING may go, and nothing else may be there to be sent."""
        if (not self._handshake_confirmed or self._state != QuicConnectionState.CONNECTED or self._close_pending
                or self._probe_pending or self._retire_connection_ids or self._datagrams_pending
                or self._spaces[Epoch.ONE_RTT].ack_at is not None or len(self._network_paths) > 1
                or self._network_paths[0].remote_challenges or self._remote_preferred_address is not None
                or not self._crypto_streams[Epoch.ONE_RTT].sender.buffer_is_empty
                or self._loss.congestion_window - self._loss.bytes_in_flight < self._max_datagram_size
                or self._loss._pacer.next_send_time(now=now) is not None):
            return False
        return not any(one.receiver.stop_pending or one.sender.reset_pending or not one.sender.buffer_is_empty
                       for one in self._streams_queue)

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        """As aioquic does, but that what is acknowledged, and counted, is kept. :rfc:`9000`, section 19.3"""
        if context.epoch != Epoch.ONE_RTT:
            super()._handle_ack_frame(context, frame_type, buf)
            return
        try:
            ranges, delay = pull_ack_frame(buf)
        except ValueError as error:
            raise QuicConnectionError(QuicErrorCode.FRAME_ENCODING_ERROR, frame_type, str(error)) from error
        counts = None if frame_type != QuicFrameType.ACK_ECN else (
            buf.pull_uint_var(), buf.pull_uint_var(), buf.pull_uint_var())
        self._note(ranges, counts)
        self._loss.peer_completed_address_validation = True
        self._loss.on_ack_received(
            ack_rangeset=ranges, ack_delay=(delay << self._remote_ack_delay_exponent) / 1_000_000, now=context.time,
            space=self._spaces[Epoch.ONE_RTT])

    def _note(self, ranges: RangeSet, counts: Counts | None) -> None:
        """Packets that were acknowledged, as far as they were sent, and what was counted."""
        sent = self._packet_number
        found = [range(one.start, min(one.stop, sent)) for one in ranges if one.start < sent]
        self.acknowledged.update(*found)
        latest = max((one.stop - 1 for one in found), default=-1)
        if latest < max(0, self.latest):  # one that was overtaken tells of an earlier time
            return
        if latest == self.latest and self.counts is not None:  # either may be the later one: counts only grow
            ect0, ect1, ce = map(max, self.counts, counts or self.counts)
            counts = ect0, ect1, ce
        self.latest, self.counts = latest, counts

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
    return H3Connection(connection)
