"""Every command that the documentation shows is run, in a lab, as it stands on the page.

A page is one shell script: its commands in order, in a folder of its own. Taken away are ``sudo`` and the path of a
virtual environment, and ``eth0`` becomes the lab's interface; a file whose contents the page shows under its name is
written. What would install something is not run.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import textwrap
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pathspider.cmd.main import build_parser, named_command
from pathspider.lab import Lab
from pathspider.lab.addresses import clean_address
from pathspider.writing import json_line
from tests import in_checkout
from tests.libtrace.frames import pcap, tcp4
from tests.packaging.files import ROOT
from tests.programs import write_programs
from tests.report.records import WORKS, record

PAGES = [*sorted(page for page in (ROOT / "docs").rglob("*.rst") if "_build" not in page.parts),
         *(ROOT / name for name in ("README.md", "examples/README.md", "examples/pathspider-example/README.md"))]

BLOCK = re.compile(
    r"^(?P<indent> *)(?:\.\. code-block:: *(?P<language>\w+)(?P<options>(?:\n +:.*)*)|\.\. *::|(?!\.\. ).*::)\n\n"
    r"(?P<body>(?:(?P=indent) +.*\n|\n)+)|^```(?P<fence>\w*)\n(?P<fenced>[\s\S]*?)^```", re.MULTILINE)
COMMAND = re.compile(r"(?:sudo |[A-Z]+=\S+ )*(?:pspdr|tcpdump|make|apt|pip|git|vagrant)\b(?!.*[\[…])")
INLINE = re.compile(r"``?((?:sudo )?pspdr [a-z][^`]*)``?")

PLACEHOLDER = re.compile(r"…|\b[A-Z]{3,}\b(?!=)")
INSTALLS = re.compile(
    r"(?:sudo )?(?:\S*/)?(?:apt|apt-get|git|ln|vagrant|dpkg|pip|python3 -m venv|make|\. \S+/activate)\b")
ELSEWHERE = {
    "pspdr lab demo": "tests.lab.test_demo",
    "pspdr lab check": "tests.lab.test_check",
    "pspdr lab check ecn": "tests.lab.test_check",
    "pspdr test": "tests.cmd.test_test",
    "pspdr fleet up fleet": "tests.campaign.test_broker",
    "pspdr vantage run ams.bundle -i eth0": "tests.campaign.test_link",
    "pspdr campaign run fleet/ecn-2026 --fanout all --targets targets.ndjson --rate 50 -- --confirm 2 ecn":
        "tests.campaign.test_coordinator",
    "pspdr campaign run fleet/dns-2026 --split --targets names.ndjson -- dnsresolv": "tests.campaign.test_coordinator",
    "pspdr report fleet/ecn-2026 --output ecn-2026.html": "tests.cmd.test_report",
    "pspdr trace --from results.ndjson -o traced.ndjson dscp --codepoint 46": "tests.cmd.test_trace",
}
"""Commands that take long, or want what others left, and which test runs such."""

RUN = "019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1"

READ_ONLY = """
for folder in /etc /opt /usr; do
    mount --bind $folder $folder
    mount -o remount,bind,ro $folder
done
mount --bind "$HOME/resolv.conf" /etc/resolv.conf
exec sh -eu
"""
"""Whatever a page says, it changes nothing of this machine, and names are asked of the lab's DNS server."""

BRIEFLY = """\
import os, pathlib, re, signal, subprocess, sys, time
process = subprocess.Popen(["sh", "-c", "trap : INT; " + sys.argv[1]], process_group=0)
def captures():
    if pathlib.Path("/proc/net/packet").read_text().count("\\n") < 2:
        return False
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == process.pid and b"pathspider" in (folder / "cmdline").read_bytes():
                caught = int(re.search("SigCgt:(.*)", (folder / "status").read_text())[1], 16)
                return bool(caught >> signal.SIGTERM - 1 & 1)
        except OSError:
            pass
while not captures() and process.poll() is None:
    time.sleep(0.02)
os.killpg(process.pid, signal.SIGINT)
sys.exit(process.wait())
"""
"""Runs a command until it captures, and takes signals in its own way; then ends it as Ctrl-C."""


def blocks(text):
    """The literal blocks of a page: (language, caption, text)."""
    for match in BLOCK.finditer(text):
        language = match["language"] or match["fence"] or ""
        caption = re.search(r":caption: (.*)", match["options"] or "")
        yield language, caption and caption[1], textwrap.dedent(match["body"] or match["fenced"] or "")


def commands(language, text):
    """The commands of a block, each with what its root shell is told: (command, [input])."""
    prompts = language in ("console", "shell")
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if prompts and line.startswith("$ "):
            found.append((line[2:], []))
        elif prompts and line.startswith("# ") and found:
            found[-1][1].append(line[2:])
        elif COMMAND.match(line):
            found.append((line, []))
    return [(re.sub(r"\s+#\s.*", "", command), below) for command, below in found]


def runnable(command):
    command = re.sub(r"\bsudo ", "", command).replace(".venv/bin/", "").replace("-i eth0", "-i lab0")
    if re.search(r"(^| )pspdr observe -i lab0|tcpdump -i lab0 -w -", command):
        command = f"python3 -c {shlex.quote(BRIEFLY)} {shlex.quote(command)}"
    return command


