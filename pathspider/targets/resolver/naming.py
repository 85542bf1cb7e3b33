"""What is asked for a name of a list, and what comes out of the answers: jobs, or why there are none."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any, NamedTuple, cast

from pathspider.records import Job
from pathspider.targets.names import ROOT, both_spellings, canonical_domain
from pathspider.targets.problems import IPV4_MAPPED
from pathspider.targets.resolver import message
from pathspider.targets.resolver.core import RETRY, Question
from pathspider.targets.resolver.message import AAAA, FAMILIES, MX, NS, A, encode_name, question
from pathspider.targets.sampling import prefix_of

TYPE_NAMES = {number: name for name, number in message.TYPES.items()}
MOST_HOSTS = 64
"""Name servers or mail exchangers of a name that are looked up: a zone can have thousands."""
WWW = "www."

NO_ANSWER = RETRY - {"servfail"}
"""Problems with which the resolvers have told nothing of a name: SERVFAIL is said of names whose own servers failed."""

UNRESOLVED = "dnsresolv.unresolved"
"""The condition of a name without addresses; the plugin declares what stands behind its colon."""


class Plan(NamedTuple):
    """What is asked for each name."""

    addresses: tuple[int, ...] = (A, AAAA)
    others: tuple[int, ...] = ()
    """Further types, whose answers are kept."""
    of: str = "host"
    """Whose addresses: of the name itself (``host``), of ``www.`` before it, of its name servers (``ns``) or of its
    mail exchangers (``mx``)."""
    subnets: tuple[tuple[str, bytes], ...] = ()
    """Networks as if from which the addresses are asked for, and the option of EDNS for each."""


class Host:
    """A name whose addresses are asked for."""

    __slots__ = ("domain", "keys", "questions")

    def __init__(self, domain: str, keys: dict[str, Any], questions: list[Question]) -> None:
        self.domain = domain
        self.keys = keys
        """What its jobs say besides."""
        self.questions = questions


class Target:
    """A job whose name is being resolved.

    :param place: of the job in its list
    """

    __slots__ = ("first", "hosts", "job", "left", "place", "plan", "problem")

    def __init__(self, job: Job, plan: Plan, place: int = 0) -> None:
        self.job = job
        self.place = place
        self.plan = plan
        self.hosts: list[Host] = []
        self.first: Question | None = None
        """What name servers or mail exchangers are asked for with."""
        self.left = 0
        """Questions that are not over."""
        self.problem = ""
        """Why nothing can be asked."""

    def begin(self) -> list[Question]:
        """What to ask at first; nothing where :attr:`problem` says why, or the job has its address."""
        domain = self.job.get("domain")
        if not isinstance(domain, str) or not domain.strip(". "):
            self.problem = "no_name"
            return []
        try:
            if self.plan.of in ("ns", "mx"):
                self.first = Question(question(encode_name(domain), NS if self.plan.of == "ns" else MX), owner=self)
                self.left = 1
                return [self.first]
            if self.plan.of == "www" and not domain.lower().startswith(WWW):
                return self._look_up(WWW + domain, {"of": domain})
            return self._look_up(domain, {})
        except ValueError:
            self.problem = "bad_domain"
            return []

    def _look_up(self, domain: str, keys: dict[str, Any]) -> list[Question]:
        name = encode_name(domain)
        plan = self.plan
        if plan.subnets:
            questions = [Question(question(name, qtype), options, self) for _, options in plan.subnets
                         for qtype in plan.addresses]
        else:
            questions = [Question(question(name, qtype), b"", self) for qtype in plan.addresses]
        questions += [Question(question(name, qtype), b"", self) for qtype in plan.others]
        self.hosts.append(Host(domain, keys, [*questions]))
        self.left += len(questions)
        return questions

    def answered(self, one: Question) -> list[Question]:
        """Take note that a question is over; what to ask next. All is over when nothing is :attr:`left`."""
        self.left -= 1
        if one is not self.first:
            return []
        following: list[Question] = []
        values = [(0, value) if self.plan.of == "ns" else value for value in one.answer.values]
        for preference, name in sorted(values)[:MOST_HOSTS]:
            keys: dict[str, Any] = {"of": self.job.get("domain")}
            if self.plan.of == "mx":
                keys["preference"] = preference
            if name != ROOT:  # no mail, RFC 7505
                with suppress(ValueError):
                    following += self._look_up(name, keys)
        return following

    def problems(self) -> list[str]:
        """What went wrong, in words for conditions."""
        if self.problem:
            return [self.problem]
        asked = [one for host in self.hosts for one in host.questions] + ([self.first] if self.first else [])
        return [one.answer.problem for one in asked if one.answer.problem]

    def why(self) -> str:
        """Why there is no address, in a word; what was not answered comes first, as it can be asked again."""
        problems = self.problems()
        if "nxdomain" in problems:
            return "nxdomain"
        unanswered = [one for one in problems if one in NO_ANSWER]
        return next((one for one in (*unanswered, *problems) if one != "nodata"), "nodata")

    def unanswered(self) -> dict[str, str]:
        """By type, why questions for a host's records or for the hosts got no answer, or SERVFAIL."""
        asked = [one for host in self.hosts for one in host.questions] + ([self.first] if self.first else [])
        return _unanswered(asked)


