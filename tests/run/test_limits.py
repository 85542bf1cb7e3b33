"""No run begins that would run out of descriptors or threads, and the text says how many workers there may be."""

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.run.limits import (
    OTHER_THREADS,
    RESERVE,
    STACK_BYTES,
    LimitError,
    allow_files,
    allow_workers,
    check_threads,
    pids_groups,
    stack_size,
    thread_limits,
)
from tests.packaging.files import ROOT


def under_limit(soft, hard, workers):
    """What ``allow_workers`` does in a process with these limits."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"from pathspider.run.limits import allow_workers; allow_workers({workers}, 3)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


class TestLimits(unittest.TestCase):
    def test_files_that_are_read_together(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        for soft, count, want in ((200, 300, 300 + RESERVE), (200, 10, 200)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
            allow_files(count)
            self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (want, before[1]))
        with self.assertRaisesRegex(LimitError, r"999999999 files are open at once, .* may have \d+: raise the limit"):
            allow_files(999_999_999)

    def test_the_soft_limit_is_raised_as_far_as_needed(self):
        self.assertEqual(under_limit(256, 4096, 500).stdout, f"{500 * 3 + RESERVE}\n")
        self.assertEqual(under_limit(3000, 4096, 500).stdout, "3000\n")

    def test_beyond_the_hard_limit_is_an_error_that_says_what_to_do(self):
        outcome = under_limit(256, 256, 1000)
        self.assertIn("1000 workers need", outcome.stderr)
        self.assertIn("at most -w 64", outcome.stderr)
        self.assertIn("ulimit -n", outcome.stderr)

    def test_impossible_here(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            with self.assertRaises(LimitError):
                allow_workers(hard, 3)


class TestStack(unittest.TestCase):
    def test_a_plugin_that_calls_itself_without_end_is_an_error_and_no_crash(self):
        recursions = {
            "def f(x): return sorted([1, 2], key=f)": "f(1)",
            "class A:\n def __getattr__(self, name): return getattr(A(), name)": "A().x",
            "class A:\n x = property(lambda self: A().x)": "A().x",
            "class A:\n def __lt__(self, other): return min(A(), A()) is None": "min(A(), A())",
            "import re\ndef f(found): return re.sub('a', f, 'a')": "f(0)",
        }
        for setup, call in recursions.items():
            with self.subTest(setup):
                code = (f"import threading\nfrom pathspider.run.limits import stack_size\n{setup}\n"
                        f"def work():\n try: {call}\n except RecursionError: print('said')\n"
                        "with stack_size(): thread = threading.Thread(target=work)\n"
                        "with stack_size(): thread.start()\nthread.join()")
                outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                                         cwd=ROOT)
                self.assertEqual((outcome.returncode, outcome.stdout), (0, "said\n"))

    def test_address_space(self):
        code = ("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n"
                "from pathspider.run.limits import check_threads; check_threads(400); check_threads(1000)")
        outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
        self.assertRegex(outcome.stderr, r"LimitError: 1000 workers .*2097152 KiB .*-v\): use at most -w [45]\d\d")


class TestThreads(unittest.TestCase):
    """By a /proc of our own, as proc(5) and cgroups(7) have it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.proc = self.root / "proc"
        self.write("proc/sys/kernel/threads-max", 100_000)
        self.write("proc/sys/vm/max_map_count", 1_000_000)
        self.write("proc/loadavg", "0.20 0.18 0.12 1/1000 11206")
        self.mounts = []
        self.groups("")

    def write(self, name, value):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")

    def mount(self, folder, kind, options, root="/"):
        """A line of mountinfo, with two optional fields."""
        number = 30 + len(self.mounts)
        self.mounts.append(f"{number} 23 0:{number} {root} {self.root / folder} rw,relatime shared:1 master:2 - "
                           f"{kind} {kind} {options}")
        self.write("proc/self/mountinfo", "\n".join(["31 23 0:28 / / rw - ext4 /dev/sda rw", *self.mounts]))

    def groups(self, *lines):
        self.write("proc/self/mountinfo", "\n".join(self.mounts))
        self.write("proc/self/cgroup", "\n".join(lines))

    def most(self, workers=1_000_000):
        """The greatest number of workers, by the text; one more is refused, and so many are not."""
        with self.assertRaises(LimitError) as caught:
            check_threads(workers, self.proc)
        most = int(re.search(r"at most -w (\d+)", str(caught.exception))[1])
        check_threads(most, self.proc)
        with self.assertRaises(LimitError):
            check_threads(most + 1, self.proc)
        return most, str(caught.exception)

    def test_threads_of_the_whole_machine(self):
        self.write("proc/sys/kernel/threads-max", 1500)
        most, text = self.most()
        self.assertEqual(most, 1500 - 1000 - OTHER_THREADS)
        self.assertIn("kernel.threads-max is 1500", text)

    def test_mappings(self):
        self.write("proc/sys/vm/max_map_count", 4000)
        most, text = self.most()
        self.assertEqual(most, 2000 - threading.active_count() - 500 - OTHER_THREADS)
        self.assertIn("vm.max_map_count is 4000", text)

    def test_control_groups_of_version_1(self):
        self.mount("cg/cpu", "cgroup", "rw,cpu")
        self.mount("cg/pids", "cgroup", "rw,pids")
        self.groups("9:name=systemd:/", "8:pids:/user/session", "1:cpu:/elsewhere", "0::/")
        self.write("cg/pids/user/pids.max", 300)
        self.write("cg/pids/user/pids.current", 100)
        self.write("cg/pids/user/session/pids.max", "max")
        self.write("cg/pids/user/session/pids.current", 5)
        most, text = self.most()
        self.assertEqual(most, 200 - OTHER_THREADS)
        self.assertIn(f"pids.max of {self.root}/cg/pids/user is 300", text)

    def test_control_groups_of_version_2_the_narrowest_counts(self):
        self.mount("cg", "cgroup2", "rw,nsdelegate")
        self.groups("0::/system.slice/probe.service")
        for group, most, now in (("system.slice", 5000, 4000), ("system.slice/probe.service", 600, 50)):
            self.write(f"cg/{group}/pids.max", most)
            self.write(f"cg/{group}/pids.current", now)
        most, text = self.most()
        self.assertEqual(most, 550 - OTHER_THREADS)
        self.assertIn("probe.service is 600", text)

    def test_both_versions_and_only_the_one_with_pids(self):
        self.mount("v2", "cgroup2", "rw")
        self.mount("v1", "cgroup", "rw,cpu,pids")
        self.groups("3:cpu,pids:/a", "0::/b")
        self.assertEqual([str(folder.relative_to(self.root)) for folder in pids_groups(self.proc)],
                         ["v1/a", "v1", "v2/b", "v2"])

    def test_a_container_s_root_is_somewhere_below(self):
        self.mount("cg", "cgroup", "rw,pids", root="/docker/abc")
        self.groups("8:pids:/docker/abc/job")
        self.assertEqual([str(folder.relative_to(self.root)) for folder in pids_groups(self.proc)], ["cg/job", "cg"])

    def test_a_group_outside_of_what_is_mounted_here(self):
        """Then its limits cannot be seen; those of the mount may not be its own."""
        for root, path in (("/docker/abc", "/docker/abcdef/job"), ("/docker/abc", "/"), ("/", "/../other")):
            self.mounts.clear()
            self.mount("cg", "cgroup", "rw,pids", root=root)
            self.groups(f"8:pids:{path}")
            self.assertEqual([*pids_groups(self.proc)], [], path)

    def test_what_cannot_be_read_limits_nothing(self):
        self.assertEqual([*thread_limits(self.root / "nowhere")], [])
        check_threads(1000, self.root / "nowhere")

    def test_here(self):
        self.assertTrue(all(room > 0 for room, _ in thread_limits()))
        check_threads(1)

    @unittest.skipUnless(os.geteuid() == 0 and os.access("/sys/fs/cgroup/pids", os.W_OK), "needs root, a pids cgroup")
    def test_a_real_group(self):
        """As many as the text says can be started there, and one more worker is refused."""
        group = Path(f"/sys/fs/cgroup/pids/pathspider-test-{os.getpid()}")
        group.mkdir()
        self.addCleanup(group.rmdir)
        (group / "pids.max").write_text("90")
        code = (
            f"import os, re, threading\nopen('{group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "from pathspider.run.limits import LimitError, check_threads\n"
            "try:\n    check_threads(500)\nexcept LimitError as error:\n    text = str(error)\n"
            "most = int(re.search(r'-w (\\d+)', text)[1])\n"
            "over = threading.Event()\n"
            "threads = [threading.Thread(target=over.wait) for _ in range(most)]\n"
            "for thread in threads: thread.start()\n"
            "over.set()\nprint(most, text)"
        )
        outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn(f"pids.max of {group} is 90", outcome.stdout)
        self.assertEqual(int(outcome.stdout.split()[0]), 90 - 1 - OTHER_THREADS)

    def test_stacks_are_small_within_and_as_before_afterwards(self):
        before = threading.stack_size()
        with self.assertRaises(ZeroDivisionError), stack_size():
            self.assertEqual(threading.stack_size(), STACK_BYTES)
            raise ZeroDivisionError
        self.assertEqual(threading.stack_size(), before)


if __name__ == "__main__":
    unittest.main()