def is_run(command):
    """Not what installs something, takes long and is tested elsewhere, or has words for values in it."""
    return not (INSTALLS.match(command) or command.removeprefix("sudo ") in ELSEWHERE or PLACEHOLDER.search(command))


def pspdr_arguments(command):
    """The arguments of each ``pspdr`` in a command line, of those behind ``pspdr lab run --`` too."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = [*lexer]
    for place, word in enumerate(words):
        if Path(word).name == "pspdr":
            end = next((later for later in range(place, len(words)) if set(words[later]) <= set("<>|&;()")), len(words))
            yield words[place + 1:end]


@in_checkout
class TestShown(unittest.TestCase):
    """Commands in blocks are run; those in the text are parsed."""

    def assert_parses(self, command):
        for arguments in pspdr_arguments(command):
            said = io.StringIO()
            try:
                with redirect_stdout(said), redirect_stderr(said):
                    build_parser(named_command(arguments), arguments).parse_args(arguments)
            except SystemExit as end:
                self.assertEqual(end.code, 0, said.getvalue())

    def test_commands_in_the_text(self):
        count = 0
        for page in PAGES:
            for command in INLINE.findall(page.read_text(encoding="utf-8")):
                # What has no option is a name; what has words for values in it cannot be parsed.
                if " -" in command and not PLACEHOLDER.search(command):
                    with self.subTest(page=page.name, command=command):
                        self.assert_parses(command)
                        count += 1
        self.assertGreater(count, 5)

    def test_what_is_installed_is_there(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        for page in PAGES:
            for language, _, block in blocks(page.read_text(encoding="utf-8")):
                for command, _ in commands(language, block):
                    if made := re.match(r"(?:sudo )?make (.*)", command):
                        self.assertLessEqual(set(made[1].split()), targets, f"{page.name}: {command}")

    def test_no_file_that_is_needed_later_becomes_roots(self):
        """A redirection in a shell behind sudo is root's, and a later one by the reader's own shell is refused."""
        for page in PAGES:
            for language, _, block in blocks(page.read_text(encoding="utf-8")):
                for command, _ in commands(language, block):
                    self.assertNotRegex(command, r"""sudo .*\bsh -c ['"].*>\s*(?!/dev/null|&)""", page.name)

    def test_every_command_runs(self):
        scripts = {page: self.script(page.read_text(encoding="utf-8")) for page in PAGES}
        with ThreadPoolExecutor(4) as pool:  # mostly they wait for targets that do not answer
            done = {page: pool.submit(self.run_page, page, script) for page, script in scripts.items() if script}
        for page, result in done.items():
            with self.subTest(page=str(page.relative_to(ROOT))):
                status, said = result.result()
                self.assertEqual(status, 0, said[-3000:])
        self.assertGreater(len(done), 20)

    def run_page(self, page, script):
        """A page's commands in a lab of their own: (exit status, what they said)."""
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            bin_, here = Path(folder, "bin"), Path(folder, "here")
            bin_.mkdir()
            write_programs(bin_)
            self.write_files(page, here)
            Path(folder, "resolv.conf").write_text(f"nameserver {clean_address(0, 4)}\n", encoding="ascii")
            environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "SHELL": "/bin/sh", "HOME": folder}
            done = lab.run(["unshare", "-m", "sh", "-euc", READ_ONLY], data=script.encode(), cwd=here, env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=900)
            return done.returncode, done.stderr.decode()

    def script(self, text):
        """What a page says to do, as a shell script; empty if it says nothing."""
        lines = []
        for language, caption, block in blocks(text):
            if caption:
                lines += [f'mkdir -p "$(dirname {caption})"', f"cat >{caption} <<'END OF FILE'"]
                lines += [block.rstrip(), "END OF FILE"]
            for command, below in commands(language, block):
                if is_run(command):
                    lines.append(f"echo {shlex.quote('+ ' + command)} >&2")
                    lines.append(runnable(command) + " <<'END OF INPUT'" * bool(below))
                    lines += [*below, "END OF INPUT"] if below else []
        return "\n".join([*lines, ""])

    def write_files(self, page, folder):
        """What a reader has who comes to a page: targets, records, captures."""
        if "examples" in page.parts:
            shutil.copytree(page.parent, folder)
        else:
            folder.mkdir()
            (folder / "examples").symlink_to(ROOT / "examples")
        pspdr = [str(folder.parent / "bin" / "pspdr")]
        targets = subprocess.run([*pspdr, "lab", "targets", "--clean", "4"], check=True, capture_output=True).stdout
        (folder / "targets.ndjson").write_bytes(targets)
        for name in ("results", "monday", "tuesday"):
            (folder / f"{name}.ndjson").write_bytes(json_line(record("192.0.2.1", WORKS, run=RUN)))
        (folder / "targets.csv").write_text("192.0.2.1,80,www.example.com\n", encoding="ascii")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=Company", "-keyout", folder / "ca.key", "-out", folder / "company-ca.pem"],
                       check=True, capture_output=True)
        (folder / "ring1.pcap").write_bytes(pcap([tcp4("S"), tcp4("SA", rev=True)]))
        with (folder / "monday.pcap.zst").open("wb") as packed:
            subprocess.run(["zstd", "-q"], input=pcap([tcp4("S"), tcp4("SA", rev=True)]), stdout=packed, check=True)
