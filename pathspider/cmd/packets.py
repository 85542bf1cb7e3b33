"""Where ``pspdr measure`` puts packets: the options ``--pcap`` and ``--evidence``, and what they name, opened."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from pathspider.cmd.main import UsageError
from pathspider.cmd.output import open_output

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.run.folder import Folder

UNITS = {"": 1, "k": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9}


def add_packet_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--pcap", metavar="FILE", help="Write all packets of the run to this file, as pcapng.")
    parser.add_argument("--pcap-size", type=octets, metavar="SIZE",
                        help="Go on with another file, FILE_00002 and so on, before one has more octets than this; "
                             "100k, 100M and 1G are understood.")
    parser.add_argument("--evidence", metavar="DIR",
                        help="Keep packets of targets whose word is not works (or online): a pcapng file each in this "
                             "folder. Records name them.")


def octets(text: str) -> int:
    """An option's value as a number of octets, for argparse."""
    found = re.fullmatch(r"([0-9]+)([kMG]?)", text)
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text}: a number of octets is needed, such as 500k, 100M or 1G")
    return int(found[1]) * UNITS[found[2]]


class PacketFiles:
    """What is written of packets, opened as long as it can be.

    :param stack: closes it
    :raises UsageError: where it cannot be opened, or what is in it would be lost
    """

    def __init__(self, args: argparse.Namespace, stack: ExitStack) -> None:
        if (args.pcap or args.evidence) and not args.plugin.chains:
            raise UsageError(f"{args.plugin_name} captures no packets: leave out --pcap and --evidence")
        self._args = args
        self.pcap: int | None = None
        """Descriptor of the file that all packets go to."""
        self._pcap_folder: Folder | None = None
        self._evidence: Folder | None = None
        if args.pcap is not None:
            self._open_pcap(stack)
        if args.evidence is not None:
            self._open_evidence(stack)

    def _open_pcap(self, stack: ExitStack) -> None:
        from pathspider.run.folder import Folder, FolderError  # noqa: PLC0415
        from pathspider.run.pcapfile import next_name  # noqa: PLC0415

        args = self._args
        if args.pcap == "-":
            raise UsageError("--pcap -: name a file; records go to standard output")
        # What --resume goes on with is the output.
        force = args.force and not args.resume
        if args.pcap_size is not None:
            if not force and os.path.lexists(further := next_name(args.pcap, 2)):
                raise UsageError(f"pcap {further}: this file is there already; name another one")
            try:
                self._pcap_folder = Folder.open(os.path.dirname(args.pcap) or ".")
            except FolderError as error:
                raise UsageError(f"pcap {error}") from None
            stack.callback(self._pcap_folder.close)
        self.pcap = stack.enter_context(open_output(args.pcap, what="pcap", force=force)).fileno()

    def _open_evidence(self, stack: ExitStack) -> None:
        from pathspider.network.privileges import UserError, run_user  # noqa: PLC0415
        from pathspider.run.folder import Folder, FolderError  # noqa: PLC0415

        args = self._args
        is_new = not os.path.lexists(args.evidence)
        try:
            user = None if args.plugin.keeps_root else run_user(args.user)
            folder = Folder.make(args.evidence, user and (user.uid, user.gid))
        except (FolderError, UserError) as error:
            raise UsageError(f"evidence {error}" if isinstance(error, FolderError) else str(error)) from None
        stack.callback(folder.close)
        if is_new:
            stack.push(self._remove_new)
        elif not (args.force or args.resume or folder.is_empty()):
            raise UsageError(f"evidence {args.evidence}: there is something in this folder already; name another one, "
                             "or add to it with --force (-f)")
        self._evidence = folder

    def _remove_new(self, error: type[BaseException] | None, *_: object) -> None:
        """A run that was refused leaves no empty folder."""
        if error is not None:
            with suppress(OSError):
                os.rmdir(self._args.evidence)

    def refuse_unwritable(self) -> None:
        """:exc:`UsageError` if files cannot be made where they are to be: to be asked when privileges were given up."""
        from pathspider.run.folder import FolderError  # noqa: PLC0415

        for what, folder in (("--pcap-size", self._pcap_folder), ("--evidence", self._evidence)):
            if folder is not None:
                try:
                    folder.refuse_unwritable()
                except FolderError as error:
                    raise UsageError(f"{what}: {error}") from None

    def lead(self, spider: Spider) -> None:
        """Have the packets of a spider, which is not started yet, come here."""
        from pathspider.run.evidence import Evidence  # noqa: PLC0415
        from pathspider.run.pcapfile import PcapFile  # noqa: PLC0415

        run = spider.options.run
        what = f"{spider.name} {spider.version}".strip()
        if self.pcap is not None:
            spider.pipeline.pcap = PcapFile(os.dup(self.pcap), self._args.pcap, f"{what}, run {run}",
                                            self._args.pcap_size, self._pcap_folder)
        if self._evidence is not None:
            spider.pipeline.evidence = Evidence(self._evidence, run, what, spider.suspicious)
