"""A run's facts, beside its records: by what, how, where and when they were measured, and how the run ended.

The file is one JSON object, ``{"runs": [...]}``: a run for each ``run`` that the records have, as ``--resume`` adds to
them. It is written when a run begins, and again when it ends.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import platform
import re
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pathspider.run.judge import timestamp
from pathspider.version import __version__

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.run.measurement import Measurement
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.digest import Digest
    from pathspider.writing import JSONFile

log = logging.getLogger("pathspider")

Facts = dict[str, Any]
"""One run's, as ``pathspider/schemas/metadata.schema.json`` describes them."""

ENDING = ".meta.json"
"""Of the file's name, behind that of the records."""

LIBRARIES = ("dnslib", "pyroute2", "scapy")
"""Python packages by which is measured."""

NO_OPTIONS = frozenset({"advice", "command", "func", "parser", "plugin", "plugin_args", "plugin_name", "run_options",
                        "version"})
"""What is among the parsed arguments and was not told to ``measure``."""

NO_DIFFERENCE = frozenset({"blocklist", "dry_run", "evidence", "force", "input", "locate_rate", "log_file",
                           "max_targets", "metadata", "output", "pcap", "pcap_size", "per_address", "quiet", "rate",
                           "resume", "status_file", "user", "verbose", "workers"})
"""Options that change neither what is found of a target nor how records look. Of a blocklist its content counts, and
of the input too."""


class MetadataError(ValueError):
    """A file is not one of metadata; the text says why."""


def read(stream: IO[bytes]) -> list[Facts]:
    """The runs of a file of metadata; :exc:`MetadataError` where it is none."""
    try:
        found = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"not JSON: {error}") from None
    runs = found.get("runs") if isinstance(found, dict) else None
    if not isinstance(runs, list) or not all(isinstance(one, dict) and isinstance(one.get("run"), str) for one in runs):
        raise MetadataError("not the metadata of a run: it has no list of runs")
    return runs


