"""Signals that ask a run to end: none is lost, each has its response, threads inherit that."""

import signal
import subprocess
import sys
import threading
import time
import unittest

from pathspider.cmd.signals import ECHO

PROGRAM = """
import os, queue, signal, sys, threading
from pathspider.cmd.signals import Signals
signals = Signals()
ended = queue.SimpleQueue()
worker = threading.Thread(target=sys.stdin.readline, daemon=True)
worker.start()
if "early" in sys.argv:
    os.kill(os.getpid(), signal.SIGINT)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def first(number):
    say("first", number)
def second(number):
    say("second", number)
    ended.put(number)
signals.respond(first, second)
say("ready")
sys.exit(ended.get())
"""


ALLOWED = """
import os, signal, sys, time
from pathspider.cmd.signals import Signals
signals = Signals()
number, when = map(int, sys.argv[1:])
if when == 0:
    os.kill(os.getpid(), number)
with signals.allowed():
    if when == 1:
        os.kill(os.getpid(), number)
        time.sleep(60)
if when == 2:
    os.kill(os.getpid(), number)
    signals.respond(lambda number: os._exit(100 + number))
    time.sleep(60)
"""


class TestAllowed(unittest.TestCase):
    def test_signals_end_us_before_and_within_and_are_kept_after(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for when in range(4):
                with self.subTest(number=number, when=when):
                    # Whoever starts the tests may have them ignored, as nohup(1) has SIGHUP.
                    done = subprocess.run(["env", "--default-signal=INT,TERM,HUP", sys.executable, "-c", ALLOWED,
                                           str(int(number)), str(when)], check=False, timeout=100, capture_output=True)
                    self.assertEqual(done.returncode, (-number, -number, 100 + number, 0)[when], done.stderr)


class TestSignals(unittest.TestCase):
    def start(self, *arguments, before=""):
        process = subprocess.Popen([sys.executable, "-c", before + PROGRAM, *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        patience = threading.Timer(30, process.kill)
        patience.start()
        self.addCleanup(patience.cancel)
        return process

    def line(self, process):
        return process.stdout.readline().strip()

    def test_the_first_and_the_second_while_the_main_thread_waits(self):
        for one, other in ((signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)):
            process = self.start()
            self.assertEqual(self.line(process), "ready")
            process.send_signal(one)
            self.assertEqual(self.line(process), f"first {int(one)}")
            time.sleep(1.5 * ECHO)
            process.send_signal(other)
            self.assertEqual(self.line(process), f"second {int(other)}")
            self.assertEqual(process.wait(), other)

    def test_the_same_twice_at_once_is_one(self):
        """timeout(1) sends its signal to the process, and then to the group that it is in."""
        process = self.start()
        self.assertEqual(self.line(process), "ready")
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(ECHO / 10)
        process.send_signal(signal.SIGINT)
        self.assertEqual([self.line(process) for _ in range(2)], ["first 15", "second 2"])

    def test_two_that_come_at_once_are_two(self):
        process = self.start()
        self.assertEqual(self.line(process), "ready")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        found = [self.line(process) for _ in range(2)]
        self.assertEqual([one.split()[0] for one in found], ["first", "second"])
        self.assertEqual({one.split()[1] for one in found}, {"2", "15"})

    def test_one_that_came_before_anybody_watched(self):
        process = self.start("early")
        self.assertEqual({self.line(process), self.line(process)}, {"ready", "first 2"})

    def test_children_can_be_ended(self):
        """What a plugin starts has the signals as they are by default, whichever thread starts it."""
        code = PROGRAM[:PROGRAM.index("ended =")] + """
import subprocess
def start():
    child = subprocess.Popen(["sleep", "60"])
    child.terminate()
    return child.wait()
print(start())
thread = threading.Thread(target=lambda: print(start()))
thread.start()
thread.join()
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
        self.assertEqual(done.stdout.split(), ["-15", "-15"])

    def test_ignored_in_the_background_of_a_script(self):
        """Where a shell has no job control, what ends in ``&`` begins with SIGINT ignored."""
        process = self.start(before="import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n")
        self.assertEqual(self.line(process), "ready")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.line(process), "first 2")

    def test_ignored_by_nohup(self):
        process = self.start(before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
        self.assertEqual(self.line(process), "ready")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.line(process), "first 15")

    def test_other_signals_end_it_as_ever(self):
        process = self.start()
        self.assertEqual(self.line(process), "ready")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(), -signal.SIGUSR1)


if __name__ == "__main__":
    unittest.main()
