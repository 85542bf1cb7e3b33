"""The few kernel calls on namespaces, mounts and links for which Python 3.11 and pyroute2 have no name.

All of them raise :exc:`OSError` with the kernel's reason. See unshare(2), setns(2), mount(2), prctl(2), ethtool's
``SIOCETHTOOL``.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
from collections.abc import Iterator

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
CLONE_NEWPID = 0x20000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1

SIOCETHTOOL = 0x8946
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

OFFLOADS = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
"""What ``ethtool -K`` calls it, and the command (ETHTOOL_S...) that sets it."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling thread (for ``CLONE_NEWPID``: its next children) namespaces of its own."""
    _check(_libc.unshare(flags), "unshare")


def new_network() -> int:
    """Enter a fresh network namespace and return a descriptor of it."""
    unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(descriptor: int) -> None:
    """Move the calling thread into the network namespace behind ``descriptor``."""
    _check(_libc.setns(descriptor, CLONE_NEWNET), "setns")


@contextlib.contextmanager
def inside(descriptor: int, home: int) -> Iterator[None]:
    """Be in the network namespace ``descriptor`` for the length of a block, then back in ``home``."""
    enter_network(descriptor)
    try:
        yield
    finally:
        enter_network(home)


def mount(kind: str, where: str, flags: int = 0) -> None:
    """Mount a new file system of this kind at ``where``."""
    _check(_libc.mount(kind.encode(), where.encode(), kind.encode(), flags, None), f"mount {kind} on {where}")


def cover(where: str, text: str) -> None:
    """Have the file at ``where``, which must exist, read ``text`` in this mount namespace."""
    mount("tmpfs", "/tmp")
    try:
        with open("/tmp/cover", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod("/tmp/cover", 0o444)
        _check(_libc.mount(b"/tmp/cover", os.fsencode(where), None, MS_BIND, None), f"cover {where}")
    finally:
        _check(_libc.umount2(b"/tmp", MNT_DETACH), "umount")


def make_mounts_private() -> None:
    """From here on, no mount of this mount namespace reaches another one."""
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "make mounts private")


def unnamed_directory() -> int:
    """A descriptor of an empty directory in memory that has no name in any file system.

    It goes with the last process that holds the descriptor, so nothing is left to clean up after a SIGKILL. Others
    reach it as ``/proc/<pid>/fd/<descriptor>/``.
    """
    mount("tmpfs", "/tmp")
    descriptor = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _check(_libc.umount2(b"/tmp", MNT_DETACH), "umount")
    os.fchmod(descriptor, 0o755)
    return descriptor


def die_with_parent() -> None:
    """Ask for SIGKILL when the parent (the thread that forked this process) ends."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def no_offloads(interface: str) -> None:
    """Switch off what an interface leaves to hardware, so that packets look as they do on a wire.

    Otherwise a veth carries unfinished checksums and segments larger than the MTU.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value)).ljust(40, b"\0")
            fcntl.ioctl(sock, SIOCETHTOOL, request)


def make_tun(name: str, directory: int) -> int:
    """Make a TUN device in the current network namespace: whole IP packets, by the descriptor that is returned.

    ``directory``: descriptor of a directory in memory, for the device node where /dev has none (in containers).
    """
    node = "/dev/net/tun"
    if not os.path.exists(node):
        node = f"/proc/self/fd/{directory}/tun"
        with contextlib.suppress(FileExistsError):
            os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(10, 200))
    descriptor = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor
