"""What is given up stays given up, by all threads and by what is started later."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.network.privileges import User, UserError, keep_only, of_plugin, run_user
from pathspider.sync import SynchronizedSpider
from tests.programs import as_nobody

CODE = """
import subprocess, sys, threading
sys.path.insert(0, {path!r})
from pathspider.network.privileges import User, keep_only
keep_only({kept!r}, {user!r} and User("somebody", *{user!r}))
KEYS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
def show():
    fields = dict(line.split(":") for line in open("/proc/thread-self/status"))
    print("|".join(" ".join(fields[key].split()) for key in KEYS))
show()
thread = threading.Thread(target=show); thread.start(); thread.join()
sys.stdout.flush()
subprocess.run([sys.executable, "-c", '''{inner}'''])
{more}
"""
INNER = CODE[CODE.index("KEYS"):CODE.index("show()\nthread")] + "show()"
READING, ADMIN, RAW, BPF = (1 << number for number in (2, 12, 13, 39))
NOBODY = (65534, 65534)
RUN_PATH = str(Path(__file__).parents[2])


def left(*kept, user=NOBODY, more="", before=(), path=RUN_PATH):
    """What each of three (main thread, another one, a child) has: ids, sets of capabilities, no_new_privs."""
    code = CODE.format(path=path, kept=kept, user=user, inner=INNER, more=more)
    done = subprocess.run([*before, sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout.splitlines()


def status(uid, gid, kept, groups="", bounding=None):
    sets = [f"{kept:016x}"] * 3 + [f"{kept if bounding is None else bounding:016x}", f"{kept:016x}"]
    return "|".join([" ".join([str(uid)] * 4), " ".join([str(gid)] * 4), groups, *sets, "1"])


def readable(path=RUN_PATH):
    """Whether nobody can read this checkout and the Python that runs it."""
    code = "import os, sys; sys.exit(not all(os.access(one, os.R_OK) for one in sys.argv[1:]))"
    return not subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                               code, path, sys.executable, *sys.path], check=False).returncode


MAY_READ = 0 if readable() else READING
"""Stays only where the checkout lies in a home that its owner alone may enter."""


class TestKeepOnly(unittest.TestCase):
    def test_user_groups_and_all_that_is_not_named_are_gone(self):
        for kept, bits in (((), 0), (("CAP_NET_RAW",), RAW), (("CAP_NET_RAW", "CAP_NET_ADMIN"), RAW | ADMIN),
                           (("CAP_NET_RAW", "CAP_BPF"), RAW | BPF)):
            self.assertEqual(left(*kept), [status(*NOBODY, bits | MAY_READ)] * 3)

    def test_a_user_of_root_s_that_stays_keeps_reading_alone(self):
        groups = " ".join(map(str, os.getgroups()))
        self.assertEqual(left("CAP_NET_RAW", user=None), [status(0, 0, RAW | READING, groups)] * 3)

    def test_what_is_dropped_cannot_be_had_back(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        file = Path(folder, "of-root")
        file.write_text("root's")
        Path(folder).chmod(0o755)
        more = f"""
import os
for forbidden in (lambda: open({str(file)!r}, "a"), lambda: os.setuid(0), lambda: os.setgid(0),
                  lambda: os.setgroups([0]), lambda: os.chown({str(file)!r}, 65534, -1), lambda: os.kill(1, 0),
                  lambda: open("/proc/sys/kernel/panic", "w"), lambda: os.unlink({str(file)!r})):
    try:
        forbidden()
    except PermissionError:
        print("refused")
