"""``pspdr measure --resume``: what is there of the run that is continued, and whether this one is like it."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pathspider.cmd.main import UsageError
from pathspider.cmd.output import lock
from pathspider.cmd.plugins import plugin_mistakes
from pathspider.installed import PLUGINS

if TYPE_CHECKING:
    from pathspider.base import Spider
    from pathspider.records import Record
    from pathspider.run.metadata import Facts
    from pathspider.targets.blocklist import Blocklist
    from pathspider.targets.digest import Digest
    from pathspider.targets.repeats import TargetFilter

log = logging.getLogger("pathspider")


def earlier_runs(args: argparse.Namespace, blocklist: Blocklist | None, digest: Digest) -> list[Facts]:
    """The runs whose records are resumed; :exc:`UsageError` where options or targets are not as they were."""
    from pathspider.run import metadata  # noqa: PLC0415

    name = args.metadata or args.resume + metadata.ENDING
    try:
        with open(name, "rb") as stream:
            runs = metadata.read(stream) if os.fstat(stream.fileno()).st_size else []
    except FileNotFoundError:
        runs = []
    except OSError as error:
        raise UsageError(f"metadata {name}: {error.strerror}") from None
    except metadata.MetadataError as error:
        raise UsageError(f"metadata {name}: {error}") from None
    if not runs:
        log.warning("there is no metadata of the run that is resumed (%s): whether options and targets are the same is "
                    "not known", name)
        return runs
    now = metadata.what(args, blocklist)
    unknown = ("interface",) if args.interface is None else ()  # --dry-run does not ask
    found = metadata.differences(runs[-1], now, unknown)
    if metadata.other_targets(runs[-1], digest.found(complete=False)[0]):
        found.append("the list of targets is another one, or has changed")
    if found and not args.force:
        raise UsageError(f"--resume {args.resume}: {'; '.join(found)}. Give the options and targets of the run that is "
                         "resumed, or go on all the same with --force (-f)")
    for difference in (*found, *metadata.other_versions(runs[-1], now)):
        log.warning("--resume %s: %s", args.resume, difference)
    return runs


def targets_done(args: argparse.Namespace, spider: Spider) -> TargetFilter:
    """The targets that need no measuring: none, or, for ``--resume``, those that have a record."""
    from pathspider.run.resume import resume  # noqa: PLC0415
    from pathspider.targets.problems import TARGET_KEYS  # noqa: PLC0415
    from pathspider.targets.reading import LineError  # noqa: PLC0415
    from pathspider.targets.repeats import TargetFilter  # noqa: PLC0415

    with plugin_mistakes(args.plugin_name):
        seen = TargetFilter(spider.default_port(), spider.target_keys)
    if args.resume:
        several = spider.target_keys != TARGET_KEYS

        def is_unfinished(record: Record) -> bool:
            with plugin_mistakes(args.plugin_name):
                return spider.is_unfinished(record)

        try:
            if not args.dry_run and os.path.isfile(args.resume):
                with open(args.resume, "rb") as old:
                    lock(old.fileno(), f"--resume {args.resume}")
            done = resume(args.resume, seen, is_unfinished, record_of(spider.name, several=several), several=several,
                          look_only=args.dry_run)
        except OSError as error:
            raise UsageError(f"--resume {args.resume}: {error.strerror}") from None
        except LineError as error:
            raise UsageError(f"--resume {error}") from None
        log.info("resuming: %d records are there", done)
    return seen


def record_of(plugin: str, *, several: bool) -> Callable[[str], Record]:
    """What parses the records of this plugin; ``LineError`` for those of another one, and for what is no record.

    :param several: the plugin puts out several lines for a job, which are jobs again and may have no conditions
    """
    from pathspider.targets.reading import RECORD_DEPTH, LineError, check_record, parse_ndjson  # noqa: PLC0415

    other_plugin = other_than(plugin)

    def parse(line: str) -> Record:
        job = parse_ndjson(line, RECORD_DEPTH)
        if several and "conditions" not in job:
            return cast("Record", job)
        record = check_record(job)
        if (other := other_plugin(record)) is not None:
            raise LineError(f"a record of the {other} plugin")
        return record

    return parse


def other_than(plugin: str) -> Callable[[Record], str | None]:
    """What tells of which plugin a record is, where that is another one than this."""
    from pathspider.discovery import module_names  # noqa: PLC0415

    others = {*module_names(PLUGINS)} - {plugin}

    def other(record: Record) -> str | None:
        features = (condition.partition(".")[0] for condition in record["conditions"])
        return next((feature for feature in features if feature in others), None)

    return other
