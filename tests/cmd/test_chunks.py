"""The process that measures chunks; :mod:`tests.campaign.test_measuring` has the other end of the socket."""

import json
import socket
import subprocess
import sys

from tests.campaign.cases import FolderCase, target


class TestChunks(FolderCase):
    def begin(self, *words):
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen([sys.executable, "-m", "pathspider.cmd.chunks", str(theirs.fileno()), *words],
                                       env=self.environment(), pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 30)
        stream = ours.makefile("rwb")
        self.addCleanup(ours.close)
        self.addCleanup(stream.close)
        return process, ours, stream

    def test_chunks_one_after_the_other_and_the_end(self):
        process, ours, stream = self.begin("-i", "lo", "--confirm", "0", "-w", "2", "nowhere")
        self.assertIn("ready", json.loads(stream.readline()[1:]))
        for count in (3, 0, 2):
            self.send(stream, count)
            lines = [stream.readline() for _ in range(count + 1)]
            self.assertEqual(sorted(json.loads(line)["number"] for line in lines[:-1]), [*range(count)])
            self.assertEqual(json.loads(lines[-1][1:])["over"]["records"], count)
        ours.shutdown(socket.SHUT_RDWR)
        self.assertEqual(process.wait(100), 0)

    def send(self, stream, count):
        stream.write(json.dumps({"jobs": count}).encode() + b"\n")
        stream.writelines(json.dumps(target(number)).encode() + b"\n" for number in range(count))
        stream.flush()

    def test_what_is_unfinished_is_counted(self):
        _, _, stream = self.begin("-i", "lo", "--confirm", "0", "nowhere", "--at", target(1)["dip"], "--fail")
        stream.readline()
        for count, unfinished in ((3, {"EMFILE": 1}), (1, {})):
            self.send(stream, count)
            lines = [stream.readline() for _ in range(count + 1)]
            self.assertEqual(json.loads(lines[-1][1:])["over"]["unfinished"], unfinished)

    def test_a_plugin_that_is_mistaken_in_that_ends_the_process(self):
        process, _, stream = self.begin("-i", "lo", "--confirm", "0", "nowhere", "--mistaken")
        stream.readline()
        self.send(stream, 1)
        self.assertEqual(process.wait(100), 1)
        self.assertIn(b"plugin nowhere: ValueError: mistaken", process.stderr.read())

    def test_what_cannot_begin_is_said(self):
        process, _, stream = self.begin("-i", "lo", "--confirm", "0", "nosuchplugin")
        self.assertEqual(stream.readline(), b"")
        self.assertEqual(process.wait(100), 2)
        self.assertIn(b"nosuchplugin", process.stderr.read())
