"""aioquic's connection with what it lacks: ECN counts in what it acknowledges. :rfc:`9000`, section 13.4"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.buffer import UINT_VAR_MAX_SIZE
from aioquic.quic.connection import ACK_FRAME_CAPACITY, QuicConnection, QuicReceiveContext
from aioquic.quic.packet import QuicFrameType, push_ack_frame
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace

PLACES = {2: 0, 1: 1, 3: 2}
"""ECN field -> its place among the counts."""
ROOM = 3 * UINT_VAR_MAX_SIZE
"""Octets that the counts take at most."""


class Counting(QuicConnection):
    """A server's connection that counts the marks of the packets in each packet number space.

    :param told: what it says of its counts; None: nothing. It does not before one of them is above 0
    """

    mark = 0
    """The ECN field of the datagram that it is about to receive."""

    def __init__(self, told: Callable[[tuple[int, int, int]], tuple[int, int, int]] | None, **others: Any) -> None:
        super().__init__(**others)
        self._ack_delay = 0.0  # a timer for each packet would cost more than what it saves
        self._told = told
        self._counts: dict[int, list[int]] = {}

    def _payload_received(self, context: QuicReceiveContext, plain: bytes,
                          crypto_frame_required: bool = False) -> tuple[bool, bool]:
        if (place := PLACES.get(self.mark)) is not None:
            self._counts.setdefault(id(self._spaces[context.epoch]), [0, 0, 0])[place] += 1
        return super()._payload_received(context, plain, crypto_frame_required)

    def _write_ack_frame(self, builder: QuicPacketBuilder, space: QuicPacketSpace, now: float) -> None:
        counts = self._counts.get(id(space))
        came = space.largest_received_time
        if counts is None or self._told is None or came is None:
            super()._write_ack_frame(builder, space, now)
            return
        delay = int((now - came) * 1000000) >> self._local_ack_delay_exponent
        frame = builder.start_frame(QuicFrameType.ACK_ECN, capacity=ACK_FRAME_CAPACITY + ROOM,
                                    handler=self._on_ack_delivery,
                                    handler_args=(space, space.largest_received_packet))
        push_ack_frame(frame, space.ack_queue, delay, builder.remaining_buffer_space - ROOM)
        for count in self._told((counts[0], counts[1], counts[2])):
            frame.push_uint_var(count)
        space.ack_at = None