def options_of(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The options in effect, of ``measure`` and of the plugin, by the names of their values."""
    def told(values: argparse.Namespace) -> dict[str, Any]:
        return {name: value for name, value in sorted(vars(values).items())
                if name not in NO_OPTIONS and not callable(value)}

    return {"measure": told(args), "plugin": told(args.plugin_args)}


def what(args: argparse.Namespace, blocklist: Blocklist | None) -> Facts:
    """By what is measured, and how: the part of a run's facts that the command line decides.

    :param blocklist: the one that the options name
    """
    plugin = args.plugin
    return {
        "pathspider": __version__,
        "plugin": {"name": plugin.name, "version": str(plugin.version), "module": plugin.__module__},
        "connect": getattr(args.plugin_args, "connect", None),
        "options": options_of(args),
        "blocklist_sha256": None if blocklist is None else blocklist.sha256,
    }


def at_begin(args: argparse.Namespace, argv: Sequence[str], spider: Spider, asked: Facts) -> Facts:
    """The facts of a run that begins.

    :param spider: started
    :param asked: what :func:`what` told before anything was found out, such as the interface
    """
    four, six = spider.source
    options = spider.options
    return {
        "run": options.run,
        "begin": now(),
        "end": None,
        "ended": None,
        "status": None,
        **asked,
        "argv": list(argv),
        "kernel": " ".join((os.uname().sysname, os.uname().release, os.uname().version, os.uname().machine)),
        "libraries": libraries(),
        "vantage": {"name": args.vantage, "host": socket.gethostname(), "interface": args.interface,
                    "ipv4": four, "ipv6": six,
                    "paths_begin": None if options.beginnings is None else [list(one) for one in options.beginnings]},
        "changed": list(spider.changes.values()),
        "per_connection": getattr(getattr(spider, "carried", None), "way", None),
    }


def of_targets(measurement: Measurement, digest: Digest) -> Facts:
    """What is known by now of the list of targets."""
    reader = measurement.reader
    sha256, octets = digest.found(complete=measurement.all_read)
    return {"file": reader.name, "sha256": sha256, "bytes": octets, "jobs": reader.jobs, "bad_lines": reader.skipped,
            "repeated": measurement.targets.repeated, "complete": measurement.all_read}


def at_end(measurement: Measurement) -> Facts:
    """What is known of a run at its end."""
    counts, run = measurement.counts, measurement.spider.pipeline
    pcap, evidence = run.pcap, run.evidence
    stats = getattr(measurement.spider.observer, "stats", None)
    return {
        "end": now(),
        "ended": measurement.ended._asdict(),
        "status": measurement.status,
        "records": counts.lines,
        "conditions": dict(sorted(counts.conditions.items())),
        "local_errors": dict(sorted(counts.local_errors.items())),
        "alarms": measurement.alarms.lines(),
        "without_record": measurement.without_record,
        "missed_flows": run.flows_missed,
        "located": run.locator and {"targets": run.locator.located, "unlocated": run.locator.unlocated,
                                    "beyond_limit": run.locator.beyond, "probes": run.locator.probes},
        "packets": {"observed": getattr(stats, "packets", 0), "lost": measurement.spider.capture_losses()},
        "pcap": pcap and {"files": pcap.files, "packets": pcap.packets, "lost": pcap.lost},
        "evidence": evidence and {"files": evidence.files, "failed": evidence.failed, "flows_shortened":
                                  evidence.shortened, "flows_lost": evidence.lost},
        "changed": list(measurement.spider.changes.values()),
    }


class Metadata:
    """Keeps the facts of a run in its file.

    :param earlier: the runs whose records this one adds to
    """

    def __init__(self, file: JSONFile, earlier: Sequence[Facts] = ()) -> None:
        self._file = file
        self._earlier = list(earlier)
        self.facts: Facts = {}

    def write(self, facts: Mapping[str, Any]) -> None:
        """Add these facts and have all of them in the file.

        :raises OSError: if there is no room for them
        """
        self.facts |= facts
        self._file.write({"runs": [*self._earlier, self.facts]})


def differences(before: Facts, now: Facts, but: Collection[str] = ()) -> list[str]:
    """What is not as it was, of what changes what is found of a target: ``connect was http, and is tcp``.

    :param but: options that may differ
    """
    found = [] if name_of(before) == name_of(now) else [f"plugin was {name_of(before)}, and is {name_of(now)}"]
    for group in ("measure", "plugin"):
        was, is_ = (_options(one, group) for one in (before, now))
        found += [f"{name} was {was[name]!s}, and is {is_[name]!s}" for name in sorted(was.keys() & is_.keys())
                  if name not in NO_DIFFERENCE and name not in but and plain(was[name]) != plain(is_[name])]
    if before.get("blocklist_sha256") != now.get("blocklist_sha256"):
        found.append("the blocklist is another one")
    return found


def other_versions(before: Facts, now: Facts) -> list[str]:
    """What else may have changed what is found: the versions of PATHspider and of the plugin."""
    versions = [("PATHspider", before.get("pathspider"), now.get("pathspider"))]
    if name_of(before) == name_of(now):
        plugins = [one.get("plugin") for one in (before, now)]
        was, is_ = (one.get("version") if isinstance(one, dict) else None for one in plugins)
        versions.append((f"plugin {name_of(now)}", was, is_))
    return [f"{what} was {was}, and is {is_}" for what, was, is_ in versions if was != is_]


def other_targets(before: Facts, sha256: str | None) -> bool:
    """Whether it is known that the list of targets is another one."""
    targets = before.get("targets")
    was = targets.get("sha256") if isinstance(targets, dict) else None
    return None not in (was, sha256) and was != sha256


def name_of(facts: Facts) -> str:
    """The plugin's name."""
    plugin = facts.get("plugin")
    return str(plugin.get("name")) if isinstance(plugin, dict) else "unknown"


def _options(facts: Facts, group: str) -> dict[str, Any]:
    options = facts.get("options")
    found = options.get(group) if isinstance(options, dict) else None
    return found if isinstance(found, dict) else {}


def plain(value: Any) -> Any:
    """A value as it comes back from a file."""
    from pathspider.writing import json_line  # noqa: PLC0415

    return json.loads(json_line(value))


def now() -> str:
    """This moment, as records tell it."""
    from time import time  # noqa: PLC0415

    return timestamp(time())


def libraries() -> dict[str, str]:
    """What is measured by, with its version, as far as it is there."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    with suppress(ImportError):
        import pycurl  # noqa: PLC0415 - for some connection modes alone

        info = pycurl.version_info()
        found |= {"libcurl": info[1], "tls": info[5] or "none"}
        found["pycurl"] = pycurl.version.partition(" ")[0].partition("/")[2].strip('"')
    with suppress(ImportError):
        import ssl  # noqa: PLC0415 - for some connection modes alone

        found["openssl"] = ssl.OPENSSL_VERSION
    with suppress(OSError):  # it is there where something is captured
        if libpcap := re.search(r"\S*/libpcap\.so\S*", Path("/proc/self/maps").read_text(encoding="utf-8")):
            version = ctypes.CDLL(libpcap[0]).pcap_lib_version
            version.restype = ctypes.c_char_p
            found["libpcap"] = version().decode()
    return found
