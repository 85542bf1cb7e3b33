"""What a run is told."""

import argparse
import time
import unittest
from dataclasses import fields, replace
from uuid import RFC_4122, UUID

from pathspider.run.options import RunOptions, new_run_id


class TestRunId(unittest.TestCase):
    def test_it_is_a_uuid_of_version_7_of_now(self):
        before = time.time_ns() // 10 ** 6
        found = UUID(new_run_id())
        self.assertEqual((found.version, found.variant), (7, RFC_4122))
        self.assertIn(found.int >> 80, range(before, time.time_ns() // 10 ** 6 + 1))

    def test_no_two_are_the_same_and_later_ones_sort_behind_earlier_ones(self):
        ids = [new_run_id() for _ in range(1000)]
        self.assertEqual(len(set(ids)), 1000)
        self.assertEqual([one[:13] for one in ids], sorted(one[:13] for one in ids))

    def test_each_run_has_one_and_keeps_it(self):
        options = RunOptions()
        self.assertNotEqual(options.run, RunOptions().run)
        self.assertEqual(replace(options, rate=3).run, options.run)


class TestRunOptions(unittest.TestCase):
    def test_all_have_a_default(self):
        self.assertEqual(RunOptions.from_arguments(argparse.Namespace(connect="tcp", timeout=5)), RunOptions())

    def test_a_program_may_give_them_with_the_plugin_s_arguments(self):
        given = argparse.Namespace(source=("192.0.2.1", None), output_flows=True, rate=None)
        options = RunOptions.from_arguments(given)
        self.assertEqual((options.source, options.output_flows, options.rate), (("192.0.2.1", None), True, None))

    def test_none_is_told_from_not_given_where_it_says_something(self):
        none = argparse.Namespace(**dict.fromkeys(one.name for one in fields(RunOptions)))
        self.assertEqual(RunOptions.from_arguments(none), RunOptions(per_address=None))
        self.assertEqual(RunOptions.from_arguments(argparse.Namespace()).per_address, 2)

    def test_given_whole_they_are_nobody_else_s(self):
        options = RunOptions(rate=10, seed=7)
        given = argparse.Namespace(rate=None, seed="mine", per_address=None, run_options=options)
        self.assertIs(RunOptions.from_arguments(given), options)
        self.assertEqual(RunOptions.from_arguments(argparse.Namespace(run_options="a plugin's", rate=3)).rate, 3)
