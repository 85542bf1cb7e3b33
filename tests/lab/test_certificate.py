"""The certificate of a lab: for its names, with its key, and gone with it."""

import os
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from pathspider.lab.certificate import make_certificate
from pathspider.lab.errors import LabError


class TestCertificate(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_it_is_valid_for_names_of_the_lab_and_fits_its_key(self):
        certificate, key = make_certificate(self.folder)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        for name, fits in (("ecn-clean.lab.test", True), ("lab.test", True), ("example.com", False)):
            done = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-checkhost", name],
                                  capture_output=True, text=True, check=False)
            self.assertEqual("does match" in done.stdout, fits, done.stdout)

    def test_each_lab_has_a_key_of_its_own(self):
        (self.folder / "other").mkdir()
        keys = [make_certificate(folder)[1].read_bytes() for folder in (self.folder, self.folder / "other")]
        self.assertNotEqual(*keys)

    def test_where_it_cannot_be_made(self):
        with self.assertRaisesRegex(LabError, "openssl could not make"):
            make_certificate(self.folder / "nowhere")
        with mock.patch.dict(os.environ, PATH=str(self.folder)), self.assertRaisesRegex(LabError, "install openssl"):
            make_certificate(self.folder)


if __name__ == "__main__":
    unittest.main()
