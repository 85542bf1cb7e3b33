"""Give up for good what a run does not need: root's user and groups, and all capabilities but those its plugin names.

Called before threads are started, since each thread has privileges of its own, and inherited by what is started later:
``nft``, and the guard of borrowed settings. What stays is *ambient*, so that they have it too, without being root.
capabilities(7), prctl(2), credentials(7)
"""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
import sys
from collections.abc import Iterable
from typing import NamedTuple

log = logging.getLogger("pathspider")

CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_BPF": 39}
"""Bit numbers of linux/capability.h, for those that a measurement can use."""

OPTIONAL = frozenset({"CAP_BPF"})
"""A run can do without: kept where a plugin names it and the process has it."""

READING = "CAP_DAC_READ_SEARCH"
"""Stays where modules are loaded from a folder that the run's user may not read: they are when first needed."""

OWN = "CAP_NET_ADMIN"
"""Stays where a plugin names no capabilities: those of 2.x call sysctl(8) and iptables(8) themselves."""

CAP_SETPCAP = 8
VERSION_3 = 0x20080522
PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 23, 24, 38, 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4

_libc = ctypes.CDLL(None, use_errno=True)


class User(NamedTuple):
    """Whom a run goes on as that root has begun."""

    name: str
    uid: int
    gid: int


class UserError(Exception):
    """There is no such user, or it cannot be had; the text is for the user."""


def run_user(name: str | None = None) -> User | None:
    """Whom to go on as: the user of this name, or else who called sudo(8), or else ``nobody``; ``None`` unless root.

    :raises UserError: for a name that is none, or if we are not root
    """
    if os.geteuid():
        if name is not None:
            raise UserError(f"--user {name}: only root can go on as another user")
        return None
    caller = os.environ.get("SUDO_UID", "")
    group = os.environ.get("SUDO_GID", "")
    try:
        if name is None and caller.isdecimal() and int(caller) and group.isdecimal() and int(group):
            return User(os.environ.get("SUDO_USER", caller), int(caller), int(group))
        entry = pwd.getpwnam("nobody" if name is None else name)
    except KeyError:
        if name is None:
            return User("nobody", 65534, 65534)
        raise UserError(f"--user {name}: there is no such user") from None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def of_plugin(plugin: type) -> set[str]:
    """The capabilities that stay for a plugin: those that it names, or else its model's and :data:`OWN`."""
    model = next(one for one in plugin.__mro__ if "capabilities" in vars(one))
    says = not model.__module__.startswith("pathspider.") or model.__module__.startswith("pathspider.plugins.")
    return {*plugin.capabilities, *(() if says else (OWN,))}  # type: ignore[attr-defined]


def bits(names: Iterable[str]) -> int:
    """Capabilities as a set of bits; ``ValueError`` for one that is not among :data:`CAPABILITIES`."""
    found = 0
    for name in names:
        if name not in CAPABILITIES:
            raise ValueError(f"capability {name}: only {', '.join(CAPABILITIES)} are known here")
        found |= 1 << CAPABILITIES[name]
    return found


def keep_only(names: Iterable[str], user: User | None = None) -> None:
    """Give up, for good, every capability that is not named, and become ``user``. What this process does not have stays
    missing. With ``user`` None, or in a user namespace that has no other, our user stays.

    :param names: of :data:`CAPABILITIES`; ``ValueError`` for another
    """
    kept = bits(names)
    needed = _needed_files()
    if user is not None:
        _become(user)
    # For root's own user access(2) says what its capabilities allow, and that cannot be told apart.
    if os.getuid() == 0 or not all(os.access(path, os.R_OK) for path in needed):
        kept |= 1 << CAPABILITIES[READING]
    _keep(kept | 1 << CAP_SETPCAP)
    for number in _known_capabilities():
        if not kept >> number & 1:
            # Refused without CAP_SETPCAP; then exec gives nothing back anyway.
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    _keep(kept)
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _become(user: User) -> None:
    try:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        log.debug("going on as user %s (%d)", user.name, user.uid)
    except OSError as error:
        log.debug("cannot go on as user %s (%d): %s; going on as user %d, without the capabilities that are not needed",
                  user.name, user.uid, error.strerror, os.geteuid())
    finally:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))


def _keep(kept: int) -> None:
    """Have these capabilities, as far as they are permitted, in all sets, and no others."""
    header, sets = (ctypes.c_uint32 * 2)(VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, sets))
    for half in range(2):
        sets[3 * half] = sets[3 * half + 1] = sets[3 * half + 2] = sets[3 * half + 1] & kept >> 32 * half & 0xFFFFFFFF
    _check(_libc.capset(header, sets))  # effective, permitted, inheritable
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in _known_capabilities():
        if (sets[1] | sets[4] << 32) >> number & 1:
            _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


def _known_capabilities() -> Iterable[int]:
    number = 0
    while _libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        yield number
        number += 1


def _needed_files() -> list[str]:
    """Where modules are and come from, as far as that is there, and Python itself."""
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [path for path in {sys.executable, *sys.path, *filter(None, modules)} if os.path.exists(path or ".")]


def _check(outcome: int) -> None:
    if outcome:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
