"""Borrowed settings: the only place that changes the machine, and everything is as it was afterwards.

::

    with Settings() as settings:
        settings.sysctl("net.ipv4.tcp_ecn", 1)                      # microseconds, after the first time
        settings.nft(["meta l4proto tcp ip dscp set 46"])           # in a table of our own

What is changed is registered first, with its old value, with a guard process (:mod:`pathspider.network.guard`) that
outlives this one; it is started when the first thing is borrowed. A lock keeps two runs in one network namespace from
borrowing the same thing, unless both want the same value for their whole time and share it; a journal
(:mod:`pathspider.network.journal`) lets the next run clean up if the guard was killed too.

Needs ``CAP_NET_ADMIN`` for ``net.`` sysctls and for rules, not root. The guard is a new Python process: as a normal
user, give capabilities as ambient ones, which it inherits.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pathspider.network import guard, journal, rtnetlink

logger = logging.getLogger(__name__)

PROC_SYS = Path("/proc/sys")
GUARD_ANSWER_SECONDS = 60.0
"""A guard that does not answer for so long was stopped, or hangs: a busy machine needs seconds to start one."""
GUARD_END_SECONDS = 90.0
"""So long a guard that has no more to do, or puts back what we could not, is waited for."""
MOST_VALUES = 16
"""Different values of a setting that are noted."""
OWN_TABLE = re.compile(r"inet pathspider_[0-9]+(_[0-9]+)?")
OUTPUT = "type route hook output priority mangle; policy accept;"
"""The chain that :meth:`Settings.nft` fills by default: outgoing packets, before they are routed again."""


class SettingsError(RuntimeError):
    """A setting could not be borrowed, changed or put back; the text says which, why and what to do."""


class _RefusedError(SettingsError):
    """nft refuses a script: nothing of it was done."""


class _Borrowed:
    """One borrowed thing. ``descriptors``: the lock (or our share), then, for a sysctl, the sysctl."""

    def __init__(self, kind: str, name: str, old: str, lock: socket.socket, sysctl: int | None = None) -> None:
        self.kind, self.name, self.old, self.current = kind, name, old, old
        self.lock = lock
        self.sysctl = sysctl

    @property
    def descriptors(self) -> list[int]:
        return [self.lock.fileno()] + ([] if self.sysctl is None else [self.sysctl])

    def release(self) -> None:
        """Let others borrow it."""
        if self.sysctl is not None:
            os.close(self.sysctl)
            self.sysctl = None
        self.lock.close()


class Undo:
    """What :meth:`Settings.sysctl` returns: as a context manager, it puts back the value from before the call."""

    __slots__ = ("_borrowed", "_previous", "_settings")

    def __init__(self, settings: Settings, borrowed: _Borrowed, previous: str) -> None:
        self._settings, self._borrowed, self._previous = settings, borrowed, previous

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._settings.sysctl(self._borrowed.name, self._previous)


def sysctl_path(name: str) -> Path:
    """The file of a sysctl, named as in sysctl(8), such as ``net.ipv4.tcp_ecn`` or ``net/ipv4/tcp_ecn``.

    An interface's name with a dot may be written as there (``net/ipv4/conf/eth0.5/forwarding``,
    ``net.ipv4.conf.eth0/5.forwarding``) or plainly (``net.ipv4.conf.eth0.5.forwarding``). Only ``net.``: these belong
    to a network namespace. :class:`SettingsError` if there is no such sysctl.
    """
    first = re.search(r"[./]", name)
    parts = name.split("/") if first and first.group() == "/" else [part.replace("/", ".") for part in name.split(".")]
    if parts[0] != "net" or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise SettingsError(f"not a network sysctl: {name!r} (such as net.ipv4.tcp_ecn)")
    path = _find(PROC_SYS, parts)
    if path is None:
        raise SettingsError(f"no such sysctl here: {name} (is it misspelt, or unknown to this kernel or namespace?)")
    return path


def _find(folder: Path, parts: list[str]) -> Path | None:
    """The entry below ``folder`` that ``parts`` name; a part may be cut where an interface's name has a dot."""
    for count in range(1, len(parts) + 1):
        path = folder / ".".join(parts[:count])
        if count == len(parts):
            return path if path.is_file() else None
        if path.is_dir() and (found := _find(path, parts[count:])):
            return found
    return None


