"""The kernel calls that a lab is made with, in namespaces of the test's own."""

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.lab import namespaces
from tests.libtrace.frames import in_namespace, ip

HERE = "/proc/thread-self/ns/net"
MOUNTS = """
import os
from pathspider.lab.namespaces import *
unshare(CLONE_NEWNS)
make_mounts_private()
before = os.stat("/tmp").st_dev
directory = unnamed_directory()
assert os.stat("/tmp").st_dev == before, "the mount is still there"
assert os.listdir(directory) == []
assert oct(os.fstat(directory).st_mode & 0o777) == "0o755"
with open(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=directory), "w") as file: file.write("kept")
print(open(f"/proc/{os.getpid()}/fd/{directory}/x").read(), os.get_inheritable(directory))
mount("tmpfs", FOLDER)
open(FOLDER + "/inside", "w").close()
try: mount("nonesuch", FOLDER)
except OSError as error: print(error.errno, error.strerror)
"""
PARENT = """
import os, signal
from pathspider.lab.namespaces import die_with_parent
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    die_with_parent()
    os.write(writer, b"x")
    signal.pause()
os.read(reader, 1)
print(child, flush=True)
input()
"""


class TestNetworks(unittest.TestCase):
    def test_in_and_back_even_after_an_error(self):
        def scenario():
            home = os.open(HERE, os.O_RDONLY)
            other = namespaces.new_network()
            there = os.stat(HERE).st_ino
            namespaces.enter_network(home)
            with self.assertRaises(ArithmeticError), namespaces.inside(other, home):
                found = os.stat(HERE).st_ino
                raise ArithmeticError
            try:
                return there, found, os.stat(HERE).st_ino, os.fstat(home).st_ino, os.get_inheritable(other)
            finally:
                os.close(home)
                os.close(other)

        there, found, back, home, inheritable = in_namespace(scenario)
        self.assertEqual((found, back, inheritable), (there, home, False))
        self.assertNotEqual(there, home)

    def test_only_the_calling_thread_moves(self):
        found = []
        before = os.stat(HERE).st_ino

        def move():
            os.close(namespaces.new_network())
            found.append(os.stat(HERE).st_ino)

        thread = threading.Thread(target=move)
        thread.start()
        thread.join()
        self.assertNotEqual(found, [before])
        self.assertEqual(os.stat(HERE).st_ino, before)

    def test_what_is_no_namespace(self):
        with open("/dev/null") as file, self.assertRaisesRegex(OSError, "setns: Invalid argument") as caught:
            namespaces.enter_network(file.fileno())
        self.assertEqual(caught.exception.errno, errno.EINVAL)


class TestInterfaces(unittest.TestCase):
    def test_offloads_go_off_on_this_interface_alone(self):
        def state(name):
            get = {"rx": 0x14, "tx": 0x16, "sg": 0x18, "tso": 0x1E, "gso": 0x23, "gro": 0x2B}  # linux/ethtool.h
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                found = set()
                for feature, command in get.items():
                    value = bytearray(struct.pack("=II", command, 7))
                    address = (ctypes.c_char * len(value)).from_buffer(value)
                    request = struct.pack("16sP", name, ctypes.addressof(address)).ljust(40, b"\0")
                    fcntl.ioctl(sock, namespaces.SIOCETHTOOL, request)
                    found |= {feature} if struct.unpack("=II", address)[1] else set()
                return found

        def scenario():
            ip("link add v0 type veth peer name v1")
            before = state(b"v0")
            namespaces.no_offloads("v0")
            namespaces.no_offloads("v0")
            return before, state(b"v0"), state(b"v1")

        before, after, peer = in_namespace(scenario)
        self.assertLessEqual({"tx", "sg", "tso", "gso"}, before)
        self.assertEqual(after, set())
        self.assertLessEqual({"gso", "sg"}, peer)

    def test_an_interface_that_is_not_there(self):
        with self.assertRaises(OSError) as caught:
            in_namespace(lambda: namespaces.no_offloads("nope"))
        self.assertEqual(caught.exception.errno, errno.ENODEV)

    def test_packets_come_out_of_a_tun_whole(self):
        def scenario():
            with tempfile.TemporaryDirectory() as folder:
                directory = os.open(folder, os.O_RDONLY)
                tun = namespaces.make_tun("mytun", directory)
                with self.assertRaises(OSError):
                    namespaces.make_tun("mytun", directory)
                ip("link set mytun up")
                ip("addr add 192.0.2.1/24 dev mytun")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"hello", ("192.0.2.9", 9))
                    while (data := os.read(tun, 2000))[0] >> 4 != 4:
                        pass  # IPv6 looks for its router
                os.close(tun)
                os.close(directory)
                return data, Path("/proc/net/dev").read_text()

        data, devices = in_namespace(scenario)
        self.assertEqual((data[0], data[16:20], data[28:]), (0x45, bytes([192, 0, 2, 9]), b"hello"))
        self.assertNotIn("mytun", devices)


class TestProcesses(unittest.TestCase):
    def test_a_folder_without_a_name_and_mounts_that_nobody_else_sees(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        code = f"FOLDER = {folder!r}\n{MOUNTS}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout.splitlines(), done.stderr),
                         (["kept False", f"{errno.ENODEV} mount nonesuch on {folder}: No such device"], ""))
        self.assertEqual(os.listdir(folder), [])

    def test_who_dies_with_the_parent(self):
        parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(parent.communicate)
        child = os.pidfd_open(int(parent.stdout.readline()))
        self.addCleanup(os.close, child)
        parent.kill()
        self.assertTrue(select.select([child], [], [], 10)[0])


if __name__ == "__main__":
    unittest.main()
