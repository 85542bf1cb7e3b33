"""How the cases are run: a lab for each test, whole processes, plugins of third parties in trees of their own."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address

COMMAND = [sys.executable, "-m", "pathspider", "measure", "-i", "lab0", "--confirm", "0"]
"""First pairs alone: what is not about rounds does not wait for them."""
EXTEND_PATH = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
SENT = "/sys/class/net/lab0/statistics/tx_packets"
DEAD = "10.127.1."
"""Addresses of a /24 that the router drops packets to, once :meth:`CaseTest.drop` was called."""


TWICE = """
from pathspider.base import CONN_OK, SHUTDOWN_SENTINEL, PluggableSpider
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.desync import DesynchronizedSpider
from pathspider.helpers.tcp import connect_tcp

class CLASS(DesynchronizedSpider, PluggableSpider):
    name = "NAME"
    description = "Of a third party"
    version = "1.0.0"
    chains = [BasicChain, TCPChain]
    connect_supported = ["tcp"]

    def conn_one(self, job, config):
        return connect_tcp(self.source, job, self.args.timeout)

    def conn_two(self, job, config):
        return connect_tcp(self.source, job, self.args.timeout)
BODY
    connections = [conn_one, conn_two]
"""


def twice(name, body=""):
    """A plugin of a third party that connects twice by TCP; ``body`` may give its class other functions."""
    return TWICE.replace("CLASS", name.capitalize()).replace("NAME", name).replace("BODY", body)


def clean(count, version=4, port=80, **more):
    return [{"dip": clean_address(number, version), "dp": port, "number": number, **more} for number in range(count)]


def dead(count):
    return [{"dip": f"{DEAD}{number + 1}", "dp": 80, "number": 10_000 + number, "dead": True}
            for number in range(count)]


def ndjson(jobs):
    return b"".join(json.dumps(job).encode() + b"\n" for job in jobs)


class CaseTest(unittest.TestCase):
    tracebacks = False
    """Whether a traceback may be shown: that of a plugin's own code helps its author."""

    def setUp(self):
        self.lab = Lab()
        self.lab.start()
        self.addCleanup(self.lab.close)
        self.folder = Path(tempfile.mkdtemp(prefix="pathspider-case-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=True)

    def drop(self, what=f"ip daddr {DEAD}0/24 drop"):
        """The router does this to packets from now on."""
        rules = ("add table inet cases\nadd chain inet cases forward { type filter hook forward priority -300; }\n"
                 f"add rule inet cases forward {what}\n")
        done = self.lab.run(["nft", "-f", "-"], data=rules.encode(), room="router", capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def tree(self, name, source):
        """A source tree with one plugin, as section 1.7.2 of the documentation lays it out."""
        tree = self.folder / f"pathspider-{name}"
        (tree / "pathspider/plugins").mkdir(parents=True)
        for package in ("pathspider", "pathspider/plugins"):
            (tree / package / "__init__.py").write_text(EXTEND_PATH)
        (tree / "pathspider/plugins" / f"{name}.py").write_text(source)
        return str(tree)

    def start(self, jobs, *words, tree=None, environment=None, command=None):
        file = self.folder / f"jobs-{len(list(self.folder.iterdir()))}"
        file.write_bytes(ndjson(jobs))
        run = self.lab.popen([*(command or COMMAND), "--input", str(file), *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tree,
                             env={**os.environ, **({"PYTHONPATH": "."} if tree else {}), **(environment or {})})
        self.addCleanup(run.kill)
        return run

    def finish(self, run, timeout=60):
        """Wait for the end, which must come; records and what was said."""
        try:
            output, errors = run.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            run.kill()
            self.fail(f"it did not end within {timeout} s")
        self.assertTrue(output.endswith(b"\n") or not output)
        if not self.tracebacks:
            self.assertNotIn(b"most recent call last", errors)
        return [json.loads(line) for line in output.splitlines()], errors.decode()

    def measure(self, jobs, *words, timeout=60, **options):
        """A whole run: exit status, records by number, what was said."""
        run = self.start(jobs, *words, **options)
        records, errors = self.finish(run, timeout)
        return run.returncode, sorted(records, key=lambda record: record.get("number", -1)), errors

    def sent(self):
        return int(self.lab.run(["cat", SENT], capture_output=True).stdout)

    def wait_for_packets(self, count):
        """Until so many packets have left since the lab began."""
        done = self.lab.run(["timeout", "30", "sh", "-c", f"until [ $(cat {SENT}) -ge {count} ]; do :; done"])
        self.assertEqual(done.returncode, 0, "no packets left")

    def assert_all(self, records, condition, count):
        """There are so many records, and each has this condition; of a few, a busy machine may say that it was one."""
        other = [record["conditions"] for record in records if condition not in record["conditions"]]
        wrong = [found for found in other if found != ["pathspider.local_error:overloaded"]]
        self.assertEqual((len(records), len(wrong)), (count, 0), wrong[:3])
        self.assertLess(len(other), max(1, count / 4), "too busy a machine")


def unseen(lab, address, test):
    """Until the test ends, packets to an address of the lab come back from loopback: ``lab0`` sees none of them."""
    rules = ("table ip unseen {\nchain output {\ntype nat hook output priority -100\n"
             f"ip daddr {address} dnat to 127.0.0.1\n}}\n}}\n")
    done = lab.run(["nft", "-f", "-"], data=rules.encode(), capture_output=True)
    test.assertEqual(done.returncode, 0, done.stderr)
    test.addCleanup(lab.run, ["nft", "delete", "table", "ip", "unseen"])


def observed(record):
    """A record's flows that were observed, in the order of configurations."""
    return [flow for flow in record["flow_results"] if flow["observed"]]


@contextlib.contextmanager
def pids_cgroup(most):
    """A cgroup (version 1) for so many processes and threads; yields its folder, None where there can be none."""
    folder = Path(f"/sys/fs/cgroup/pids/pathspider-case-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        (folder / "pids.max").write_text(str(most))
        yield folder
    finally:
        folder.rmdir()
