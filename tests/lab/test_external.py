"""Finding servers that were unpacked."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.lab import Lab
from pathspider.lab.errors import LabError
from pathspider.lab.external import environment, find_program, modules


class TestFind(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()
        patch = mock.patch.dict(os.environ, PATHSPIDER_SERVERS=folder.name)
        patch.start()
        self.addCleanup(patch.stop)

    def test_named_folder_goes_first(self):
        (self.root / "usr/sbin").mkdir(parents=True)
        (self.root / "usr/sbin/nginx").touch()
        self.assertEqual(find_program("nginx", "nginx"), self.root / "usr/sbin/nginx")

    def test_a_relative_name_holds_wherever_it_is_used_from(self):
        (self.root / "usr/sbin").mkdir(parents=True)
        (self.root / "usr/sbin/nginx").touch()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root.parent)
        with mock.patch.dict(os.environ, PATHSPIDER_SERVERS=self.root.name):
            binary = find_program("nginx", "nginx")
            os.chdir("/")
            self.assertTrue(binary.exists(), binary)

    def test_a_folder_that_is_a_link(self):
        """Debian's /sbin is one to /usr/sbin."""
        (self.root / "usr/sbin").mkdir(parents=True)
        program = self.root / "usr/sbin/some-server"
        program.touch(0o755)
        (self.root / "sbin").symlink_to("usr/sbin")
        with mock.patch.dict(os.environ, PATH=str(self.root / "sbin"), PATHSPIDER_SERVERS=""):
            binary = find_program("some-server", "some-server")
        self.assertEqual(modules(binary, "usr/lib/x"), self.root / "usr/lib/x")

    def test_libraries_beside_the_binary(self):
        (self.root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
        self.assertIn(str(self.root / "usr/lib/x86_64-linux-gnu"),
                      environment(self.root / "usr/sbin/nginx", A="b")["LD_LIBRARY_PATH"])
        self.assertEqual(environment(Path("/usr/sbin/nginx")).get("LD_LIBRARY_PATH"),
                         os.environ.get("LD_LIBRARY_PATH"))

    def test_missing(self):
        with self.assertRaisesRegex(LabError, "apt-get download some-package"):
            find_program("no-such-server", "some-package")


class TestBroken(unittest.TestCase):
    def test_a_server_that_does_not_start_is_told_with_its_log(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = Path(folder, "usr/sbin/nginx")
            binary.parent.mkdir(parents=True)
            binary.write_text("#!/bin/sh\necho no paper left >&2; exit 1\n")
            binary.chmod(0o755)
            with mock.patch.dict(os.environ, PATHSPIDER_SERVERS=folder), \
                    self.assertRaisesRegex(LabError, "nginx did not start(.|\n)*no paper left"):
                Lab("nginx").start()