class Settings:
    """Borrow sysctls and nftables rules; ``close()``, or leaving the ``with`` block, puts all back.

    All methods may be called by any thread. Errors are :class:`SettingsError`.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self.changes: dict[str, dict[str, Any]] = {}
        """What was borrowed, by its name, and what it was set to: still told when it was given back."""
        self._borrowed: dict[str, _Borrowed] = {}
        self._names: dict[str, _Borrowed] = {}
        self._table: str | None = None
        self._filled = False
        self._journal: guard.Journal | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._asked = 0
        """Messages to guards."""
        self._pid = os.getpid()
        self._closed = False

    def __enter__(self) -> Settings:
        self.clean_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what can be borrowed ------------------------------------------------------------------------------------------

    def read(self, name: str) -> str:
        """The present value of a sysctl, as text without the line's end."""
        try:
            return sysctl_path(name).read_text(encoding="ascii").rstrip("\n")
        except OSError as error:
            raise _explained(name, error) from error

    def sysctl(self, name: str, value: int | str, shared: bool = False) -> Undo:
        """Set a sysctl of this network namespace, for example ``sysctl("net.ipv4.tcp_ecn", 1)``.

        The first change of each borrows it (some milliseconds); after that it is one write to an open file. As a
        context manager, the result puts back what was there before this call.

        With ``shared`` other runs may hold it at the same time, at the same value, which cannot be changed any more;
        the last one that leaves puts back what was there before the first came.
        """
        text = str(value)
        with self._mutex:
            self._check_open()
            if shared:
                return self._share_sysctl(name, text)
            borrowed = self._names.get(name) or self._borrow_sysctl(name)
            if borrowed.kind == "shared":
                return self._share_sysctl(name, text)
            self._watch_guard()
            previous = borrowed.current
            _set(borrowed, name, text)
            self._note(borrowed.name, text)
            return Undo(self, borrowed, previous)

    def nft(self, rules: Iterable[str], chain: str = OUTPUT) -> None:
        """Have these nftables rules, and no others, in the one chain of our own table (family inet).

        ``rules``: a rule a string, for example ``ip dscp set 46``; with none, the table is empty. ``chain``: the base
        chain's type, hook, priority and policy. Each call replaces all rules in one transaction: no packet sees half.
        """
        rules = list(rules)
        for text in (*rules, chain):
            if "\n" in text or text.count("{") != text.count("}") or (text is not chain and ";" in text):
                raise SettingsError(f"not one nftables rule: {text!r}")
        body = "\n".join(f"    {rule}" for rule in rules)
        with self._mutex:
            self._check_open()
            table = self._table = self._table or self._borrow_table()
            self._watch_guard()
            content = f"chain pathspider {{\n    {chain}\n{body}\n}}" if rules else ""
            try:
                self._fill(table, content)
            except _RefusedError:
                if not self._filled:
                    self._table = None
                    self._drop(f"nft/{table}")
                raise
            self._filled = True

    def nft_table(self, content: str, name: str | None = None) -> str:
        """Have one more table of our own (family inet) with this content, as nft(8) writes it; its full name.

        Each call makes another table, unless the ``name`` of one is given: that gets this content instead.
        :meth:`give_back` removes it earlier than :meth:`close`.
        """
        with self._mutex:
            self._check_open()
            table = name or self._borrow_table()
            self._watch_guard()
            try:
                self._fill(table, content)
            except _RefusedError:
                if name is None:
                    self._drop(f"nft/{table}")
                raise
            return table

    def check_guard(self) -> None:
        """Replace the guard, should it have died; where something is switched all the time, that is seen anyway."""
        with self._mutex:
            self._check_open()
            self._watch_guard()

    def check_nft(self) -> None:
        """:class:`SettingsError` if nft is not installed."""
        _nft()

    def marks(self, lock: socket.socket, slot: int, removal: Sequence[str]) -> None:
        """Answer for a slot of marks (:mod:`pathspider.network.configurations`), of which ``lock`` is the lock.

        It is closed when they are given back, or where this fails.

        When it is given back, by its name ``marks N``, the command ``removal`` removes its rules and routes; without
        one there are none.
        """
        with self._mutex:
            self._check_open()
            thing = f"marks/{slot}"
            self._register(thing, _Borrowed("marks", f"marks {slot}", "\t".join(removal), lock))

    # -- giving back -------------------------------------------------------------------------------------------------

    def give_back(self, name: str) -> None:
        """Put one thing back now, named as when it was borrowed; nothing happens if it is not borrowed (any more)."""
        with self._mutex:
            if os.getpid() != self._pid:
                return
            found = [(thing, borrowed) for thing, borrowed in self._borrowed.items()
                     if borrowed is self._names.get(name) or borrowed.name == name]
            for thing, borrowed in found:
                problem = self._put_back(thing, borrowed)
                if problem:  # close() and the guard will try again
                    raise SettingsError(f"could not put back {borrowed.name}: {problem}")
                self._watch_guard()
                self._ask_guard(f"forget\0{borrowed.name}")
                del self._borrowed[thing]
                self._names = {known: other for known, other in self._names.items() if other is not borrowed}
                borrowed.release()

    def close(self) -> None:
        """Put everything back, in reverse order. May be called again. What cannot be put back is named in the error."""
        with self._mutex:
            self._closed = True
            if os.getpid() != self._pid:
                self._forget()  # a forked child: its parent has borrowed, not we
                return
            problems = []
            for thing, borrowed in reversed(self._borrowed.items()):
                problem = self._put_back(thing, borrowed)
                if problem:
                    problems.append(f"{borrowed.name} = {borrowed.old.strip()}: {problem}")
            if self._dismiss_guard(all_done=not problems):
                problems.clear()  # the guard tried again, and could
            if self._journal is not None and not problems:
                self._journal.delete()
            self._forget()
        if problems:
            raise SettingsError("could not put back " + "; ".join(problems))

    def _put_back(self, thing: str, borrowed: _Borrowed) -> str | None:
        return guard.put_back(borrowed.kind, borrowed.old, borrowed.descriptors, self._journal, thing)

    @staticmethod
    def clean_leftovers() -> None:
        """Put back what runs that are dead, guard and all, have left changed in this network namespace."""
        for pid, things, noted in journal.of_dead_runs():
            for thing, old in things.items():
                try:
                    with journal.gate(thing), journal.lock_unshared(thing) as lock:
                        _clean_leftover(pid, thing, old, noted, lock)
                except journal.Busy:
                    pass  # a living run has it too
                except TimeoutError as error:
                    logger.warning("it cannot be seen whether %s was left changed: %s", thing, error)

    def _forget(self) -> None:
        for borrowed in self._borrowed.values():
            borrowed.release()
        self._borrowed.clear()
        self._names.clear()
        if self._channel is not None:
            self._channel.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _check_open(self) -> None:
        if self._closed:
            raise SettingsError("the settings were put back already: nothing more can be borrowed")
        if os.getpid() != self._pid:
            raise SettingsError("settings belong to the process that made them, not to its forked child")

    # -- borrowing ---------------------------------------------------------------------------------------------------

    def _borrow_sysctl(self, name: str) -> _Borrowed:
        path = sysctl_path(name)
        thing = "sysctl/" + str(path.relative_to(PROC_SYS))
        if thing not in self._borrowed:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                raise _explained(name, error) from error
            try:
                lock = _lock(thing, name)
                old = os.pread(descriptor, 4096, 0).decode("ascii")
                noted = journal.read(thing)
                if noted:  # a dead run's: the value that was there before it is the one to return to
                    old = noted[1]
                self._register(thing, _Borrowed("sysctl", name, old, lock, descriptor))
            except BaseException:
                if thing not in self._borrowed:
                    os.close(descriptor)
                raise
        self._names[name] = self._borrowed[thing]
        return self._borrowed[thing]

    def _share_sysctl(self, name: str, text: str) -> Undo:
        path = sysctl_path(name)
        thing = "sysctl/" + str(path.relative_to(PROC_SYS))
        known = self._borrowed.get(thing)
        if known is not None:
            if known.kind != "shared" or known.current != text:
                how = "shared with other runs" if known.kind == "shared" else "borrowed for this run alone"
                raise SettingsError(f"{name} is {how}, at {known.current.strip()}, and cannot become {text}")
            self._names[name] = known
            return Undo(self, known, text)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _explained(name, error, text) from error
        try:
            self._need_guard()
            with journal.gate(thing):
                lock, other = journal.share(thing)
                old = os.pread(descriptor, 4096, 0).decode("ascii")
                noted = journal.read(thing)
                if other is not None and (noted is None or old.split() != text.split()):
                    lock.close()
                    why = "of another user or container, whose journal cannot be read" if noted is None else (
                        f"at {old.strip()}, and this run needs {text}")
                    raise SettingsError(
                        f"{name} is shared by {_who(*other)} in this network namespace, {why}; wait for its end, or "
                        "run in another network namespace"
                    )
                borrowed = _Borrowed("shared", name, noted[1] if noted else old, lock, descriptor)
                self._register(thing, borrowed)
                self._names[name] = borrowed
                _set(borrowed, name, text)
                self._note(name, text)
        except journal.Busy as busy:
            raise _refused(name, busy) from None
        except TimeoutError as error:
            raise SettingsError(f"cannot set {name} to {text!r}: {error}") from error
        finally:
            if thing not in self._borrowed:
                os.close(descriptor)
        return Undo(self, borrowed, text)

    def _borrow_table(self) -> str:
        nft = _nft()
        for number in range(1, 100):  # another process namespace may have the same pid, this process another Settings
            table = f"inet pathspider_{self._pid}" + (f"_{number}" if number > 1 else "")
            with contextlib.suppress(journal.Busy, TimeoutError):
                lock = journal.lock(f"nft/{table}")
                self._register(f"nft/{table}", _Borrowed("nft", f"table {table}", f"{nft} {table}", lock))
                return table
        raise SettingsError("no name is left for an nftables table of our own")

    def _fill(self, table: str, content: str) -> None:
        """Replace the content of one of our tables, in one transaction; :class:`_RefusedError`: nothing came of it."""
        script = f"table {table}\ndelete table {table}\ntable {table} {{\n{content}\n}}\n"
        with open(os.memfd_create("rules"), "w+", encoding="utf-8") as rules, \
                open(os.memfd_create("said"), "w+", encoding="utf-8", errors="replace") as said:
            rules.write(script)
            rules.seek(0)
            status = self._ask_guard(f"fill\0{_nft()}", (rules.fileno(), said.fileno()))
            said.seek(0)
            words = said.read()
        if status == b"refused":
            hint = "; this needs CAP_NET_ADMIN: run as root (sudo)" if "not permitted" in words else ""
            raise _RefusedError(f"nft refuses {_refused_rule(script, words)}{hint}")
        if status != b"ok":
            raise SettingsError(f"rules for packets: {status.decode('utf-8', 'replace')}")
        self._note(f"table {table}", content)

    def _register(self, thing: str, borrowed: _Borrowed) -> None:
        """Guard and journal know of it before it is changed: the guard first, since it notes what is back."""
        try:
            self._need_guard()
            self._tell_guard(thing, borrowed)
            problem = "there is no folder for it"
            if self._journal is not None:
                try:
                    self._journal.note(thing, borrowed.old)
                    problem = ""
                except OSError as error:
                    problem = str(error.strerror)
            if problem:
                logger.warning("the journal of borrowed settings cannot be written: %s; the guard process alone "
                               "protects them", problem)
        except BaseException:
            borrowed.lock.close()
            raise
        self._borrowed[thing] = borrowed
        self.changes.setdefault(borrowed.name, {"name": borrowed.name, "set": []} | (
            {"before": borrowed.old.strip()} if borrowed.sysctl is not None else {}))

    def _note(self, name: str, value: str) -> None:
        values = self.changes[name]["set"]
        if value not in values and len(values) < MOST_VALUES:
            values.append(value)

    def _drop(self, thing: str) -> None:
        """Forget a thing that was registered, but never made: there is nothing to put back."""
        borrowed = self._borrowed.pop(thing)
        del self.changes[borrowed.name]
        self._names = {known: other for known, other in self._names.items() if other is not borrowed}
        self._watch_guard()
        self._ask_guard(f"forget\0{borrowed.name}")
        if self._journal is not None:
            self._journal.forget(thing)
        borrowed.release()

    # -- the guard ---------------------------------------------------------------------------------------------------

    def _need_guard(self) -> None:
        """Have a guard that is ready: to start one takes seconds on a busy machine, too long for a gate to be shut."""
        self._watch_guard()
        if self._guard is None:
            self._journal = self._journal or journal.open_own()
            self._start_guard()

    def _start_guard(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(GUARD_ANSWER_SECONDS)
        python = sys.executable or "/usr/bin/python3"
        noted = self._journal
        more = [] if noted is None else [str(noted.descriptor), noted.path, str(noted.lock)]
        with theirs:
            try:
                self._guard = subprocess.Popen(
                    [python, "-I", "-S", guard.__file__, str(os.getpid()), *more],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True, cwd="/",
                    pass_fds=() if noted is None else (noted.descriptor, noted.lock),
                )
            except OSError as error:
                ours.close()
                raise SettingsError(f"cannot start the guard of borrowed settings ({python}): {error}") from error
        self._channel = ours
        self._channel_ended = select.poll()
        self._channel_ended.register(ours, select.POLLIN)
        self._ask_guard("forget\0")  # nothing: it answers when it is ready

    def _tell_guard(self, thing: str, borrowed: _Borrowed) -> None:
        fields = (borrowed.kind, borrowed.name, borrowed.old, thing, f"pathspider {self._pid}")
        answer = self._ask_guard("\0".join(fields), borrowed.descriptors)
        if answer != b"ok":
            raise SettingsError(f"the guard of borrowed settings does not take {borrowed.name}: "
                                f"{answer.decode('utf-8', 'replace')}")

    def _ask_guard(self, message: str, descriptors: Sequence[int] = ()) -> bytes:
        """Send a message; the answer."""
        assert self._channel is not None
        self._asked += 1
        number = f"{self._asked}\0"
        answer = b"-"
        try:
            socket.send_fds(self._channel, [(number + message).encode("utf-8", "surrogateescape")], descriptors)
            while answer and not answer.startswith(number.encode()):  # else a late one, to what came before
                answer = self._channel.recv(guard.MESSAGE_BYTES)
        except OSError as error:
            raise SettingsError(f"the guard of borrowed settings does not answer: {error}") from error
        if not answer:
            raise SettingsError("the guard of borrowed settings ended early: nothing was changed")
        return answer.removeprefix(number.encode())

    def _watch_guard(self) -> None:
        """Replace a guard that has died: what is borrowed must be safe before more is changed. One system call."""
        if self._guard is None or self._channel is None:
            return
        while self._channel_ended.poll(0):
            with contextlib.suppress(OSError):
                if self._channel.recv(guard.MESSAGE_BYTES):
                    continue  # an answer that nobody waits for any more
            break
        else:
            return
        logger.warning("the guard of borrowed settings (process %d) has died; starting another", self._guard.pid)
        self._channel.close()
        self._guard_status()
        self._start_guard()
        for thing, borrowed in self._borrowed.items():
            self._tell_guard(thing, borrowed)

    def _dismiss_guard(self, all_done: bool) -> bool:
        """End the guard. Unless all is done, it puts back what it can; whether everything is back then."""
        if self._guard is None or self._channel is None:
            return False
        with contextlib.suppress(OSError):  # it has died: then it needs no message
            if all_done:
                self._channel.send(b"done")
        self._channel.close()
        return self._guard_status() == 0

    def _guard_status(self) -> int | None:
        """How a guard that was told to end, or has closed its channel, ended; ``None`` if it does not."""
        assert self._guard is not None
        try:
            return self._guard.wait(GUARD_END_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the guard of borrowed settings (process %d) has not ended within %g s: what is not back "
                           "yet, it may put back later", self._guard.pid, GUARD_END_SECONDS)
            return None


def _lock(thing: str, name: str) -> socket.socket:
    try:
        return journal.lock_alone(thing)
    except journal.Busy as busy:
        raise _refused(name, busy) from None
    except TimeoutError as error:
        raise SettingsError(f"cannot borrow {name}: {error}") from error


def _refused(name: str, busy: journal.Busy) -> SettingsError:
    return SettingsError(
        f"{name} is borrowed by {_who(busy.pid, busy.uid)} in this network namespace: two runs would spoil each "
        "other's measurement; wait for its end, or run in another network namespace"
    )


def _who(pid: int, uid: int) -> str:
    if pid == os.getpid():
        return "another part of this process"
    whose = "" if uid == os.geteuid() else f" of user {uid}"
    return f"process {pid}{whose}" if pid else f"a process{whose} that cannot be seen from here"


def _refused_rule(script: str, words: str) -> str:
    """What nft refuses and why, of a script, from what it says: ``/dev/stdin:3:1-5: Error: …``, the line, ``^^^^``."""
    said = re.search(r"^[^\n]*?:(\d+):\d+-\d+: (Error: [^\n]*)", words, re.MULTILINE)
    lines = script.split("\n")
    if said is None or int(said[1]) > len(lines):
        return f"our rules: {' '.join(words.split())}"
    return f"the rule {lines[int(said[1]) - 1].strip()!r}: {said[2]}"


def _set(borrowed: _Borrowed, name: str, text: str) -> None:
    assert borrowed.sysctl is not None
    try:
        os.pwrite(borrowed.sysctl, text.encode("ascii"), 0)
    except OSError as error:
        raise _explained(name, error, text) from error
    except UnicodeError as error:
        raise SettingsError(f"not a value for a sysctl: {text!r}") from error
    borrowed.current = text


def _nft() -> str:
    found = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise SettingsError("nft is not installed, and rules for packets need it: apt install nftables")
    return found


def _explained(name: str, error: OSError, value: str | None = None) -> SettingsError:
    """The error as a person can use it."""
    what = f"cannot set {name}" + ("" if value is None else f" to {value!r}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SettingsError(f"{what}: no permission; it needs CAP_NET_ADMIN: run as root (sudo)")
    if error.errno == errno.EROFS:
        return SettingsError(f"{what}: /proc/sys is read-only here (a container?); run where it can be written")
    if error.errno in (errno.EINVAL, errno.ERANGE):
        return SettingsError(f"{what}: the kernel refuses this value")
    return SettingsError(f"{what}: {error.strerror}")


def _clean_leftover(pid: int, thing: str, old: str, noted: guard.Journal, lock: socket.socket) -> None:
    try:
        problem = _put_back_leftover(thing, old, lock)
    except SettingsError as error:  # without nft, for example
        problem = str(error)
    was = f" (it was {old.strip()})" if thing.startswith("sysctl/") else ""
    if problem:
        logger.warning("process %d left %s changed%s: %s", pid, thing, was, problem)
    else:
        logger.warning("process %d left %s changed; put back%s", pid, thing, was)
        noted.forget(thing)


def _put_back_leftover(thing: str, old: str, lock: socket.socket) -> str | None:
    """Restore what the journal says; only what a run of ours can have changed."""
    kind, _, name = thing.partition("/")
    if kind == "nft" and OWN_TABLE.fullmatch(name):
        return guard.put_back("nft", f"{_nft()} {name}", [lock.fileno()])
    if kind == "marks" and name.isdecimal():
        return guard.put_back("marks", "\t".join(rtnetlink.removal(int(name))) if old else "", [lock.fileno()])
    if kind != "sysctl":
        return "not a thing that is borrowed"
    try:
        descriptor = os.open(sysctl_path(name), os.O_RDWR | os.O_CLOEXEC)
    except SettingsError:
        return None  # it went away, for example with its interface
    except OSError as error:
        return error.strerror
    try:
        return guard.put_back("sysctl", old, [lock.fileno(), descriptor])
    finally:
        os.close(descriptor)
