import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from pathspider.campaign.certificates import alternative, certify, client_context, make_authority
from pathspider.campaign.errors import CampaignError


class TestCertificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        make_authority(cls.folder, "fleet")

    def shown(self, text):
        return subprocess.run(["openssl", "x509", "-noout", "-text"], input=text, capture_output=True, text=True,
                              check=True).stdout

    def test_the_authority(self):
        self.assertEqual((self.folder / "ca.key").stat().st_mode & 0o777, 0o600)
        text = self.shown((self.folder / "ca.pem").read_text(encoding="ascii"))
        for word in ("CA:TRUE", "Certificate Sign", "CN = fleet"):
            self.assertIn(word, text)

    def test_for_whom_and_for_what(self):
        certificate, key = certify(self.folder, "ams")
        text = self.shown(certificate)
        for word in ("CN = ams", "TLS Web Client Authentication", "CA:FALSE"):
            self.assertIn(word, text)
        self.assertNotIn("TLS Web Server", text)
        self.assertIn("PRIVATE KEY", key)
        server = self.shown(certify(self.folder, "h", host="192.0.2.1")[0])
        self.assertIn("TLS Web Server Authentication", server)
        self.assertIn("IP Address:192.0.2.1", server)

    def test_hosts(self):
        self.assertEqual((alternative("a.example.org"), alternative("2001:db8::1")), ("DNS:a.example.org",
                                                                                      "IP:2001:db8::1"))
        for host in ("", "a..b", "a,DNS:b", "a b", "a\n"):
            self.assertRaises(CampaignError, alternative, host)

    def test_a_handshake_in_memory(self):
        """The broker's side as it is configured: TLS 1.3, and no certificate of another authority."""
        certificate, key = certify(self.folder, "h", host="localhost")
        (self.folder / "server.pem").write_text(certificate + key, encoding="ascii")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.folder / "server.pem")
        server.load_verify_locations(self.folder / "ca.pem")
        server.verify_mode = ssl.CERT_REQUIRED
        authority = (self.folder / "ca.pem").read_text(encoding="ascii")
        self.assertEqual(shake(client_context(authority, *certify(self.folder, "ams")), server), "ams")
        with tempfile.TemporaryDirectory() as other:
            make_authority(Path(other), "fleet")
            self.assertRaises(ssl.SSLError, shake, client_context(authority, *certify(Path(other), "ams")), server)


def shake(client, server):
    """A handshake of two contexts; the common name that the server sees."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname="localhost"),
            server.wrap_bio(to_server, to_client, server_side=True)]
    waiting = [*ends]
    while waiting:
        for end in [*waiting]:
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    return dict(one[0] for one in ends[1].getpeercert()["subject"])["commonName"]
