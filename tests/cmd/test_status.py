"""How far a measurement is, for other programs."""

import io
import json
import tempfile
import unittest
from pathlib import Path

from pathspider.cmd.progress import Progress
from pathspider.cmd.status import StatusFile, is_status
from pathspider.run.measurement import Measurement
from pathspider.targets.reading import JobReader
from pathspider.targets.repeats import TargetFilter
from pathspider.targets.selection import Selection
from pathspider.writing import JSONFile, RecordWriter
from tests.run.spiders import Nowhere, make


class TestStatusFile(unittest.TestCase):
    def run_measurement(self, lines):
        self.file = self.enterContext(tempfile.NamedTemporaryFile())
        spider = make(Nowhere)
        spider.start()
        reader = JobReader(io.BytesIO(lines), "jobs")
        measurement = Measurement(spider, reader, Selection(reader, TargetFilter(80)), RecordWriter(io.BytesIO()))
        status = StatusFile(JSONFile(self.file.fileno()), measurement, Progress(spider.pipeline, reader, io.StringIO()))
        measurement.at_end = status.write
        with status:
            at_begin = self.read()
            measurement.run()
        self.assertEqual({at_begin["run"], self.read()["run"]}, {spider.options.run})
        return at_begin, self.read()

    def read(self):
        return json.loads(Path(self.file.name).read_text())

    def test_at_the_begin_and_at_the_end(self):
        begin, end = self.run_measurement(b"".join(b'{"dip": "192.0.2.%d"}\n' % number for number in range(1, 31)))
        self.assertEqual((begin["state"], begin["done"], begin["ended"], begin["status"]), ("running", 0, None, None))
        self.assertEqual((end["state"], end["done"], end["under_way"], end["records"]), ("ended", 30, 0, 30))
        self.assertEqual((end["ended"], end["status"]), ({"why": "input", "what": ""}, 0))
        self.assertLess(begin["time"], end["time"])
        self.assertEqual((end["missed_flows"], end["local_errors"]), (0, {}))

    def test_the_next_run_s_takes_its_place_and_that_of_nothing_else(self):
        self.run_measurement(b"")
        self.file.seek(0)
        self.assertTrue(is_status(self.file))
        for text in (b"", b"{}", b'{"dip": "192.0.2.1"}\n', b'{"dip": "192.0.2.1"}\n{}\n', b"[]", b"\xff"):
            self.assertFalse(is_status(io.BytesIO(text)))


if __name__ == "__main__":
    unittest.main()
