"""Reading packets one by one, as python-libtrace's ``trace`` does: for scripts. The observer does not use it."""

from __future__ import annotations

from collections.abc import Iterator

from pathspider.libtrace._core import Packet
from pathspider.libtrace.sources import Capture


class Filter:
    """A filter for :meth:`Trace.conf_filter`.

    :param bpf: expression in the syntax of pcap-filter(7)
    """

    def __init__(self, bpf: str) -> None:
        self.bpf = bpf


class Trace:
    """A packet source by its URI. Configure, :meth:`start`, then iterate or :meth:`read_packet`.

    Errors are :class:`pathspider.libtrace.CaptureError`, from :meth:`start` on.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._bpf: str | None = None
        self._snaplen = 65535
        self._promisc = True
        self._capture: Capture | None = None
        self._accepted = 0

    def conf_filter(self, filter: Filter | str) -> None:
        """Packets that do not match are not delivered."""
        self._bpf = filter.bpf if isinstance(filter, Filter) else filter

    def conf_snaplen(self, snaplen: int) -> None:
        """Bytes kept of each packet."""
        self._snaplen = snaplen

    def conf_promisc(self, promisc: bool) -> None:
        """Whether an interface is put into promiscuous mode."""
        self._promisc = promisc

    def start(self) -> None:
        """Opens the source; packets are being captured when it returns. After :meth:`pause`, it is opened anew."""
        self._started()

    def _started(self) -> Capture:
        capture = self._capture
        if capture is None:
            capture = self._capture = Capture(self.uri, self._bpf, self._snaplen, promisc=self._promisc)
        return capture

    def pause(self) -> None:
        """Stops capturing."""
        self.close()

    def close(self) -> None:
        """Frees the source. Thread-safe, and for signal handlers: who is reading packets then comes to their end."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()

    def read_packet(self, packet: Packet) -> bool:
        """Reads the next packet into ``packet``; ``False`` at the end.

        :raises RuntimeError: another thread is reading
        """
        found = self._started().read()
        if found is None:
            return False
        packet.set(*found)
        self._accepted += 1
        return True

    def __iter__(self) -> Iterator[Packet]:
        while self.read_packet(packet := Packet()):
            yield packet

    def pkt_drops(self) -> int:
        """Packets lost since the source was opened."""
        capture = self._capture
        counts = capture.counts() if capture is not None else {"dropped_kernel": 0, "dropped_ring": 0}
        return counts["dropped_kernel"] + counts["dropped_ring"]

    def pkt_accepts(self) -> int:
        """Packets delivered so far."""
        return self._accepted
