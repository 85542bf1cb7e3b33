"""All scenarios of the lab: from here come the rules, the targets, the table and the checks."""

from __future__ import annotations

import os
import runpy
import stat
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pathspider.helpers.modes import MODES
from pathspider.lab.addresses import clean_address, clean_name, name_of
from pathspider.lab.errors import LabError
from pathspider.lab.families import (
    accecn,
    dscp,
    dscpclass,
    ecn,
    ecnmarks,
    evilbit,
    h2,
    ipv6eh,
    l4s,
    mptcp,
    mss,
    order,
    pmtud,
    quic,
    tcpopt,
    tfo,
    tls,
    udpopts,
    udpzero,
)
from pathspider.lab.hops import ROUTER, Quote, hop_of, quoting
from pathspider.lab.mangler import Mangler
from pathspider.lab.scenario import LARGEST_FAMILY, PLAIN_ROOM, Case, Family, Scenario, cases_of
from pathspider.records import Job

FAMILIES: dict[str, Family] = {
    "ecn": Family(1, [*ecn.SCENARIOS, *order.SCENARIOS, *ecnmarks.SCENARIOS]),
    "dscp": Family(2, dscp.SCENARIOS),
    "tfo": Family(3, tfo.SCENARIOS),
    "h2": Family(4, h2.SCENARIOS),
    "evilbit": Family(5, evilbit.SCENARIOS),
    "mss": Family(6, mss.SCENARIOS),
    "udpzero": Family(7, udpzero.SCENARIOS),
    "udpopts": Family(8, udpopts.SCENARIOS),
    "tcpopt": Family(14, tcpopt.SCENARIOS),
    "mptcp": Family(10, mptcp.SCENARIOS),
    "accecn": Family(11, accecn.SCENARIOS),
    "ipv6eh": Family(12, ipv6eh.SCENARIOS),
    "dscpclass": Family(13, dscpclass.SCENARIOS),
    "l4s": Family(20, l4s.SCENARIOS),
    "tls": Family(25, tls.SCENARIOS),
    "pmtud": Family(26, pmtud.SCENARIOS),
    "quic": Family(30, quic.SCENARIOS),
}
"""Plugin (or file of a user) -> its scenarios."""


HOPS_FILE = str(Path(__file__).with_name("families") / "hops.py")
"""Scenarios on paths of eight hops: named like a file of users, since most labs do without."""

HOP_FAMILY = 9
"""Number of its family, which no other has."""

OWN_FAMILIES = 200
"""Number of the first family that a user adds."""


def add_scenarios(path: str) -> None:
    """Add the scenarios of a user's file: a Python file that defines ``SCENARIOS``, a list of :class:`Scenario`.

    They form a family of their own. Raises LabError when the file cannot be used.
    """
    scenarios = import_module("pathspider.lab.families.hops").SCENARIOS if path == HOPS_FILE else scenarios_of(path)
    known = {one.name.lower(): one for family in FAMILIES.values() for one in family.scenarios}
    for one in scenarios:
        if (other := known.setdefault(one.name.lower(), one)) is not one:
            raise LabError(f"{one.where}: a scenario called {other.name!r} exists already "
                           f"({other.where}); give it another name")
    number = OWN_FAMILIES + sum(family.number >= OWN_FAMILIES for family in FAMILIES.values())
    if path == HOPS_FILE:
        number = HOP_FAMILY
    FAMILIES[os.path.abspath(path)] = Family(number, scenarios)


def scenarios_of(path: str) -> list[Scenario]:
    """What a user's file defines as ``SCENARIOS``. Raises LabError that names the line.

    The file runs as code; for root, only if nobody but root and who called sudo can have written it.
    """
    if os.geteuid() == 0:
        check_trusted(path)
    try:
        defined = runpy.run_path(path)
    except (Exception, SystemExit) as error:
        text = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.filename == path:
            text = f"{error.strerror}; --scenarios names a Python file with a list SCENARIOS"
        elif isinstance(error, SyntaxError) and error.filename == path:
            raise LabError(f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}") from error
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        raise LabError(f"{path}{f', line {lines[-1]}' if lines else ''}: {text}") from error
    if "SCENARIOS" not in defined:
        raise LabError(f"{path}: it defines no SCENARIOS; that is to be a list of Scenario(...)")
    scenarios: object = defined["SCENARIOS"]
    if not isinstance(scenarios, list | tuple):
        raise LabError(f"{path}: SCENARIOS is of type {type(scenarios).__name__}; it is to be a list of Scenario(...)")
    for number, one in enumerate(scenarios):
        if not isinstance(one, Scenario):
            raise LabError(f"{path}: SCENARIOS[{number}] is {one!r}; it is to be a Scenario(...)")
    if len(scenarios) > LARGEST_FAMILY and path != HOPS_FILE:
        raise LabError(f"{path}: {len(scenarios)} scenarios; a file holds up to {LARGEST_FAMILY}, make it two")
    return list(scenarios)