"""
        self.assertEqual(left("CAP_NET_ADMIN", "CAP_NET_RAW", more=more)[3:], ["refused"] * 8)
        self.assertEqual(file.read_text(), "root's")

    def test_a_program_of_another_user_s_gives_nothing_back(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        Path(folder).chmod(0o755)
        program = Path(folder, "id")
        program.write_bytes(Path("/usr/bin/id").resolve().read_bytes())
        program.chmod(0o4755)
        more = f"subprocess.run([{str(program)!r}, '-u'])"
        self.assertEqual(left("CAP_NET_RAW", more=more)[3:], ["65534"])

    def test_modules_that_the_user_may_not_read_are_loaded_all_the_same(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())  # of mode 700
        Path(folder, "later.py").write_text("print('loaded')\n")
        lines = left(path=RUN_PATH, more="import later", before=("env", f"PYTHONPATH={folder}"))
        self.assertEqual(lines, [*[status(*NOBODY, READING)] * 3, "loaded"])

    def test_where_there_is_no_other_user_ours_stays_and_the_rest_goes(self):
        unshare = ["unshare", "-Ur"]
        if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
            self.skipTest("no user namespaces here, as in a chroot")
        lines = left("CAP_NET_ADMIN", before=unshare)
        groups = lines[0].split("|")[2]
        self.assertEqual(lines, [status(0, 0, ADMIN | READING, groups)] * 3)

    def test_a_normal_user_s_capabilities_are_kept_as_far_as_they_are_there(self):
        lines = left("CAP_NET_RAW", "CAP_NET_ADMIN", user=None, before=as_nobody("net_raw", "sys_ptrace"))
        bounding = int(lines[0].split("|")[6], 16)  # of it he can give up nothing, which gives nothing back
        self.assertEqual(lines, [status(*NOBODY, RAW | MAY_READ, bounding=bounding)] * 3)

    def test_an_unknown_name_is_refused(self):
        with self.assertRaisesRegex(ValueError, "capability CAP_SYS_ADMIN: only CAP_DAC_READ_SEARCH, "):
            keep_only(["CAP_SYS_ADMIN"])


class TestRunUser(unittest.TestCase):
    def user(self, name=None, **environment):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SUDO_")}
        with mock.patch.dict(os.environ, {**clean, **environment}, clear=True):
            return run_user(name)

    def test_who_called_sudo_or_else_nobody(self):
        self.assertEqual(self.user(), User("nobody", 65534, 65534))
        self.assertEqual(self.user(SUDO_UID="1000", SUDO_GID="1001", SUDO_USER="ann"), User("ann", 1000, 1001))
        for uid, gid in (("0", "0"), ("1000", "0"), ("x", "1"), ("", "")):
            self.assertEqual(self.user(SUDO_UID=uid, SUDO_GID=gid), User("nobody", 65534, 65534))

    def test_a_name_wins(self):
        self.assertEqual(self.user("daemon", SUDO_UID="1000", SUDO_GID="1000"), User("daemon", 1, 1))
        with self.assertRaisesRegex(UserError, "--user no-one-here: there is no such user"):
            self.user("no-one-here")

    def test_a_normal_user_stays(self):
        code = "import sys; sys.path.insert(0, sys.argv[1])\n" \
               "from pathspider.network.privileges import run_user; print(run_user()); run_user('daemon')"
        done = subprocess.run([*as_nobody(), sys.executable, "-c", code, RUN_PATH], capture_output=True, text=True,
                              check=False, cwd="/")
        self.assertEqual(done.stdout, "None\n")
        self.assertIn("UserError: --user daemon: only root can", done.stderr)


class TestOfPlugin(unittest.TestCase):
    def test_what_a_plugin_names_or_else_its_model_s_and_what_2x_let_it_do(self):
        silent = type("Silent", (SynchronizedSpider,), {})
        self.assertEqual(of_plugin(silent), {"CAP_NET_RAW", "CAP_NET_ADMIN"})
        named = type("Named", (SynchronizedSpider,), {"capabilities": ("CAP_NET_RAW",)})
        self.assertEqual(of_plugin(named), {"CAP_NET_RAW"})
        self.assertEqual(of_plugin(type("Below", (named,), {})), {"CAP_NET_RAW"})


if __name__ == "__main__":
    unittest.main()
