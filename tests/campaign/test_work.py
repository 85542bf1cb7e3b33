import unittest
from unittest import mock

from pathspider.campaign import work
from pathspider.campaign.chunks import Chunk
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.measuring import KilledError, StoppedError
from pathspider.campaign.work import Worker


class Exchange:
    """Chunks from a list, and what became of them."""

    def __init__(self, count):
        self.chunks = [Chunk("c", "a", number, 0, []) for number in range(count)]
        self.said = []

    def take(self):
        return self.chunks.pop(0) if self.chunks else None

    def done(self, chunk, result):
        self.said.append((chunk.number, result))

    def give_back(self, chunk, why, *, given_up):
        self.said.append((chunk.number, why, given_up))

    def collect(self):
        return iter(())


class TestWorker(unittest.TestCase):
    def setUp(self):
        self.exchange = Exchange(3)
        self.measuring = mock.Mock()
        self.worker = Worker(self.exchange, self.measuring, lambda chunk: ["-w", str(chunk.number)], "a")
        patch = mock.patch.object(work, "AGAIN", 0)
        patch.start()
        self.addCleanup(patch.stop)

    def run_with(self, *outcomes):
        self.measuring.measure.side_effect = outcomes
        self.worker.run()
        self.measuring.close.assert_called_once_with()
        return self.exchange.said

    def test_all(self):
        self.assertEqual(self.run_with(b"0", b"1", b"2"), [(0, b"0"), (1, b"1"), (2, b"2")])
        self.assertEqual([call.args[1] for call in self.measuring.measure.call_args_list],
                         [["-w", "0"], ["-w", "1"], ["-w", "2"]])

    def test_killed_once_is_measured_again(self):
        with self.assertLogs("pathspider", "ERROR"):
            self.assertEqual(self.run_with(KilledError("x"), b"0", b"1", b"2")[0], (0, b"0"))

    def test_what_kills_each_time_is_given_up(self):
        with self.assertLogs("pathspider", "ERROR") as logged:
            said = self.run_with(*[KilledError("ended by SIGKILL")] * 3, b"1", b"2")
        self.assertEqual(said, [(0, "ended by SIGKILL", True), (1, b"1"), (2, b"2")])
        self.assertIn("given up", logged.output[-1])

    def test_a_run_that_cannot_begin(self):
        """It ends a local campaign; a vantage point waits, and then gives the chunk up."""
        with self.assertRaises(CampaignError):
            self.run_with(CampaignError("no interface"))
        self.setUp()
        self.worker = Worker(self.exchange, self.measuring, lambda chunk: [], "a", survives=True)
        with self.assertLogs("pathspider", "ERROR"):
            error = CampaignError("no interface")
            said = self.run_with(*[error] * 9, b"0", *[error] * 10, b"2")
        self.assertEqual(said, [(0, b"0"), (1, "no interface", True), (2, b"2")])

    def test_finish_after_this_one(self):
        def measure(*_):
            self.worker.finish()
            return b"0"

        self.measuring.measure.side_effect = measure
        self.worker.run()
        self.assertEqual((self.exchange.said, len(self.exchange.chunks)), ([(0, b"0")], 2))

    def test_stopped_is_put_back(self):
        self.assertEqual(self.run_with(StoppedError()), [(0, "broken off on demand", False)])
        self.worker.stop()
        self.measuring.stop.assert_called_once_with()