def check_trusted(path: str) -> None:
    """Raise LabError if others can change what is at this path: the file, a link to it, or any folder above.

    Others are not root, who called sudo(8), with the group of the same number, and who owns PATHspider itself. A file
    that is not there is no matter of trust.
    """
    caller = [int(os.environ[key]) for key in ("SUDO_UID", "SUDO_GID") if os.environ.get(key, "").isdecimal()]
    owners = {0, os.stat(__file__).st_uid, *caller[:1]}
    groups = {0, *(caller[:1] if caller[:1] == caller[1:] else ())}
    whole = os.path.realpath(path)
    for one in dict.fromkeys([whole, *_above(whole), os.path.abspath(path), *_above(os.path.abspath(path))]):
        try:
            found = os.lstat(one)
        except OSError:
            continue
        others = 0o002 if found.st_gid in groups else 0o022
        # nobody can replace what is another's in a folder with the sticky bit; the mode of a link is no matter
        open_to_all = not stat.S_ISLNK(found.st_mode) and found.st_mode & others and not (
            stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX)
        if found.st_uid in owners and not open_to_all:
            continue
        what, remedy = (f"belongs to user {found.st_uid}", f"chown -h root {one}") if found.st_uid not in owners else (
            f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod go-w {one}")
        where = "it" if one == whole else f"{one}, on the way to it,"
        raise LabError(f"{path}: {where} {what}, and root would run the file as code; look at it, then {remedy}, or "
                       "copy it to a folder of your own")


def _above(path: str) -> list[str]:
    """The folders above an absolute path, the nearest first."""
    return [str(folder) for folder in Path(path).parents]


def all_cases(plugin: str | None = None, connect: str | None = None, version: int | None = None) -> list[Case]:
    """Every case, or those of one plugin, connection mode, IP version."""
    return [case for family in FAMILIES.values() for case in cases_of(family)
            if plugin in (None, case.scenario.plugin) and (connect is None or connect == case.scenario.connect)
            and version in (None, case.version)]


def no_ecn_addresses() -> list[str]:
    """The addresses that lead to servers whose kernel knows neither ECN nor TCP Fast Open."""
    return [case.address for case in all_cases() if case.scenario.server in PLAIN_ROOM]


def served_by(*kinds: str) -> dict[str, str]:
    """Address -> kind, of the cases whose server is of one of these kinds."""
    return {case.address: case.scenario.server for case in all_cases() if case.scenario.server in kinds}


def mangled_hops() -> dict[int, list[str]]:
    """Hop -> the addresses of those cases. The lab's own router is always among them."""
    found: dict[int, list[str]] = {ROUTER: []}
    table = mangled()
    for case in all_cases():
        if case.address in table:
            found.setdefault(hop_of(case), []).append(case.address)
    return found


def quoting_hops() -> dict[int, dict[str, Quote]]:
    """Hop -> address -> how it quotes, of the cases where it does not quote as Linux does."""
    return quoting(all_cases())


def mangled() -> dict[str, list[Mangler]]:
    """Address -> what the middlebox in user space does there, of the cases that need it."""
    found = {case.address: [one.mangler for one in case.scenario.path if one.mangler] for case in all_cases()}
    return {address: manglers for address, manglers in found.items() if manglers}


def names() -> dict[str, dict[str, str]]:
    """The name of each path, in lower case -> its address by DNS type, ``A`` and ``AAAA``."""
    found: dict[str, dict[str, str]] = {}
    for case in all_cases():
        name = name_of(case.scenario.name).lower()
        found.setdefault(name, {})["A" if case.version == 4 else "AAAA"] = case.address
    return found


def clean_jobs(number: int, connect: str = "http", version: int | None = None) -> Iterator[Job]:
    """``number`` jobs of the clean range, IPv4 and IPv6 in turn unless told otherwise."""
    versions = (4, 6) if version is None else (version,)
    for index in range(number):
        round_, turn = divmod(index, len(versions))
        yield {"dip": clean_address(round_, versions[turn]), "dp": MODES[connect].port,
               "domain": clean_name(round_), "scenario": "clean"}


def twin_of(case: Case) -> Case | None:
    """The clean case that is measured in the same way over the same IP version."""
    for other in all_cases(case.scenario.plugin, version=case.version):
        if other.scenario.clean and list(other.scenario.measure) == list(case.scenario.measure):
            return other
    return None