class Shape(NamedTuple):
    """What jobs are made of the addresses."""

    choose: str = "all"
    """``all`` addresses of a name, ``one`` or ``one-per-prefix``."""
    form: str = "individual"
    """``individual``: a job for each address; ``array``: one for all; ``oneeach``: one for IPv4 and one for IPv6."""
    seed: int = 0
    annotate: Callable[[Job], Job] | None = None
    """Puts into a job what is known of its address."""


def jobs(target: Target, shape: Shape) -> Iterator[Job]:
    """The jobs of a name that was resolved; none where it has no address that can be measured."""
    for host in target.hosts:
        found = addresses(host, target.plan)
        usable = [one for one in found if leads_somewhere(one)]
        common = _common(target, host)
        if not target.plan.addresses:
            if any(one.answer.values for one in host.questions):
                yield common
        elif shape.form == "array":
            chosen = _chosen([cast(Job, {**common, **_of_address(one, found[one])}) for one in usable], shape)
            if chosen:
                alike = {key: value for key, value in chosen[0].items() if key not in ("dip", "info", "ecs")}
                yield cast(Job, {**alike, "addresses": [_address_of(one) for one in chosen]})
        else:
            made = [cast(Job, {**common, **_of_address(one, found[one])}) for one in usable]
            yield from _chosen(made, shape) if len(made) > 1 or shape.annotate else made


def _unanswered(questions: Sequence[Question]) -> dict[str, str]:
    return {TYPE_NAMES[one.asked[-3]]: one.answer.problem for one in questions if one.answer.problem in RETRY}


def _common(target: Target, host: Host) -> Job:
    """What all jobs of a host have."""
    job = target.job
    if unanswered := _unanswered(host.questions):
        job = cast(Job, {**job, "unanswered": unanswered})
    if host.keys:
        job = cast(Job, {key: value for key, value in job.items() if key != "domain_ascii"}
                   | {**host.keys, "domain": host.domain})
    spelling = both_spellings(job)
    if spelling:
        job = cast(Job, {**job, **spelling})
    for one in host.questions:
        answer = one.answer
        qtype = one.asked[-3]
        if qtype in FAMILIES:
            if answer.chain and answer.values:
                job = cast(Job, {**job, "cname": [*answer.chain]})
        elif answer.values:
            dns = cast("dict[str, Any]", job).get("dns", {})
            job = cast(Job, {**job, "dns": {**dns, TYPE_NAMES[qtype]: [*answer.values]}})
    return job


def addresses(host: Host, plan: Plan) -> dict[bytes, list[str]]:
    """The addresses of a host, packed, and the networks for which each was the answer."""
    found: dict[bytes, list[str]] = {}
    for number, one in enumerate(host.questions):
        if one.asked[-3] in FAMILIES:
            for value in one.answer.values:
                subnets = found.setdefault(value, [])
                if plan.subnets:
                    subnets.append(plan.subnets[number // len(plan.addresses)][0])
    return found


def _of_address(packed: bytes, subnets: list[str]) -> dict[str, Any]:
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    return {"dip": text, "ecs": subnets} if subnets else {"dip": text}


def _address_of(job: Job) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key in ("dip", "info", "ecs")}


def _chosen(made: Sequence[Job], shape: Shape) -> list[Job]:
    """Those of a name's jobs that are taken. Which one is drawn depends on seed, name and address alone."""
    if shape.annotate is not None:
        made = [shape.annotate(job) for job in made]
    groups: list[Callable[[Job], Any]] = []
    if shape.choose != "all":
        groups.append(prefix_of if shape.choose == "one-per-prefix" else _alike)
    if shape.form == "oneeach":
        groups.append(lambda job: ":" in job["dip"])
    if not groups:
        return [*made]
    best: dict[Any, tuple[bytes, Job]] = {}
    for job in made:
        key = tuple(group(job) for group in groups)
        draw = blake2b(f"{shape.seed} {job.get('domain')} {job['dip']}".encode("utf-8", "surrogatepass"),
                       digest_size=8).digest()
        if key not in best or draw < best[key][0]:
            best[key] = draw, job
    return [job for _, job in best.values()]


def _alike(job: Job) -> None:
    """All addresses of a name are of one group."""


def leads_somewhere(packed: bytes) -> bool:
    """Whether a packed address can be measured: not one of this machine or of a link, multicast or reserved.

    Private addresses are good targets: those of a lab, or of a company's network.
    """
    first = packed[0]
    if len(packed) == 4:
        return first not in (0, 127) and first < 224 and packed[:2] != b"\xa9\xfe"
    return not (first == 0xFF or (first == 0xFE and packed[1] & 0xC0 == 0x80) or packed[:15] == bytes(15)
                or packed.startswith(IPV4_MAPPED))


def own_address(job: Job) -> Job | None:
    """The job, where it has its address, or one in the place of its name; None where it has to be resolved."""
    if job.get("dip") is not None:
        return job
    domain = job.get("domain")
    if isinstance(domain, str) and (":" in domain or domain[-1:].isdecimal()):
        with suppress(ValueError):
            return cast(Job, {**job, "dip": str(ip_address(canonical_domain(domain)))})
    return None
