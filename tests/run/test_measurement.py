"""A spider that is fed from lines and whose records are written: what breaks on the way is said, counted, and ends."""

import contextlib
import errno
import io
import itertools
import json
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import replace
from pathlib import Path

from pathspider.chains.basic import BasicChain
from pathspider.observer import Observer
from pathspider.records import CONN_OK, CONN_SKIPPED
from pathspider.run import metadata
from pathspider.run.measurement import Ended, Measurement
from pathspider.targets.reading import JobReader
from pathspider.targets.repeats import TargetFilter
from pathspider.targets.selection import Selection
from pathspider.writing import RecordWriter
from tests.packaging.files import ROOT
from tests.run.spiders import PATIENCE, Nowhere, in_thread, make

SIGTERM_BIT = 1 << signal.SIGTERM - 1


def caught(pid):
    """The signals that a process has handlers for, as a bit set. proc(5)"""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)[1], 16)


class Output(io.RawIOBase):
    """Takes so many lines, and then no more."""

    def __init__(self, lines=1 << 30, error=errno.ENOSPC):
        super().__init__()
        self.room, self.error, self.data = lines, error, b""

    def writable(self):
        return True

    def write(self, data):
        if not self.room:
            raise OSError(self.error, "it takes no more")
        self.room -= 1
        self.data += bytes(data)
        return len(data)

    def records(self):
        return [json.loads(line) for line in self.data.splitlines()]


