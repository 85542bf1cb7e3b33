"""A program in the kernel that has the connections of some sockets ask for ECN: those with a mark of ours.

The kernel asks programs of the type ``sock_ops``, attached to the control group (cgroups(7), version 2) that a socket
was made in, whether its SYN is to ask for ECN (``BPF_SOCK_OPS_NEEDS_ECN``, linux/bpf.h). Ours says yes for ``SO_MARK``
values that it is given, in the network namespace in which it was made, and nothing for all others: a control group may
have runs in several network namespaces, each with marks of its own. It is attached to our own control group by a link,
which vanishes with the process that made it: there is nothing to put back.

What a SYN of such a socket carries beside the flags is ECT(0) in the IP header, as for a congestion control that needs
ECN; :rfc:`3168` forbids that, and a Linux server then does not negotiate. Whoever uses this must take it off the SYN.

bpf(2) by its number, since no library that Debian has offers it without a compiler. Needs ``CAP_BPF`` and
``CAP_NET_ADMIN`` (before the first network namespace's user namespace), or root. Where control groups are mounted
nowhere that we can see (ip-netns(8) and labs cover ``/sys``), ours can be had with ``CAP_SYS_ADMIN``, by a mount that
has no place; who gives that up calls :func:`hold_cgroup` before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import socket
import struct
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pathspider.network.interfaces import effective_capabilities
from pathspider.network.journal import SO_NETNS_COOKIE
from pathspider.network.privileges import CAPABILITIES

PROG_LOAD, OBJ_GET_INFO_BY_FD, LINK_CREATE = 5, 15, 28
PROG_TYPE_SOCK_OPS, CGROUP_SOCK_OPS = 13, 3
NEEDS_ECN = 6
GET_NETNS_COOKIE = 122  # bpf-helpers(7); for this type of program since Linux 5.15
OP, REPLY, SK, SK_MARK = 0, 4, 184, 16
"""Where ``struct bpf_sock_ops`` and ``struct bpf_sock`` have these."""

SYSTEM_CALLS = {
    "x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "i386": 357, "i686": 357, "armv6l": 386,
    "armv7l": 386, "ppc64": 361, "ppc64le": 361, "s390x": 351, "mips64": 5315,
}
"""The number of bpf(2), by machine."""


FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
"""Numbers of system calls, the same on all machines; since Linux 5.2."""
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_CMD_CREATE = 6
CAP_SYS_ADMIN = 21

Instruction = tuple[int, int, int, int | str, int]
"""Operation, destination and source register, offset (or the name of where to jump), value."""


class BPFError(OSError):
    """The program cannot be used here; the text says why."""


class AskForECN:
    """From now on, until :meth:`close` or the end of this process, sockets with these marks ask for ECN."""

    _living: weakref.WeakSet[AskForECN] = weakref.WeakSet()

    def __init__(self, marks: Sequence[int]) -> None:
        self._link = -1
        if not effective_capabilities() & (1 << CAPABILITIES["CAP_BPF"] | 1 << CAP_SYS_ADMIN):
            raise BPFError(errno.EPERM, "BPF needs CAP_BPF, which is missing")
        folder = open_own_cgroup()
        try:
            program = _load(instructions(marks, netns_cookie()))
            try:
                self._link = _bpf(LINK_CREATE, struct.pack("=IIII", program, folder, CGROUP_SOCK_OPS, 0))
            except OSError as error:
                raise BPFError(error.errno, f"attaching a BPF program to our own control group: {error.strerror}"
                               ) from error
            finally:
                os.close(program)
        finally:
            os.close(folder)
        self._living.add(self)

    def attached(self) -> bool:
        """Whether it is attached still: somebody may detach it, or remove the control group."""
        if self._link < 0:
            return False
        info = bytearray(64)
        room = (ctypes.c_char * len(info)).from_buffer(info)
        request = struct.pack("=IIQ", self._link, len(info), ctypes.addressof(room))
        try:
            _bpf(OBJ_GET_INFO_BY_FD, request)
        except OSError:
            return False
        # struct bpf_link_info: type, id, prog_id, then for a control group its id, of which a detached link has none
        (group,) = struct.unpack_from("=Q", info, 16)
        return bool(group)

    def close(self) -> None:
        """Detach it; may be called again."""
        self._living.discard(self)
        link, self._link = self._link, -1
        if link >= 0:
            os.close(link)

    @classmethod
    def _after_fork(cls) -> None:
        for one in list(cls._living):
            one.close()


# A forked child that lives on must not keep the program alive when its parent is gone.
os.register_at_fork(after_in_child=AskForECN._after_fork)


def instructions(marks: Sequence[int], cookie: int) -> bytes:
    """The program, for the network namespace with this cookie.

    ``if (op == NEEDS_ECN && sk && sk->mark is one of marks && netns cookie == cookie) reply = 1; return 1``
    """
    compare: list[Instruction] = [
        (0xBF, 6, 1, 0, 0),              # r6 = ctx
        (0x61, 2, 6, OP, 0),             # r2 = *(u32 *)(r6 + OP)
        (0x55, 2, 0, "end", NEEDS_ECN),  # if r2 != NEEDS_ECN goto end
        (0x79, 2, 6, SK, 0),             # r2 = *(u64 *)(r6 + SK)
        (0x15, 2, 0, "end", 0),          # if r2 == 0 goto end
        (0x61, 2, 2, SK_MARK, 0),        # r2 = *(u32 *)(r2 + SK_MARK)
        *((0x16, 2, 0, "ours", mark) for mark in marks),  # if (u32)r2 == mark goto ours
        (0x05, 0, 0, "end", 0),          # goto end
    ]
    ours: list[Instruction] = [
        (0xBF, 1, 6, 0, 0),                      # r1 = ctx
        (0x85, 0, 0, 0, GET_NETNS_COOKIE),       # r0 = bpf_get_netns_cookie(r1)
        (0x18, 2, 0, 0, cookie & 0xFFFFFFFF), (0, 0, 0, 0, cookie >> 32),  # r2 = cookie
        (0x5D, 0, 2, "end", 0),                  # if r0 != r2 goto end
        (0xB7, 2, 0, 0, 1),                      # r2 = 1
        (0x63, 6, 2, REPLY, 0),                  # *(u32 *)(ctx + REPLY) = r2
    ]
    end: list[Instruction] = [(0xB7, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)]  # return 1: what other programs want is allowed
    targets = {"ours": len(compare), "end": len(compare) + len(ours)}
    code = b""
    for place, (operation, destination, source, offset, value) in enumerate([*compare, *ours, *end]):
        jump = targets[offset] - place - 1 if isinstance(offset, str) else offset
        code += _instruction(operation, destination, source, jump, value)
    return code


def _instruction(operation: int, destination: int, source: int, offset: int, value: int) -> bytes:
    registers = source << 4 | destination if struct.pack("=H", 1) == b"\1\0" else destination << 4 | source
    return struct.pack("=BBhI", operation, registers, offset, value)


def _load(code: bytes) -> int:
    licence = ctypes.create_string_buffer(b"GPL")
    program = ctypes.create_string_buffer(code, len(code))
    request = struct.pack("=IIQQIIQII16sII", PROG_TYPE_SOCK_OPS, len(code) // 8, ctypes.addressof(program),
                          ctypes.addressof(licence), 0, 0, 0, 0, 0, b"pathspider_ecn", 0, CGROUP_SOCK_OPS)
    try:
        return _bpf(PROG_LOAD, request)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise BPFError(error.errno, "BPF is not permitted here (user namespace or container)") from error
        raise BPFError(error.errno, f"the kernel refuses our BPF program: {error.strerror}") from error


def _bpf(command: int, request: bytes) -> int:
    number = SYSTEM_CALLS.get(platform.machine())
    if number is None:
        raise BPFError(errno.ENOSYS, f"the number of bpf(2) on {platform.machine()} is not known here")
    room = ctypes.create_string_buffer(request, max(len(request), 128))
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), ctypes.c_int(command), room, ctypes.c_uint(len(room)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def netns_cookie() -> int:
    """A number for this network namespace, not used again until the next boot. ``BPFError`` before Linux 5.14."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            cookie: int = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
        except OSError as error:
            raise BPFError(error.errno, "network namespaces have no cookies here") from error
    return cookie


