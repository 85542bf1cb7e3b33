"""What a plain libcurl multi loop needs for the same connections: nothing captured, nothing judged.

``yardstick.py JOBS SLOTS MODE CONNECTIONS``: so many slots take targets from the list; each makes its connections to a
target one after the other, 5 s each. Mode ``tcp`` is a handshake, ``http`` a GET over HTTP/1.1.
"""

from __future__ import annotations

import collections
import contextlib
import json
import select
import sys
import time
from collections.abc import Iterator

import pycurl

TIMEOUT = 5


class Loop:
    """libcurl's multi interface, driven by epoll."""

    def __init__(self, jobs: Iterator[tuple[str, int]], mode: str, connections: int) -> None:
        self.jobs, self.mode, self.connections = jobs, mode, connections
        self.poll = select.epoll()
        self.registered: set[int] = set()
        self.deadline: float | None = None
        self.up = self.under_way = 0
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self.watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self.set_timer)
        self.next: collections.deque[tuple[str, int, int]] = collections.deque()

    def watch(self, what: int, descriptor: int, *_: object) -> None:
        """libcurl says what it waits for."""
        if what == pycurl.POLL_REMOVE:
            if descriptor in self.registered:
                self.registered.discard(descriptor)
                with contextlib.suppress(OSError):  # closed already, which took it out
                    self.poll.unregister(descriptor)
            return
        events = (select.EPOLLIN if what & pycurl.POLL_IN else 0) | (select.EPOLLOUT if what & pycurl.POLL_OUT else 0)
        if descriptor in self.registered:
            self.poll.modify(descriptor, events)
        else:
            self.registered.add(descriptor)
            self.poll.register(descriptor, events)

    def set_timer(self, milliseconds: int) -> None:
        """libcurl says when it wants to be called again."""
        self.deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def begin(self, host: str, port: int, left: int) -> None:
        """One connection to a target, after which ``left`` more follow."""
        curl = pycurl.Curl()
        curl.target = (host, port, left)
        curl.setopt(pycurl.URL, f"http://{host}:{port}/")
        for option, value in ((pycurl.TIMEOUT, TIMEOUT), (pycurl.NOSIGNAL, 1), (pycurl.NOPROXY, "*"),
                              (pycurl.FRESH_CONNECT, 1), (pycurl.FORBID_REUSE, 1),
                              (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
                              (pycurl.WRITEFUNCTION, len), (pycurl.CONNECT_ONLY, self.mode == "tcp")):
            curl.setopt(option, value)
        self.multi.add_handle(curl)
        self.under_way += 1

    def finish(self, curl: pycurl.Curl, up: bool) -> None:
        """A connection ended: close it, and begin the next."""
        self.up += up
        self.under_way -= 1
        host, port, left = curl.target
        self.multi.remove_handle(curl)
        curl.close()
        if left:
            self.next.append((host, port, left - 1))
        elif (target := next(self.jobs, None)) is not None:
            self.next.append((*target, self.connections - 1))

    def run(self, slots: int) -> None:
        """Until all targets have had their connections."""
        for _, target in zip(range(slots), self.jobs, strict=False):
            self.next.append((*target, self.connections - 1))
        while self.next or self.under_way:
            while self.next:
                self.begin(*self.next.popleft())
            wait = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
            happened = self.poll.poll(wait)
            for descriptor, events in happened:
                mask = (pycurl.CSELECT_IN if events & select.EPOLLIN else 0) | (
                    pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0) | (
                    pycurl.CSELECT_ERR if events & (select.EPOLLERR | select.EPOLLHUP) else 0)
                self.multi.socket_action(descriptor, mask)
            if self.deadline is not None and time.monotonic() >= self.deadline:
                self.deadline = None
                self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            more = 1
            while more:
                more, well, ill = self.multi.info_read()
                for curl in well:
                    self.finish(curl, True)
                for curl, *_ in ill:
                    self.finish(curl, False)


def targets(path: str) -> Iterator[tuple[str, int]]:
    """Address and port of each job."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            job = json.loads(line)
            yield (f"[{job['dip']}]" if ":" in job["dip"] else job["dip"]), job["dp"]


if __name__ == "__main__":
    loop = Loop(targets(sys.argv[1]), sys.argv[3], int(sys.argv[4]))
    loop.run(int(sys.argv[2]))
    print(f"{loop.up} connections came up")