class Endless(io.RawIOBase):
    """A target a line, without end."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.number += 1
        line = b'{"dip": "10.%d.%d.%d"}\n' % (self.number >> 16 & 255, self.number >> 8 & 255, self.number & 255)
        buffer[:len(line)] = line
        return len(line)


class MeasurementCase(unittest.TestCase):
    def measure(self, jobs, spider=Nowhere, output=None, *, level="ERROR", workers=4, resumes=False):
        """Run a measurement; its exit status, and what was said."""
        self.output = Output() if output is None else output
        lines = jobs if isinstance(jobs, io.RawIOBase) else io.BytesIO(b"".join(
            job if isinstance(job, bytes) else json.dumps(job).encode() + b"\n" for job in jobs))
        self.spider = make(spider, workers)
        self.spider.start()
        reader = JobReader(lines, "jobs")
        self.measurement = Measurement(self.spider, reader, Selection(reader, TargetFilter(80)),
                                       RecordWriter(self.output), resumes=resumes)
        outcome = []
        with self.assertLogs("pathspider", logging.INFO) as logs:
            logging.getLogger("pathspider").info("begin")
            thread = in_thread(lambda: outcome.append(self.measurement.run()))
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), "the measurement does not end")
        self.assertFalse(self.spider.running)
        said = [record.getMessage() for record in logs.records if record.levelno >= getattr(logging, level)]
        return outcome[0], "\n".join(said)

    def jobs(self, count):
        return [{"dip": f"192.0.2.{number}"} for number in range(1, count + 1)]


class TestStatus(MeasurementCase):
    def test_all_is_well(self):
        status, said = self.measure(self.jobs(100))
        self.assertEqual((status, said, len(self.output.records())), (0, "", 100))
        self.assertEqual((self.measurement.status, self.measurement.ended, self.measurement.all_read),
                         (0, Ended("input"), True))

    def test_nothing_to_do(self):
        self.assertEqual(self.measure([])[0], 0)

    def test_what_was_not_done_is_counted(self):
        jobs = [*self.jobs(3), b"no job\n", {"dip": "nonsense"}, {"dip": "192.0.2.1"}]
        status, said = self.measure(jobs, level="INFO")
        self.assertEqual((status, len(self.output.records())), (1, 4))
        for words in ("1 lines of input were not jobs", "1 jobs were invalid", "1 targets were left out"):
            self.assertIn(words, said)

    def test_local_errors_are_counted_by_kind(self):
        class Local(Nowhere):
            def fail(self, job, config):
                number = int(job["dip"].rpartition(".")[2])
                if number <= 5:
                    return {"spdr_state": CONN_SKIPPED, "sp": 0,
                            "local_error": "EMFILE" if number <= 3 else "EADDRNOTAVAIL"}
                return {"spdr_state": CONN_OK, "sp": 0}

            connections = [fail]

        status, said = self.measure(self.jobs(20), Local, level="WARNING")
        self.assertEqual((status, len(self.output.records())), (1, 20))
        self.assertIn("5 targets got no verdict for a reason of this machine: 3 EMFILE, 2 EADDRNOTAVAIL; --resume",
                      said)
        self.assertEqual(said.count("further ones are counted"), 2)  # once a kind
        self.assertEqual(said.splitlines()[-1], "20 records: 15 up.0; 5 without a verdict: 3 EMFILE, 2 EADDRNOTAVAIL")

    def test_the_last_line_counts_verdicts(self):
        _, said = self.measure([*self.jobs(9), {"dip": "nonsense"}], level="INFO")
        self.assertEqual(said.splitlines()[-1], "10 records: 9 up.0; 1 without a verdict: 1 invalid_job")

    def test_a_plugin_s_mistake(self):
        class Failing(Nowhere):
            def combine_flows(self, flows):
                if flows[0]["dip"] == "192.0.2.7":
                    raise ZeroDivisionError
                return []

        status, said = self.measure(self.jobs(9), Failing)
        self.assertEqual((status, len(self.output.records())), (1, 9))
        self.assertIn("192.0.2.7", said)

    def test_a_plugin_that_cannot_finish(self):
        class Failing(Nowhere):
            def finish(self):
                raise ZeroDivisionError("the last word")

        status, said = self.measure(self.jobs(9), Failing)
        self.assertEqual((status, len(self.output.records())), (1, 9))
        self.assertIn("the last word", said)

    def test_a_merger_that_dies_ends_all_before_the_status_is_told(self):
        given_back = []

        class Dying(Nowhere):
            def merger(self):
                self.mergequeue.get()
                raise ZeroDivisionError("dead")

            def give_settings_back(self):
                super().give_settings_back()
                given_back.append(True)

        status, said = self.measure(Endless(), Dying)
        self.assertEqual((status, given_back), (1, [True]))
        self.assertEqual((self.measurement.ended, self.measurement.all_read),
                         (Ended("fault", "ZeroDivisionError: dead"), False))
        self.assertIn("dead", said)
        self.assertIn("without a record", said)

    def test_input_that_breaks(self):
        class Broken(Endless):
            def readinto(self, buffer):
                if self.number == 5:
                    raise OSError(errno.EIO, "the disk is dead")
                return super().readinto(buffer)

        status, said = self.measure(Broken())
        self.assertEqual((status, len(self.output.records())), (1, 5))
        self.assertIn("the disk is dead", said)
        self.assertEqual(self.measurement.ended, Ended("input_error", "reading fails: the disk is dead"))


class Chance(Nowhere):
    """Breaks as often as the baseline fails."""

    def combine_flows(self, flows):
        return [f"x.connectivity.{'broken' if int(flows[0]['dip'].rpartition('.')[2]) % 2 else 'transient'}"]


class TestAlarms(MeasurementCase):
    """What the figures warn of is said at the end, and in the metadata."""

    LINE = "x.connectivity: 20 transient beside 20 broken"

    def test_said(self):
        status, said = self.measure(self.jobs(40), Chance, level="WARNING")
        self.assertEqual(status, 0)
        self.assertTrue(said.startswith(self.LINE), said)
        self.assertEqual(metadata.at_end(self.measurement)["alarms"], [said])

    def test_a_run_that_is_continued_says_of_which_records(self):
        said = self.measure(self.jobs(40), Chance, level="WARNING", resumes=True)[1]
        self.assertRegex(said, rf"^{self.LINE}.*\(of what this run adds\)$")

    def test_nothing_to_say(self):
        self.assertEqual(self.measure(self.jobs(10), Chance, level="WARNING"), (0, ""))
        self.assertEqual(metadata.at_end(self.measurement)["alarms"], [])


class TestOutput(MeasurementCase):
    def test_it_breaks_and_the_run_stops(self):
        for error, words in ((errno.ENOSPC, "it takes no more"), (errno.EPIPE, "the reader of the output has gone")):
            endless = Endless()
            status, said = self.measure(endless, output=Output(10, error))
            self.assertEqual((status, len(self.output.records())), (1, 10))
            self.assertIn(words, said)
            self.assertEqual(self.measurement.ended.why, "output")
            run = self.spider.pipeline
            unmeasured = run.jobs.accepted - 10 - self.measurement.unwritten
            self.assertGreater(self.measurement.unwritten, 0)
            self.assertGreaterEqual(unmeasured, 0)
            self.assertIn(f"{self.measurement.unwritten} targets were contacted without a record; --resume", said)
            self.assertLess(run.jobs.accepted, 1000)  # queues, and no more

    def test_values_that_json_has_no_room_for(self):
        class Odd(Nowhere):
            def conn(self, job, config):
                return {"spdr_state": CONN_OK, "sp": 0, "odd": self.odd[job["dip"]]}

            connections = [conn]

            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                circle = []
                circle.append(circle)
                self.odd = {"192.0.2.1": float("nan"), "192.0.2.2": {("a", "b"): 1}, "192.0.2.3": circle,
                            "192.0.2.4": b"\xff", "192.0.2.5": "\ud800", "192.0.2.6": [float("inf"), {"x": -1e999}]}
                self.options = replace(self.options, output_flows=True)

        status, _ = self.measure(self.jobs(6), Odd)
        records = {record["dip"]: record for record in self.output.records()}
        self.assertEqual((status, len(records)), (1, 6))
        self.assertEqual(self.spider.pipeline.jobs_failed, 2)
        for dip, written in (("192.0.2.1", None), ("192.0.2.4", "ff"), ("192.0.2.5", "\ud800"),
                             ("192.0.2.6", [None, {"x": None}])):
            self.assertEqual(records[dip]["flow_results"][0]["odd"], written)
        for dip in ("192.0.2.2", "192.0.2.3"):
            self.assertEqual(records[dip]["conditions"], ["pathspider.not_measured"])
            self.assertIn("Error", records[dip]["error"])
            self.assertEqual(set(records[dip]), {"dip", "dp", "path", "time", "run", "conditions", "error"})
        self.assertNotIn(b"NaN", self.output.data)


    def test_records_that_cannot_be_written_now_and_then(self):
        """They do not end the run, however many they are: what follows is well."""
        class Odd(Nowhere):
            numbers = itertools.count()

            def outcome(self, merged):
                for record in super().outcome(merged):
                    yield {**record, "odd": {("a", "b"): 1} if next(self.numbers) % 3 == 0 else 1}

        status, _ = self.measure(self.jobs(240), Odd)
        self.assertEqual((status, len(self.output.records()), self.spider.pipeline.jobs_failed), (1, 240, 80))
        self.assertIsNone(self.spider.exception)


class TestInput(MeasurementCase):
    def test_an_input_that_cannot_be_read_any_further(self):
        class Breaking(Endless):
            def readinto(self, buffer):
                if self.number == 5:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return super().readinto(buffer)

        status, said = self.measure(Breaking())
        self.assertEqual((status, len(self.output.records())), (1, 5))
        self.assertIn("jobs breaks off after 5 lines: reading fails: Input/output error", said)
        self.assertFalse(self.measurement.all_read)
        self.assertNotIn("plugin", said)
        self.assertNotIn("Traceback", said)


class TestStops(MeasurementCase):
    def test_the_first_signal_finishes_what_is_under_way(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            class Stopping(Nowhere):
                def post_connect(self, job, rec, config, number=number, case=self):
                    if job["dip"] == "10.0.0.20" and not config:
                        case.measurement.stop_in_order(number)

            status, said = self.measure(Endless(), Stopping, level="WARNING")
            self.assertEqual(status, 128 + number)
            self.assertEqual(self.measurement.ended, Ended("signal", number.name))
            self.assertIn("stopping", said)
            records = self.output.records()
            # the one that was read when no more were taken has a record, too
            self.assertEqual(len(records), self.spider.pipeline.jobs.accepted + 1)
            self.assertEqual(records[-1]["conditions"], ["pathspider.not_measured"])
            stopped = next(record for record in records if record["dip"] == "10.0.0.20")
            self.assertEqual(stopped["conditions"], ["up.0", "up.1"])

    def test_the_second_ends_at_once_whatever_hangs(self):
        code = """
