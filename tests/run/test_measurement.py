"""A run that is fed from a file, and its exit status."""

import errno
import io
import unittest

from pathspider.jobs import JobReader, RecordWriter, TargetFilter, json_line
from pathspider.records import CONN_SKIPPED
from pathspider.run.measurement import Measurement
from tests.run.spiders import Noting, jobs


class Full(io.RawIOBase):
    """Takes so many records and no more."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def writable(self):
        return True

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        return len(data)


class Unwell(Noting):
    """Our own machine fails at every third target."""

    def connect(self, job, config):
        if job["number"] % 3 == 0:
            return {"spdr_state": CONN_SKIPPED, "sp": 0, "local_error": "ENETUNREACH"}
        return super().connect(job, config)

    connections = [connect, connect]


class TestMeasurement(unittest.TestCase):
    def measure(self, spider, lines, stream=None):
        reader = JobReader(io.BytesIO(b"".join(map(json_line, lines))), "test")
        spider.start()
        measurement = Measurement(spider, reader, RecordWriter(stream or io.BytesIO()), TargetFilter())
        with self.assertLogs("pathspider", "INFO") as logs:
            logs.records.append(None)  # there may be nothing to say
            status = measurement.run()
        return measurement, status, "\n".join(logs.output)

    def test_all_work_was_done(self):
        measurement, status, said = self.measure(Noting(), jobs(30))
        self.assertEqual((status, measurement.writer.written, said), (0, 30, ""))

    def test_errors_of_our_own_machine_are_counted_and_end_with_1(self):
        measurement, status, said = self.measure(Unwell(), jobs(30))
        self.assertEqual((status, measurement.local_errors), (1, {"ENETUNREACH": 10}))
        self.assertIn("10 targets got no verdict for a reason of this machine: 10 ENETUNREACH", said)
        self.assertEqual(said.count("no verdict on"), 1)

    def test_an_output_that_breaks_stops_the_run_and_what_has_no_record_is_counted(self):
        measurement, status, said = self.measure(Noting(), jobs(5000), Full(7))
        self.assertEqual((status, measurement.writer.written), (1, 7))
        self.assertIn("No space left", said)
        self.assertLess(measurement.spider.jobs_added, 5000)
        self.assertGreater(measurement.unwritten, 0)
        self.assertIn(f"{measurement.unwritten} targets were contacted without a record", said)

    def test_repeated_and_invalid_targets(self):
        lines = [*jobs(3), *jobs(3), {"dip": "x"}]
        measurement, status, said = self.measure(Noting(), lines)
        self.assertEqual((status, measurement.repeats, measurement.invalid), (1, 3, 1))
        self.assertIn("3 targets were left out", said)
