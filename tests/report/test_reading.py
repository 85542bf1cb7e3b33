"""Result files in blocks, taken apart in other processes: all is as if one had read them."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from pathspider.report import reading
from pathspider.report.counting import Tally, Verdicts
from pathspider.report.reading import WorkerEndedError, Workers, read
from pathspider.report.targets import Targets
from pathspider.targets.reading import MAX_LINE
from tests.report.records import BROKEN, WORKS, record


def lines_of(count):
    """Lines of a result file: records, and what is none."""
    draw = random.Random(3)
    yield b"\xef\xbb\xbf"
    for number in range(count):
        yield json.dumps(record(f"10.0.{number >> 8 & 7}.{number & 255}", draw.choice((WORKS, BROKEN)),
                                f"x.value:{number % 97}", minute=number % 60, dip_asn=number % 50)).encode() + b"\n"
        if number % 700 == 0:
            yield draw.choice((b"nonsense\n", b"\n", b'{"dip": "\xff"}\n', b'{"a":' + b" " * MAX_LINE + b"1}\n"))


class ReadingCase(unittest.TestCase):
    def setUp(self):
        self.file = self.enterContext(tempfile.NamedTemporaryFile())

    def found(self, content, processes):
        """Everything that is known after reading, and what was said."""
        self.file.seek(0)
        self.file.truncate()
        self.file.write(content)
        self.file.flush()
        verdicts = Verdicts()
        tally = Tally("label", "results.ndjson", verdicts)
        with Targets(verdicts) as targets, Workers(processes) as workers, self.assertLogs("pathspider") as logs, \
                open(self.file.name, "rb") as lines:
            reading.log.warning("begin")
            whole = read(tally, 0, targets, lines, workers)
            targets.settle()
            return (whole, tally.records, tally.bad, tally.bad_lines, tally.broken_off, [*tally.groups()],
                    list(tally.times.items()), [one.conditions for one in verdicts.found], targets.again,
                    [*targets.changed()], [*targets.of_systems()], logs.output[1:])


class TestReading(ReadingCase):
    def test_the_same_with_and_without_processes(self):
        content = b"".join(lines_of(5000))
        with mock.patch.object(reading, "BLOCK", 300):
            alone, beside = (self.found(content, processes) for processes in (1, 3))
        self.assertEqual(alone, beside)
        self.assertEqual(alone[1], 5000)
        self.assertFalse(alone[0])
        self.assertEqual(alone[3], sum(not line.strip() or not line.startswith(b'{"dip": "10.')
                                       for line in b"".join(lines_of(5000))[3:].split(b"\n") if line))
        numbers = [number for number, _ in alone[2]]
        self.assertEqual(numbers, sorted(numbers))
        by_number = content.split(b"\n")
        for number, what in alone[2]:
            self.assertFalse(by_number[number - 1].startswith(b'{"dip": "10.'), what)

    def test_lines_of_many_octets_make_short_blocks(self):
        content = b"".join(lines_of(40))
        with mock.patch.object(reading, "BLOCK_OCTETS", 100), mock.patch.object(reading, "ALONE", 1):
            self.assertEqual(self.found(content, 1), self.found(content, 2))

    def test_what_breaks_off_is_told_last(self):
        packed = gzip.compress(b"".join(lines_of(3000)), mtime=0)
        found = self.found(packed[:len(packed) // 2], 2)
        self.assertFalse(found[0])
        self.assertTrue(found[4])
        self.assertIn("breaks off", found[-1][-1])
        self.assertIn("line", found[-1][0])

    def test_what_is_no_result_file(self):
        for content, what in ((b"[\n{}]", "JSON array"), (b"", "no records"), (b"\n\n", "no records")):
            found = self.found(content, 2)
            self.assertFalse(found[0])
            self.assertIn(what, found[-1][0])
            self.assertIn("holds no records", found[-1][-1])

    def test_a_process_that_is_killed_is_no_shorter_report(self):
        with Workers(2) as workers, mock.patch.object(reading, "ALONE", 0), self.assertRaises(WorkerEndedError):
            blocks = iter([b"{}\n"] * 100)
            digests = workers.digests(blocks)
            next(digests)
            for process in list(workers._pool._processes.values()):
                os.kill(process.pid, signal.SIGKILL)
            list(digests)


class TestProcesses(unittest.TestCase):
    def test_they_end_with_the_one_that_reads(self):
        """However it ends: those that it has started hold the pipe open as long as they live."""
        program = ("import os, signal\nfrom pathspider.report import reading\nreading.ALONE = 0\n"
                   "with reading.Workers(2) as workers:\n"
                   "    digests = workers.digests(iter([b'{}\\n'] * 100)); next(digests)\n"
                   "    os.kill(os.getpid(), signal.SIGKILL)")
        process = subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE)
        with process, process.stdout as pipe:
            self.assertEqual(pipe.read(), b"")  # returns when no process has it open
        self.assertEqual(process.returncode, -signal.SIGKILL)
