"""What a run is told."""

import argparse
import unittest

from pathspider.run.options import RunOptions


class TestRunOptions(unittest.TestCase):
    def test_all_have_a_default(self):
        self.assertEqual(RunOptions.from_arguments(argparse.Namespace(connect="tcp", timeout=5)), RunOptions())

    def test_a_program_may_give_them_with_the_plugin_s_arguments(self):
        given = argparse.Namespace(source=("192.0.2.1", None), output_flows=True, rate=None)
        options = RunOptions.from_arguments(given)
        self.assertEqual((options.source, options.output_flows, options.rate), (("192.0.2.1", None), True, None))
