"""The program that has marked sockets ask for ECN: where it is attached, whom it concerns, and how it goes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from pathspider.network import bpf
from pathspider.network.bpf import AskForECN, BPFError
from tests.helpers import netlab
from tests.helpers.wire import Wire

MARK, MORE = 0x50530011, 0x50530012
PATIENCE = 20.0
"""Seconds."""
KEEPER = f"""
import os, signal
from pathspider.network.bpf import AskForECN
program = AskForECN([{MARK}])
if not os.fork():
    signal.pause()
print("ready", flush=True)
signal.pause()
"""


def flags_of(marks):
    """The flags of the SYNs of connections with these marks."""
    with Wire("va") as wire:
        for mark in marks:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                sock.connect((netlab.V4, netlab.HTTP))
        return [packet.flags for packet in wire.packets() if packet.is_syn]


class TestAskForECN(unittest.TestCase):
    def setUp(self):
        self.enterContext(netlab.NetLab())

    def test_the_marks_that_it_is_given_ask_until_it_is_closed(self):
        program = AskForECN([MARK, MORE])
        self.assertTrue(program.attached())
        self.assertEqual(flags_of([0, MARK, MORE, MARK + 2, MARK & 0xFFFF]), [0x02, 0xC2, 0xC2, 0x02, 0x02])
        other = AskForECN([MARK])
        program.close()
        program.close()
        self.assertFalse(program.attached())
        self.assertEqual(flags_of([MARK, MORE]), [0xC2, 0x02])
        other.close()
        self.assertEqual(flags_of([MARK]), [0x02])

    def test_another_network_namespace_with_the_same_marks_does_not(self):
        program = AskForECN([MARK])
        self.addCleanup(program.close)
        with netlab.NetLab():
            self.assertEqual(flags_of([MARK]), [0x02])
        self.assertEqual(flags_of([MARK]), [0xC2])

    def test_it_goes_with_its_process_whatever_becomes_of_children(self):
        process = subprocess.Popen([sys.executable, "-c", KEEPER], stdout=subprocess.PIPE, text=True,
                                   start_new_session=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
        self.addCleanup(process.stdout.close)
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.assertEqual(flags_of([MARK]), [0xC2])
        process.kill()
        process.wait()
        deadline = time.monotonic() + PATIENCE  # the child may not have got round to letting go of its copy
        while (flags := flags_of([MARK])) != [0x02] and time.monotonic() < deadline:
            pass
        self.assertEqual(flags, [0x02])

    def test_a_command_that_we_start_does_not_have_it(self):
        program = AskForECN([MARK])
        self.addCleanup(program.close)
        self.assertFalse(os.get_inheritable(program._link))

    @unittest.skipIf(subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode,
                     "no user namespace can be made here (a chroot?)")
    def test_the_kernel_refuses_in_a_user_namespace(self):
        done = subprocess.run(
            ["unshare", "-Ur", sys.executable, "-c", "from pathspider.network.bpf import *\ntry: AskForECN([1])\n"
             "except BPFError as error: print(error.strerror)"],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
        self.assertEqual(done.stdout, "BPF is not permitted here (user namespace or container)\n")


class TestOwnCgroup(unittest.TestCase):
    def find(self, cgroup, mountinfo):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("cg one/a/b", "other"):
            (folder / name).mkdir(parents=True)
        for name in ("cg one", "cg one/a", "cg one/a/b", "other"):
            (folder / name / "cgroup.procs").touch()
        (folder / "cg one/covered").mkdir()
        (folder / "cgroup").write_text(cgroup)
        (folder / "mountinfo").write_text(mountinfo.replace("AT", str(folder)))
        return bpf.own_cgroup(folder).relative_to(folder)

    def test_wherever_it_is_mounted(self):
        one = "30 1 0:1 / AT/other rw - tmpfs none rw\n31 1 0:2 {} AT/cg\\040one rw shared:1 - cgroup2 none rw\n"
        for root, own, found in (("/", "/a/b", "cg one/a/b"), ("/", "/", "cg one"), ("/x", "/x/a", "cg one/a"),
                                 ("/x", "/x", "cg one")):
            self.assertEqual(str(self.find(f"1:name=systemd:/\n0::{own}\n", one.format(root))), found)
        for cgroup, root in (("1:cpu:/\n", "/"), ("0::/a/gone\n", "/"), ("0::/covered\n", "/"),
                             ("0::/../a\n", "/"), ("0::/xa\n", "/x")):
            with self.subTest(cgroup), self.assertRaises(BPFError):
                self.find(cgroup, one.format(root))

    def test_here(self):
        self.assertTrue((bpf.own_cgroup() / "cgroup.procs").exists())
        with self.assertRaises(BPFError):
            bpf.own_cgroup(Path("/nowhere"))


if __name__ == "__main__":
    unittest.main()
