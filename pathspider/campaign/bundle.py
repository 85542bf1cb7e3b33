"""What a vantage point needs to take part: who it is, where the broker is, and the keys, in one file."""

from __future__ import annotations

import json
import os
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pathspider.campaign.certificates import client_context
from pathspider.campaign.definitions import VHOST
from pathspider.campaign.errors import CampaignError

PORT = 5671
"""Of AMQP over TLS."""


@dataclass(frozen=True)
class Bundle:
    """``NAME.bundle``: a JSON object, for its owner alone."""

    name: str
    broker: str
    """``amqps://HOST:PORT/VHOST``"""
    authority: str
    certificate: str
    key: str

    @classmethod
    def read(cls, path: str | Path) -> Bundle:
        """The bundle in a file.

        :raises CampaignError: if it is none
        """
        try:
            found = cls(**json.loads(Path(path).read_bytes()))
            if not all(isinstance(value, str) for value in asdict(found).values()):
                raise ValueError("values are not texts")
            found.address()
            return found
        except OSError as error:
            raise CampaignError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise CampaignError(f"{path}: not a bundle of pspdr fleet add: {error}") from None

    def write(self, path: Path) -> None:
        """Write it, for the owner alone."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as stream:
            json.dump(asdict(self), stream, indent=1)
            stream.write("\n")

    def address(self) -> tuple[str, int, str]:
        """Host, port and virtual host; ``ValueError`` for what is no address of a broker over TLS."""
        return address_of(self.broker)

    def context(self) -> ssl.SSLContext:
        """How the broker is talked to; :exc:`CampaignError` for keys that are none."""
        try:
            return client_context(self.authority, self.certificate, self.key)
        except (ssl.SSLError, ValueError) as error:
            raise CampaignError(f"the bundle of {self.name}: {error}") from None


def address_of(broker: str) -> tuple[str, int, str]:
    """Host, port and virtual host of ``amqps://HOST:PORT/VHOST``; ``ValueError`` for what is no such address."""
    parts = urlsplit(broker)
    if parts.scheme != "amqps" or not parts.hostname or parts.username is not None:
        raise ValueError(f"broker {broker!r}: amqps://HOST:PORT/VHOST is needed")
    return parts.hostname, parts.port or PORT, unquote(parts.path.removeprefix("/")) or VHOST
