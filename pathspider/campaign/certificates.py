"""A fleet's own certification authority, and what it certifies: the broker, the coordinator, vantage points.

Made by openssl(1), elliptic curve P-256. A certificate's common name is who has it: RabbitMQ takes it for the user.
:rfc:`5280`
"""

from __future__ import annotations

import os
import ssl
import subprocess
import tempfile
from ipaddress import ip_address
from pathlib import Path

from pathspider.campaign.errors import CampaignError

DAYS = 3650

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def make_authority(folder: Path, name: str) -> None:
    """Make ``ca.pem`` and ``ca.key`` in a folder; the key is for its owner alone."""
    _private(folder / "ca.key")
    # Python 3.13 refuses an authority without keyUsage.
    _openssl("req", "-x509", *KEY, "-days", str(DAYS), "-subj", f"/CN={name}", "-keyout", str(folder / "ca.key"),
             "-out", str(folder / "ca.pem"), "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def certify(folder: Path, name: str, *, host: str | None = None) -> tuple[str, str]:
    """A certificate and its key as text, from the authority in a folder.

    :param name: who has it
    :param host: of a server: the name or address by which it is reached
    """
    usage = "clientAuth" if host is None else "serverAuth"
    extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                  f"extendedKeyUsage={usage}"]
    if host is not None:
        extensions.append(f"subjectAltName={alternative(host)}")
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        (here / "extensions").write_text("\n".join(extensions) + "\n", encoding="ascii")
        _private(here / "key")
        _openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-keyout", str(here / "key"), "-out",
                 str(here / "request"))
        _openssl("x509", "-req", "-in", str(here / "request"), "-CA", str(folder / "ca.pem"), "-CAkey",
                 str(folder / "ca.key"), "-set_serial", f"0x{os.urandom(16).hex()}", "-days", str(DAYS), "-extfile",
                 str(here / "extensions"), "-out", str(here / "certificate"))
        return (here / "certificate").read_text(encoding="ascii"), (here / "key").read_text(encoding="ascii")


def alternative(host: str) -> str:
    """A host as a certificate has it; :exc:`CampaignError` for what is none."""
    try:
        return f"IP:{ip_address(host)}"
    except ValueError:
        if not host or not all(part and part.replace("-", "").isalnum() for part in host.split(".")):
            raise CampaignError(f"host {host!r}: a name or an address by which vantage points reach the broker is "
                                "needed") from None
        return f"DNS:{host}"


def client_context(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.3 to a broker that this authority certifies, with a certificate of ours."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)  # ssl reads it from files alone
    try:
        os.write(descriptor, f"{certificate}\n{key}".encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context


def _private(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))


def _openssl(*words: str) -> None:
    try:
        done = subprocess.run(["openssl", *words], capture_output=True, check=False)
    except FileNotFoundError:
        raise CampaignError("certificates are made by openssl, which was not found: apt-get install openssl") from None
    if done.returncode:
        raise CampaignError(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()}")