import io, json, sys, threading
from pathspider.targets.reading import JobReader
from pathspider.targets.selection import Selection
from pathspider.writing import RecordWriter
from pathspider.run.measurement import Measurement
from tests.run.spiders import Nowhere, in_thread, make
class Hanging(Nowhere):
    def hang(self, job, config):
        measurement.stop_in_order(2)
        in_thread(measurement.end_at_once, 15)
        threading.Event().wait()
    connections = [hang]
    def give_settings_back(self):
        print("given back", flush=True)
        threading.Event().wait()
spider = make(Hanging)
spider.start()
reader = JobReader(io.BytesIO(b'{"dip": "192.0.2.1"}'), "x")
measurement = Measurement(spider, reader, Selection(reader), RecordWriter(sys.stdout.buffer))
measurement.run()
"""
        outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
                                 timeout=PATIENCE)
        self.assertEqual((outcome.returncode, outcome.stdout), (130, "given back\n"), outcome.stderr)

    def test_nobody_reads_what_is_said(self):
        """Standard error is a full pipe: the first signal still ends the run in order, the second at once."""
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(theirs, bytes(1024))
        os.set_blocking(theirs, True)
        self.addCleanup(os.close, ours)
        process = subprocess.Popen([sys.executable, "-m", "pathspider", "measure", "-i", "lo", "mss"], cwd=ROOT,
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        try:
            self.assertEqual(self.signalled(process), 128 + signal.SIGTERM)
        finally:
            process.kill()
            process.communicate()

    def signalled(self, process):
        """The status of a process that is told to end until it has, once it takes it for two signals."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not SIGTERM_BIT & caught(process.pid):
            time.sleep(0.05)
        while time.monotonic() < deadline and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)  # the same signal, at once, would be an echo of the first
        return process.returncode

    def test_what_is_not_observed_at_all_is_said(self):
        class Observing(Nowhere):
            def conn(self, job, config):
                return {"spdr_state": CONN_OK, "sp": 7}

            connections = [conn]
            chains = [BasicChain]

            def create_observer(self):
                return Observer("pcapfile:" + self.capture.name, chains=[BasicChain])

            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.capture = tempfile.NamedTemporaryFile(suffix=".pcap")  # noqa: SIM115 - as long as the spider
                self.capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
                self.capture.flush()

        status, said = self.measure([{**job, "dip": "127.0.0.1"} for job in self.jobs(3)], Observing)
        self.spider.capture.close()
        self.assertEqual(status, 1)
        self.assertIn("nothing at all was observed", said)
        self.assertEqual({tuple(record["conditions"]) for record in self.output.records()},
                         {("up.0", "pathspider.missed_flows:1")})


if __name__ == "__main__":
    unittest.main()
