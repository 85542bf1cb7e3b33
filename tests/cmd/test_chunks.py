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
            stream.write(json.dumps({"jobs": count}).encode() + b"\n")
            stream.writelines(json.dumps(target(number)).encode() + b"\n" for number in range(count))
            stream.flush()
            lines = [stream.readline() for _ in range(count + 1)]
            self.assertEqual(sorted(json.loads(line)["number"] for line in lines[:-1]), [*range(count)])
            self.assertEqual(json.loads(lines[-1][1:])["over"]["records"], count)
        ours.shutdown(socket.SHUT_RDWR)
        self.assertEqual(process.wait(100), 0)

    def test_what_cannot_begin_is_said(self):
        process, _, stream = self.begin("-i", "lo", "--confirm", "0", "nosuchplugin")
        self.assertEqual(stream.readline(), b"")
        self.assertEqual(process.wait(100), 2)
        self.assertIn(b"nosuchplugin", process.stderr.read())