_held: int | None = None
"""The folder of our own control group, from :func:`hold_cgroup`."""


def hold_cgroup() -> None:
    """Open our own control group while that is permitted; it is used later where the group is mounted nowhere."""
    global _held  # noqa: PLW0603 - a process has one control group
    if _held is None:
        with suppress(BPFError):
            _held = open_own_cgroup()


def open_own_cgroup() -> int:
    """A descriptor of the folder of our own control group, mounted or not; :class:`BPFError`."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        try:
            return os.open(own_cgroup(), flags)
        except BPFError:
            if _held is not None:
                return os.dup(_held)
            root = _detached_mount()
            if root is None:
                raise
            try:
                return os.open(cgroup_name().lstrip("/") or ".", flags, dir_fd=root)
            finally:
                os.close(root)
    except BPFError:
        raise
    except OSError as error:
        raise BPFError(error.errno, f"our own control group cannot be opened: {error.strerror}") from error


def _detached_mount() -> int | None:
    """The control groups of version 2, mounted at no place; None where that is not permitted, or not known."""
    libc = ctypes.CDLL(None, use_errno=True)
    context = libc.syscall(ctypes.c_long(FSOPEN), b"cgroup2", FSOPEN_CLOEXEC)
    if context < 0:
        return None
    try:
        if libc.syscall(ctypes.c_long(FSCONFIG), context, FSCONFIG_CMD_CREATE, None, None, 0):
            return None
        root: int = libc.syscall(ctypes.c_long(FSMOUNT), context, FSMOUNT_CLOEXEC, 0)
        return None if root < 0 else root
    finally:
        os.close(context)


def cgroup_name(proc: Path = Path("/proc/self")) -> str:
    """What our own control group of version 2 is called, such as ``/user.slice``; :class:`BPFError`."""
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise BPFError(error.errno, f"no control groups here: {error.strerror}") from error
    own = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), None)
    if own is None:
        raise BPFError(errno.ENOENT, "no control groups of version 2 here")
    return own


def own_cgroup(proc: Path = Path("/proc/self")) -> Path:
    """The folder of our own control group of version 2, wherever its file system is mounted; :class:`BPFError`."""
    own = cgroup_name(proc)
    try:
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise BPFError(error.errno, f"no control groups here: {error.strerror}") from error
    for line in mounts:  # proc(5): "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 cgroup2 rw"
        before, _, after = line.partition(" - ")
        if after.split(" ", 1)[0] != "cgroup2":
            continue
        root, point = (_unescaped(field) for field in before.split(" ")[3:5])
        inside = own if root == "/" else own.removeprefix(root) if f"{own}/".startswith(f"{root}/") else None
        if inside is None or ".." in inside.split("/"):
            continue
        folder = Path(point, inside.lstrip("/"))
        if (folder / "cgroup.procs").exists():  # else something covers it: every /sys has a folder for them
            return folder
    raise BPFError(errno.ENOENT, f"our own control group, {own}, is mounted nowhere")


def _unescaped(text: str) -> str:
    r"""Spaces and their like are written as ``\040`` in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)
