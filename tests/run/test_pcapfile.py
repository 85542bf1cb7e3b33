"""All packets of a capture in files: a real interface, real files, and Wireshark's word for what is in them."""

import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from pathspider.chains.basic import BasicChain
from pathspider.observer import DummyObserver, Observer
from pathspider.run.folder import Folder
from pathspider.run.pcapfile import PcapFile, next_name
from tests import in_checkout, wireshark
from tests.libtrace.frames import in_namespace, pair, send, udp4
from tests.packaging.files import ROOT

FRAMES = [udp4(number.to_bytes(2, "big") * 50, sport=1000 + number) for number in range(200)]


@in_checkout
class TestPcapFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)
        self.folder = Folder.open(folder.name)
        self.addCleanup(self.folder.close)

    def capture(self, name="run.pcapng", size=None, frames=FRAMES, opened=None):
        """Frames on an interface, captured and written until all is over."""
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT) if opened is None else opened
        pcap = PcapFile(descriptor, str(path), "the run", size, self.folder)

        def run():
            pair()
            observer = Observer("int:b0", [BasicChain], bpf="udp")
            pcap.begin(observer)
            flows = queue.Queue()
            thread = threading.Thread(target=observer.run_flow_enqueuer, args=(flows,))
            thread.start()
            send("a0", frames)
            while observer.stats.packets < len(frames) and thread.is_alive():
                thread.join(0.01)
            observer.stop()
            pcap.join()
            thread.join()

        in_namespace(run)
        return pcap

    def ports(self, *names):
        return [int(port) for name in names for port, in wireshark.fields(self.path / name, "udp.srcport")]

    def test_every_packet_is_in_it(self):
        (self.path / "run.pcapng").write_bytes(b"what was there before" * 10000)
        pcap = self.capture()
        self.assertEqual((pcap.packets, pcap.lost, pcap.files, pcap.failure), (200, 0, 1, None))
        self.assertEqual(self.ports("run.pcapng"), list(range(1000, 1200)))
        facts = wireshark.facts(self.path / "run.pcapng")
        self.assertEqual((facts["Capture comment"], facts["Name"], facts["Filter string"], facts["Capture length"],
                          facts["Number of stat entries"]), (["the run"], ["b0"], ["udp"], ["65535"], ["1"]))
        self.assertIn("PATHspider", facts["Capture application"][0])

    def test_files_of_a_size(self):
        (self.path / "run_00003.pcapng").write_text("precious")
        pcap = self.capture(size=10000)
        names = ["run.pcapng", "run_00002.pcapng", "run_00004.pcapng"]
        names += sorted(path.name for path in self.path.iterdir() if path.name not in {*names, "run_00003.pcapng"})
        self.assertEqual((pcap.packets, pcap.files, len(names)), (200, len(names), len(names)))
        self.assertEqual(self.ports(*names), list(range(1000, 1200)))
        for name in names:
            self.assertLessEqual((self.path / name).stat().st_size, 10000)
            self.assertEqual(wireshark.facts(self.path / name)["Number of stat entries"], ["1"])
        self.assertGreater((self.path / names[0]).stat().st_size, 9700)
        self.assertEqual((self.path / "run_00003.pcapng").read_text(), "precious")

    def test_a_size_that_no_packet_fits_in(self):
        pcap = self.capture(size=1, frames=FRAMES[:3])
        self.assertEqual((pcap.packets, pcap.files), (3, 3))
        self.assertEqual(self.ports("run.pcapng", "run_00002.pcapng", "run_00003.pcapng"), [1000, 1001, 1002])

    def test_what_cannot_be_written_is_said_and_counted(self):
        with self.assertLogs("pathspider", logging.ERROR) as said:
            pcap = self.capture(opened=os.open("/dev/full", os.O_WRONLY))
        self.assertIn("run.pcapng: No space left on device; no more packets are written, the run goes on",
                      said.output[0])
        self.assertEqual((pcap.packets, pcap.lost, len(said.output)), (0, 200, 1))
        self.assertEqual(pcap.failure.strerror, "No space left on device")

    def test_a_full_disk_ends_it_with_a_whole_packet(self):
        script = """
import tests.run.test_pcapfile as module
from pathspider.run import folder
folder.SPARE = 0
case = module.TestPcapFile("test_every_packet_is_in_it")
case.setUp()
case.path = module.Path("/mnt")
pcap = case.capture(frames=module.FRAMES * 30)
print(pcap.packets, pcap.lost, pcap.failure.strerror)
"""
        copy = self.path / "copy.pcapng"
        command = ("mount -t tmpfs -o size=256k tmpfs /mnt && python=$1 && shift && $python -c \"$1\" && "
                   "cp /mnt/run.pcapng $2")
        done = subprocess.run(["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, script, str(copy)],
                              capture_output=True, text=True, check=False, timeout=100, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        packets, lost, why = done.stdout.split(maxsplit=2)
        self.assertEqual((int(packets) + int(lost), why.strip()), (6000, "No space left on device"))
        self.assertEqual(len(wireshark.fields(copy, "udp.srcport")), int(packets))

    def test_into_a_pipe(self):
        theirs, ours = os.pipe()
        pcap = self.capture(opened=ours, frames=FRAMES[:5])
        with open(theirs, "rb") as stream:
            (self.path / "run.pcapng").write_bytes(stream.read())
        self.assertEqual((pcap.packets, self.ports("run.pcapng")), (5, list(range(1000, 1005))))

    def test_a_reader_that_goes(self):
        theirs, ours = os.pipe()
        os.close(theirs)
        with self.assertLogs("pathspider", logging.ERROR) as said:
            pcap = self.capture(opened=ours, frames=FRAMES[:5])
        self.assertIn("Broken pipe", said.output[0])
        self.assertEqual(pcap.lost, 5)

    def test_where_nothing_is_captured(self):
        pcap = PcapFile(os.open(self.path / "a", os.O_WRONLY | os.O_CREAT), "a", "the run")
        pcap.begin(DummyObserver())
        pcap.join()
        self.assertEqual((pcap.packets, pcap.lost), (0, 0))

    def test_names(self):
        self.assertEqual((next_name("a/run.pcapng", 2), next_name("run", 100000)),
                         ("a/run_00002.pcapng", "run_100000"))


if __name__ == "__main__":
    unittest.main()
