"""Records as lines of JSON: what ``json.dumps`` says, only faster."""

import json
import unittest
from enum import IntEnum

from hypothesis import given
from hypothesis import strategies as st

from pathspider.libtrace import json_lines

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                      lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


class Number(IntEnum):
    ONE = 1


class TestLines(unittest.TestCase):
    @given(st.lists(st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), VALUES)))
    def test_as_json_says(self, records):
        expected = "".join(json.dumps(record) + "\n" for record in records)
        self.assertEqual(json_lines(records), expected.encode())

    def test_the_ends_of_numbers(self):
        for number in (0, -1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30, 0.0, -0.0, 1e300, 5e-324, 1e16, 0.1,
                       float("inf"), float("nan"), Number.ONE, True):
            self.assertEqual(json_lines([{"n": number}]), (json.dumps({"n": number}) + "\n").encode(), number)

    @given(st.lists(st.integers(0, 2**32 * 10**6) | st.floats(0.0009, 2**33)))
    def test_times(self, numbers):
        records = [{"n": number / 10**6} for number in numbers]
        self.assertEqual(json_lines(records), "".join(json.dumps(one) + "\n" for one in records).encode())

    def test_few_microseconds(self):
        records = [{"n": number / 10**6} for number in range(3000)]
        self.assertEqual(json_lines(records), "".join(json.dumps(one) + "\n" for one in records).encode())

    def test_records_that_are_like_the_one_before(self):
        shared, text = [1], "x" * 1000
        first = {"a": None, "b": text, "c": shared, 1: 0.5}
        records = [first, dict(first), {**first, "b": 7}, dict(first), {**first, "d": 1}, {"b": text, "a": None},
                   {"a": None, "b": text}, {}, {"a": None, "b": True}, {"a": 1, "b": True}, {"a": None, True: True}, {}]
        self.assertEqual(json_lines(records), "".join(json.dumps(one) + "\n" for one in records).encode())

        def change(_):
            shared.append(len(shared) + 1)
            return 0

        records = [{"a": shared, "b": {1}}] * 3
        self.assertEqual(json_lines(records, change),
                         b'{"a": [1], "b": 0}\n{"a": [1, 2], "b": 0}\n{"a": [1, 2, 3], "b": 0}\n')

    def test_long_ones(self):
        records = [{"text": "x" * length, "more": "é\x7f\"" * length} for length in (0, 1, 65535, 65536, 300_000)]
        self.assertEqual(json_lines(records), "".join(json.dumps(one) + "\n" for one in records).encode())

    def test_what_json_cannot_hold(self):
        self.assertEqual(json_lines([{"a": {1}}], default=sorted), b'{"a": [1]}\n')
        for records in ([{"a": {1}}], [{(1, 2): 1}], [[1]], [None], 7):
            with self.assertRaises(TypeError):
                json_lines(records)
        endless = []
        endless.append(endless)
        with self.assertRaises(ValueError):
            json_lines([{"a": endless}])

    def test_a_record_that_changes_while_it_is_written_is_an_error(self):
        record = {"a": {1}, "b": 2}

        def default(_):
            record["c"] = 3
            return 1

        with self.assertRaisesRegex(RuntimeError, "changed size"):
            json_lines([record], default=default)
        record = {"a": {1}, "b": 2}
        with self.assertRaisesRegex(RuntimeError, "changed size"):
            json_lines([{"a": 0, "b": 0}, record], default=default)


if __name__ == "__main__":
    unittest.main()
