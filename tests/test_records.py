"""A record is measured again as the job that it was."""

import unittest

from pathspider.records import CONN_DISCARD, CONN_FAILED, CONN_OK, CONN_SKIPPED, CONN_TIMEOUT, RECORD_KEYS, to_measure


class TestToMeasure(unittest.TestCase):
    JOB = {"dip": "192.0.2.1", "dp": 80, "domain": "www.example.org", "rank": 7}

    def test_a_job_stays_what_it_is(self):
        self.assertIs(to_measure(self.JOB), self.JOB)

    def test_what_a_measurement_found_goes_and_the_record_is_not_changed(self):
        for found in ({"conditions": []}, {"error": "x"}, dict.fromkeys(RECORD_KEYS)):
            record = {**self.JOB, **found}
            self.assertEqual(to_measure(record), self.JOB)
            self.assertEqual(record, {**self.JOB, **found})

    def test_a_second_measurement_is_of_the_same_job(self):
        self.assertEqual(to_measure({**to_measure({**self.JOB, "path": []}), "time": {}}), self.JOB)


class TestStates(unittest.TestCase):
    def test_the_documented_numbers(self):
        self.assertEqual([CONN_OK, CONN_TIMEOUT, CONN_FAILED, CONN_SKIPPED, CONN_DISCARD], [0, 1, 2, 3, 4])


if __name__ == "__main__":
    unittest.main()
