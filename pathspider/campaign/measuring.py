"""The process that measures, as seen by the one that has chunks for it.

It is a process of its own so that it can give up root's rights, as every run does, while this one writes files and
talks to a broker; so that a plugin that hangs the interpreter does not cost the broker's connection; and so that a
chunk which kills whoever measures it can be told from others.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pathspider.campaign.chunks import Chunk
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.results import Packer, head_of
from pathspider.writing import json_line

log = logging.getLogger("pathspider")

PROGRAM = """import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from pathspider.cmd.chunks import main
sys.exit(main(sys.argv[1:]))"""
"""Run with ``-P``: modules come from where ours did, and from nowhere else."""

ENDING = 5.0
"""Seconds that the process may take to end in order, after which it is killed."""


class KilledError(Exception):
    """The process that measured has ended in the midst of a chunk; the text says how."""


class StoppedError(Exception):
    """A chunk was broken off on demand."""


class Measuring:
    """Measures chunks in a process with one spider, which is started when it is needed, and again when it has died.

    :param inherits: descriptors that the process holds open, such as a lock
    """

    def __init__(self, inherits: Sequence[int] = ()) -> None:
        self._inherits = tuple(inherits)
        self._words: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._stream: io.BufferedRWPair[Any, Any] | None = None
        self._changing = threading.Lock()
        self.facts: dict[str, Any] = {}
        """Of the run that the process is, from its beginning."""
        self.records = 0
        """Of the chunk under way, so far."""
        self.stopped = False
        self.more: Callable[[], dict[str, Any]] = dict
        """What else is told with the results of a chunk."""

    def measure(self, chunk: Chunk, words: Sequence[str], vantage: str) -> bytes:
        """Measure a chunk; its results, as :mod:`pathspider.campaign.results` has them.

        :param words: of ``pspdr measure``; another process is started for others
        :param vantage: who measures
        :raises CampaignError: the process cannot be started, or the run cannot be begun, as it has said
        :raises KilledError: the process has ended before the chunk was complete
        :raises StoppedError: :meth:`stop` was called meanwhile
        """
        if self._process is None or self._words != list(words):
            self._start(words)
        assert self._stream is not None
        packer = Packer()
        self.records = 0
        try:
            self._stream.write(json_line({"jobs": len(chunk.jobs)}))
            self._stream.writelines(json_line(job) for job in chunk.jobs)
            self._stream.flush()
            while (line := self._stream.readline()).endswith(b"\n"):
                if line.startswith(b"!"):
                    said = json.loads(line[1:])
                    if "over" not in said:
                        break
                    over = said["over"]
                    facts = {**self.facts, **over, **self.more(), "discarded": over["jobs"] - over["records"]}
                    return packer.whole(head_of(chunk, vantage, facts))
                packer.add(line)
                self.records += 1
        except (OSError, ValueError) as error:
            log.debug("measuring: %s", error)
        how = self.close()
        if self.stopped:
            raise StoppedError
        raise KilledError(f"the process that measured it {how}")

    def _start(self, words: Sequence[str]) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs, self._changing:
            if self.stopped:
                ours.close()
                raise StoppedError
            command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path), str(theirs.fileno()), *words]
            try:
                # In a session of its own: what is typed at our terminal is for us, and we pass on what it means.
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True,
                                           pass_fds=(theirs.fileno(), *self._inherits))
            except OSError as error:
                ours.close()
                raise CampaignError(f"the process that measures cannot be started: {error.strerror}") from None
            stream = ours.makefile("rwb")
            self._process, self._socket, self._stream = process, ours, stream
            self._words = list(words)
        line = stream.readline()
        said = json.loads(line[1:]) if line.endswith(b"\n") else {}
        if "ready" not in said:
            how = self.close()
            if self.stopped:
                raise StoppedError
            raise CampaignError(f"the process that measures did not begin: {how}; it has said why above")
        self.facts = said["ready"]

    def stop(self) -> None:
        """Break off what is under way, from another thread; nothing is measured any more."""
        with self._changing:
            self.stopped = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> str:
        """End the process, in order if it does so; how it ended."""
        process, self._process = self._process, None
        if process is None:
            return ""
        with self._changing:
            assert self._socket is not None
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket, stream, self._stream = None, self._stream, None
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.close()
        try:
            status = process.wait(ENDING)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
