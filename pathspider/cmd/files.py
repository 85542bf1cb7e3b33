"""The files that ``pspdr measure`` writes: the records, the run's facts and state beside them, and packets."""

from __future__ import annotations

import argparse
import logging
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from pathspider.cmd.output import open_output, open_rewritten, refuse_one_file
from pathspider.cmd.packets import PacketFiles

if TYPE_CHECKING:
    from pathspider.run.metadata import Facts, Metadata
    from pathspider.writing import JSONFile

log = logging.getLogger("pathspider")


class Files:
    """All of them, opened: once privileges have been given up it may be that nothing can be.

    :param lines: the input, which is none of them
    :param stack: closes the files
    :param earlier: the runs that this one continues
    :raises UsageError: where a file cannot be opened, or what is in it would be lost
    """

    def __init__(self, args: argparse.Namespace, lines: IO[bytes], stack: ExitStack,
                 earlier: Sequence[Facts] = ()) -> None:
        from pathspider.run.metadata import ENDING, Metadata, read  # noqa: PLC0415
        from pathspider.writing import JSONFile  # noqa: PLC0415

        self._new: list[str] = []
        stack.push(self._remove_new)
        self._note_new(args.resume or args.output)
        self.output = stack.enter_context(open_output(
            args.resume or args.output, append=bool(args.resume), force=args.force,
            instead=f", continue that run with --resume {args.output}"))
        """Of the records."""
        self.earlier = earlier
        self.failed = False
        self.metadata: Metadata | None = None
        self.status: JSONFile | None = None
        opened = {"the input": lines.fileno(), "the output": self.output.fileno()}
        name = args.metadata
        if name is None and self.output.fileno() != 1 and stat.S_ISREG(os.fstat(self.output.fileno()).st_mode):
            name = (args.resume or args.output) + ENDING
        for what, path, accept in (("metadata", name, read if args.resume else partial(refused, args)),
                                   ("status file", args.status_file, partial(refused, args))):
            if path is not None:
                self._note_new(path)
                opened[f"the {what}"] = open_rewritten(path, what, accept)
                kept = JSONFile(opened[f"the {what}"])
                stack.callback(kept.close)
                if what == "metadata":
                    self.metadata = Metadata(kept, earlier)
                else:
                    self.status = kept
        if args.pcap is not None:
            self._note_new(args.pcap)
        self.packets = PacketFiles(args, stack)
        """Of the packets."""
        if self.packets.pcap is not None:
            opened["the packets"] = self.packets.pcap
        refuse_one_file(opened)

    def _note_new(self, name: str) -> None:
        if name != "-" and not os.path.lexists(name):
            self._new.append(name)

    def _remove_new(self, error: type[BaseException] | None, *_: object) -> None:
        """A run that was refused leaves no empty files, as far as it still may remove them."""
        for name in self._new if error is not None else ():
            with suppress(OSError):
                if not os.stat(name).st_size:
                    os.unlink(name)

    def note(self, facts: Facts) -> None:
        """Add these facts to the metadata, where there are some."""
        if self.metadata is not None:
            try:
                self.metadata.write(facts)
            except OSError as error:
                log.error("metadata: %s", error.strerror)
                self.failed = True


def refused(args: argparse.Namespace, stream: IO[bytes]) -> None:
    """``ValueError`` for a file that has content, unless that may be overwritten."""
    from pathspider.cmd.status import is_status  # noqa: PLC0415

    if not (args.force or is_status(stream)):
        raise ValueError("there is something in this file already; name another one, or overwrite it with --force (-f)")
