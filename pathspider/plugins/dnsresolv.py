"""A simple resolver of target lists: names in, jobs out."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import cast

from pathspider.base import PluggableSpider, __version__
from pathspider.conditions import INVALID_JOB
from pathspider.desync import DesynchronizedSpider
from pathspider.records import CONN_FAILED, CONN_OK, Connection, Job, Record, Unmeasured
from pathspider.run.match import Merged
from pathspider.targets.names import both_spellings, canonical_domain
from pathspider.targets.problems import target_problem
from pathspider.targets.resolve import Lookup, descriptors, lookups, system_resolvers
from pathspider.targets.resolver.core import RETRY

log = logging.getLogger("pathspider")

ANSWERS_OF_OTHERS = {"servfail"}
"""Of what may be tried again: what resolvers say of names whose own servers have failed."""

NO_ANSWER = RETRY - ANSWERS_OF_OTHERS
"""Problems with which the resolvers have told nothing of a name."""

FIRST_NAMES = 20
"""Where so many names from the first on are not answered, something is wrong with the resolvers."""

THIS_NETWORK = ip_network("0.0.0.0/8")


class Answers(Connection):
    """What the resolvers said of one name."""

    addresses: list[str]
    """IPv4 and IPv6."""
    problem: str
    """Where there is none: why, in a word for a condition."""


class DNSResolv(DesynchronizedSpider, PluggableSpider):
    """Resolve a list of names, as CSV (rank,domain) or ndjson with domain, into jobs for the other plugins.

    Each address, IPv4 and IPv6, becomes one job with all that its line of input held. Names that did not resolve are
    counted and left out. Only the resolvers are asked; nothing connects to the addresses, and no interface is needed.

    Example: pspdr measure --csv-input dnsresolv <dnsresolvtest.csv >targets.ndjson
    """

    name = "dnsresolv"
    description = "Simple Input List DNS Resolver"
    questions = {"unresolved": "Why has a name no address?"}
    version = __version__
    chains = []
    capabilities = ()
    target_keys = ("dp", "domain")
    conditions = {
        "dnsresolv.unresolved:nxdomain": "the name does not exist",
        "dnsresolv.unresolved:nodata": "the name exists and has no address",
        "dnsresolv.unresolved:timeout": "no resolver answered in time",
        "dnsresolv.unresolved:unreachable": "no resolver could be reached",
        "dnsresolv.unresolved:unexpected_source": "the answer came from another address than was asked: it is none",
        "dnsresolv.unresolved:truncated": "the answer was truncated, and none came over TCP",
        "dnsresolv.unresolved:invalid": "the answer is not a response to the question, or malformed",
        "dnsresolv.unresolved:no_recursion": "the server that was asked answers for its own zones alone",
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
        self.unanswered: Counter[str] = Counter()
        """Of these, the names of which the resolvers have told nothing."""
        self.in_part = 0
        """Names with addresses of one kind, while the question for the other was not answered."""
        self.asked = 0
        """Names that the resolvers were asked for."""
        self.answered = False
        """Whether the resolvers have told anything of any name."""

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
        """Ask for both kinds of address, or for that which is wanted."""
        qtypes = {None: ("A", "AAAA"), 4: ("A",), 6: ("AAAA",)}[self.options.ip_version]
        domain = str(job["domain"])
        found = as_address(domain) or lookups(self.resolvers, domain, qtypes, self.args.timeout, self.options.source)
        problems = [one.problem for one in found if one.problem]
        addresses = [address for one in found for address in one.answers]
        problem = "nxdomain" if "nxdomain" in problems else next((one for one in problems if one != "nodata"), "nodata")
        return {"spdr_state": CONN_OK if addresses else CONN_FAILED, "sp": 0, "addresses": addresses,
                "problem": problem}

    def descriptors(self) -> int:
        return descriptors(self.resolvers, 2)

    connections = [conn_resolve]

    def outcome(self, merged: Merged) -> Iterator[Record]:
        """One job for each address that was found."""
        answers, = cast(list[Answers], merged.result.connections)
        job = merged.result.job
        self._heed(answers)
        both = both_spellings(job)
        jobs: list[Record] = [{**job, **both, **Record(dip=address)} for address in answers["addresses"]]
        usable = [one for one in jobs if target_problem(one) is None and not leads_nowhere(one["dip"])]
        blocklist = self.options.blocklist
        allowed = [one for one in usable if blocklist is None or one["dip"] not in blocklist]
        if not allowed:
            reason = "blocklisted" if usable else "no_target" if jobs else answers["problem"]
            yield from self._not_resolved(Unmeasured(job, f"dnsresolv.unresolved:{reason}"), reason)
            return
        self.resolved += 1
        self.addresses += len(allowed)
        prefixes = self.options.prefixes
        yield from allowed if prefixes is None else (cast(Record, prefixes.annotate(cast(Job, one))) for one in allowed)

    def unmeasured(self, item: Unmeasured) -> Iterator[Record]:
        """A name that was not asked for."""
        reason = item.condition.removeprefix(f"{INVALID_JOB}:").removeprefix("pathspider.")
        yield from self._not_resolved(item, reason)

    def _heed(self, answers: Answers) -> None:
        """Count what was not answered; say at once where nothing is."""
        addresses, problem = answers["addresses"], answers["problem"]
        if not addresses and problem in NO_ANSWER:
            self.unanswered[problem] += 1
        self.in_part += bool(addresses) and problem in NO_ANSWER
        self.asked += problem != "bad_domain"
        self.answered |= bool(addresses) or problem not in {*RETRY, "bad_domain"}
        if not self.answered and self.asked == FIRST_NAMES and problem != "bad_domain":
            log.error("not one of the first %d names could be resolved (%s): can %s be reached, and does it resolve "
                      "for this machine? --resolver asks another", FIRST_NAMES, problem, " or ".join(self.resolvers))

    def is_unfinished(self, record: Record) -> bool:
        """Also a name that was not answered."""
        kind, _, reason = (record.get("conditions") or [""])[0].partition(":")
        return super().is_unfinished(record) or (kind == "dnsresolv.unresolved" and reason in NO_ANSWER)

    def undone(self) -> Iterator[tuple[int, str]]:
        if not self.answered:
            failures = sum(self.unresolved[reason] for reason in ANSWERS_OF_OTHERS)
            yield failures, "names failed at the resolvers, and none was resolved"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.unanswered.most_common())
        yield (self.unanswered.total(),
               f"names got no answer from the resolvers ({reasons}); --resume FILE asks for them again")
        yield self.in_part, "names were answered for A or AAAA alone"

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


def as_address(domain: str) -> list[Lookup]:
    """An address in the place of a name, as its own answer; nothing for a name."""
    with suppress(ValueError):
        return [Lookup([str(ip_address(canonical_domain(domain)))])]
    return []


def leads_nowhere(address: str) -> bool:
    """Whether an address is one of this machine or of a link, or is reserved: no path leads there.

    Private addresses are good targets: those of a lab, or of a company's network.
    """
    one = ip_address(address)
    return one.is_loopback or one.is_link_local or (one.version == 4 and (one.is_reserved or one in THIS_NETWORK))


def numeric_address(text: str) -> str:
    """An option's value as a numeric address, for argparse."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: a numeric address is needed") from None
