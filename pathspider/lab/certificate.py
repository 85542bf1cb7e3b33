"""A TLS certificate that lives as long as one lab."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pathspider.lab.errors import LabError


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate and its key in ``directory`` (in memory); returns both paths. About 20 ms."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "2", "-subj", "/CN=*.lab.test", "-addext", "subjectAltName=DNS:*.lab.test,DNS:lab.test",
               "-keyout", str(key), "-out", str(certificate)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise LabError("the lab makes its certificate with openssl, which was not found: "
                       "apt-get install openssl") from None
    if done.returncode:
        raise LabError(f"openssl could not make the lab's certificate: {done.stderr.decode(errors='replace').strip()}")
    return certificate, key
