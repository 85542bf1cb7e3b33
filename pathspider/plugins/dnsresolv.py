"""A simple resolver of target lists: names in, jobs out."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

from pathspider.base import PluggableSpider, __version__
from pathspider.conditions import INVALID_JOB
from pathspider.desync import DesynchronizedSpider
from pathspider.records import CONN_FAILED, CONN_OK, Connection, Job, Record, Unmeasured
from pathspider.run.match import Merged
from pathspider.targets.problems import target_problem
from pathspider.targets.resolve import lookup, system_resolvers

log = logging.getLogger("pathspider")


class Answers(Connection):
    """What the resolvers said of one name."""

    addresses: list[str]
    """IPv4 and IPv6."""
    problem: str
    """Where there is none: why, in a word for a condition."""


class DNSResolv(DesynchronizedSpider, PluggableSpider):
    """Resolve a list of names, as CSV (rank,domain) or ndjson with domain, into jobs for the other plugins.

    Each address, IPv4 and IPv6, becomes one job with all that its line of input held. Names that did not resolve are
    counted and left out. Only the resolvers are asked; nothing connects to the addresses.

    Example: pspdr measure -i eth0 --csv dnsresolv <dnsresolvtest.csv >targets.ndjson
    """

    name = "dnsresolv"
    description = "Simple Input List DNS Resolver"
    version = __version__
    chains = []
    capabilities = ()
    target_keys = ("dp", "domain")
    conditions = {
        "dnsresolv.unresolved:nxdomain": "the name does not exist",
        "dnsresolv.unresolved:nodata": "the name exists and has no address",
        "dnsresolv.unresolved:timeout": "no resolver answered in time",
        "dnsresolv.unresolved:unreachable": "no resolver could be reached",
        "dnsresolv.unresolved:invalid": "the answer is not a response to the question",
        "dnsresolv.unresolved:bad_domain": "the job's domain is not a name that can be asked for",
        "dnsresolv.unresolved:<rcode>": "the response code of the answer, such as servfail or refused",
        "dnsresolv.unresolved:blocklisted": "every address that was found is in a network of the blocklist",
        "dnsresolv.unresolved:no_target": "no address that was found can be measured",
        "pathspider.invalid_job:domain_missing": "the job has no name to resolve",
    }
    placeholders = {"rcode": "[a-z0-9]+"}

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        super().__init__(worker_count, libtrace_uri, args, server_mode)
        self.resolvers: list[str] = getattr(args, "resolver", None) or system_resolvers()
        self.resolved = 0
        self.addresses = 0
        self.unresolved: Counter[str] = Counter()

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--output-unresolved", action="store_true",
                            help="Include names that did not resolve in output, as records that say why.")
        parser.add_argument("--resolver", action="append", type=numeric_address, metavar="ADDRESS",
                            help="Ask this resolver; may be given several times. (Default: those of /etc/resolv.conf)")

    def job_problem(self, job: Job) -> str | None:
        domain = job.get("domain")
        return None if isinstance(domain, str) and domain.strip(". ") else "domain_missing"

    def conn_resolve(self, job: Job, config: int) -> Answers:
        """Ask for both kinds of address."""
        found = [lookup(self.resolvers, str(job["domain"]), qtype, self.args.timeout) for qtype in ("A", "AAAA")]
        problems = [one.problem for one in found if one.problem]
        addresses = [address for one in found for address in one.answers]
        return {"spdr_state": CONN_OK if addresses else CONN_FAILED, "sp": 0, "addresses": addresses,
                "problem": next((problem for problem in problems if problem != "nodata"), "nodata")}

    connections = [conn_resolve]

    def outcome(self, merged: Merged) -> Iterator[Record]:
        """One job for each address that was found."""
        answers, = cast(list[Answers], merged.result.connections)
        job = merged.result.job
        jobs: list[Record] = [{**job, **Record(dip=address)} for address in answers["addresses"]]
        usable = [one for one in jobs if target_problem(one) is None]
        blocklist = self.options.blocklist
        allowed = [one for one in usable if blocklist is None or one["dip"] not in blocklist]
        if not allowed:
            reason = "blocklisted" if usable else "no_target" if jobs else answers["problem"]
            yield from self._not_resolved(Unmeasured(job, f"dnsresolv.unresolved:{reason}"), reason)
            return
        self.resolved += 1
        self.addresses += len(allowed)
        yield from allowed

    def unmeasured(self, item: Unmeasured) -> Iterator[Record]:
        """A name that was not asked for."""
        reason = item.condition.removeprefix(f"{INVALID_JOB}:").removeprefix("pathspider.")
        yield from self._not_resolved(item, reason)

    def _not_resolved(self, item: Unmeasured, reason: str) -> Iterator[Record]:
        self.unresolved[reason] += 1
        if self.args.output_unresolved:
            yield from super().unmeasured(item)

    def finish(self) -> None:
        """Say how many names were resolved."""
        total = self.unresolved.total()
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.unresolved.most_common())
        log.info("%d of %d names resolved, to %d addresses%s", self.resolved, self.resolved + total, self.addresses,
                 f"; not resolved: {reasons}" if total else "")


def numeric_address(text: str) -> str:
    """An option's value as a numeric address, for argparse."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a numeric address is needed") from None
