"""A fleet's folder: the authority, the broker's configuration, who takes part, and their bundles."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pathspider.atomic import atomic_write
from pathspider.campaign.broker import CONFIGURATION, OF_OTHERS, PLUGINS
from pathspider.campaign.bundle import PORT, Bundle, address_of
from pathspider.campaign.certificates import alternative, certify, make_authority
from pathspider.campaign.definitions import COORDINATOR, MANAGER, VHOST, definitions
from pathspider.campaign.errors import CampaignError
from pathspider.campaign.folder import ID, NAME, refuse_others

RESERVED = frozenset({COORDINATOR, MANAGER, "all", "any", "dead", "results", "local", "guest"})

BROKER_AUTHORITY = "broker-ca.pem"
"""Who has certified an existing broker, where that is not the fleet's own authority."""


@dataclass
class State:
    """``fleet.json``"""

    host: str
    port: int = PORT
    local_port: int = 15672
    """On 127.0.0.1: management, and the next three ports: Prometheus, Erlang's distribution, its port mapper."""
    broker: str = ""
    """An existing RabbitMQ; empty for one of our own."""
    vantages: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """They are not to come back: their certificates are still theirs."""


class Fleet:
    """An existing fleet. :meth:`create` makes one.

    :raises CampaignError: if there is none in this folder
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.state = State(**json.loads((self.folder / "fleet.json").read_bytes()))
        except FileNotFoundError:
            raise CampaignError(f"{folder}: there is no fleet in this folder; pspdr fleet init makes one") from None
        except OSError as error:
            raise CampaignError(f"{self.folder / 'fleet.json'}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise CampaignError(f"{self.folder / 'fleet.json'}: {error}") from None

    @classmethod
    def create(cls, folder: str | Path, state: State, authority: str | None = None) -> Fleet:
        """Make the authority, the broker's certificate and configuration, and the coordinator's bundle.

        :param authority: the certificates that one of an existing broker's is checked by; None where it has the one
            that is made here
        """
        path = Path(folder)
        if (path / "fleet.json").exists():
            raise CampaignError(f"{folder}: there is a fleet in this folder")
        refuse_others(path)
        alternative(state.host)
        if state.broker:
            try:
                address_of(state.broker)
            except ValueError as error:
                raise CampaignError(str(error)) from None
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o711)  # the broker's user passes through
            make_authority(path, f"PATHspider fleet {state.host}")
            broker = path / "broker"
            broker.mkdir(exist_ok=True)
            certificate, key = certify(path, state.host, host=state.host)
            for name, text in (("certificate.pem", certificate), ("key.pem", key),
                               ("ca.pem", (path / "ca.pem").read_text(encoding="ascii"))):
                _write_private(broker / name, text)
            _write_private(path / "manager.password", secrets.token_urlsafe(24))
            if authority is not None:
                _write_private(path / BROKER_AUTHORITY, authority)
            with atomic_write(path / "fleet.json") as stream:
                stream.write(json.dumps(asdict(state), indent=1).encode() + b"\n")
            fleet = cls(path)
            fleet._bundle(COORDINATOR).write(path / "coordinator.bundle")
            fleet.configure()
        except OSError as error:
            raise CampaignError(f"{error.filename or folder}: {error.strerror}") from None
        return fleet

    @property
    def password(self) -> str:
        """Of the manager."""
        return (self.folder / "manager.password").read_text(encoding="ascii")

    @property
    def url(self) -> str:
        """Where the broker is."""
        host = f"[{self.state.host}]" if ":" in self.state.host else self.state.host
        return self.state.broker or f"amqps://{host}:{self.state.port}/{VHOST}"

    @property
    def coordinator(self) -> Bundle:
        """The coordinator's."""
        return Bundle.read(self.folder / "coordinator.bundle")

    def add(self, name: str) -> Path:
        """Have one more vantage point; its bundle."""
        if not NAME.fullmatch(name) or name in RESERVED:
            raise CampaignError(f"vantage point {name!r}: a name has small letters, digits and hyphens, 32 at most, "
                                f"and is none of {', '.join(sorted(RESERVED))}")
        if name in self.state.removed:
            raise CampaignError(f"vantage point {name}: it was removed, and would come back with its old certificate; "
                                "give it another name")
        if name in self.state.vantages:
            raise CampaignError(f"vantage point {name}: it is there already, in {self.folder / f'{name}.bundle'}")
        path = self.folder / f"{name}.bundle"
        self._bundle(name).write(path)
        self.state.vantages.append(name)
        self._save()
        return path

    def remove(self, name: str) -> None:
        """Have a vantage point no more."""
        if name not in self.state.vantages:
            raise CampaignError(f"vantage point {name}: there is none; there are {', '.join(self.state.vantages)}")
        self.state.vantages.remove(name)
        self.state.removed.append(name)
        self._save()
        with suppress(FileNotFoundError):
            (self.folder / f"{name}.bundle").unlink()

    def configure(self) -> None:
        """Write the broker's configuration and definitions."""
        broker = (self.folder / "broker").resolve()
        if self.state.broker:
            with atomic_write(broker / "rabbitmq.conf") as stream:
                stream.write(OF_OTHERS.format(broker=self.state.broker, folder=broker.parent).encode())
            _write_private(broker / "definitions.json", json.dumps(self.definitions(), indent=1))
            return
        ports = {"port": self.state.port, "management": self.state.local_port, "prometheus": self.state.local_port + 1}
        with atomic_write(broker / "rabbitmq.conf") as stream:
            stream.write(CONFIGURATION.format(folder=broker, **ports).encode())
        with atomic_write(broker / "enabled_plugins") as stream:
            stream.write(PLUGINS.encode())
        _write_private(broker / "definitions.json", json.dumps(self.definitions(), indent=1))

    def definitions(self) -> dict[str, Any]:
        """What the broker is to have."""
        if self.state.broker:
            return definitions(self.state.vantages, None, address_of(self.state.broker)[2])
        return definitions(self.state.vantages, self.password)

    # -- campaigns -----------------------------------------------------------------------------------------------

    def note_campaign(self, campaign: str, folder: Path) -> None:
        """Have results of a campaign find its folder."""
        (self.folder / "campaigns").mkdir(exist_ok=True)
        with atomic_write(self.folder / "campaigns" / campaign) as stream:
            stream.write(os.fsencode(folder.resolve()) + b"\n")

    def campaign(self, campaign: str) -> Path | None:
        """The folder of a campaign; None for what is no campaign of this fleet."""
        if not ID.fullmatch(campaign):
            return None
        with suppress(FileNotFoundError):
            return Path(os.fsdecode((self.folder / "campaigns" / campaign).read_bytes().rstrip(b"\n")))
        return None

    def _bundle(self, name: str) -> Bundle:
        certificate, key = certify(self.folder, name)
        authority = next(path for path in (self.folder / BROKER_AUTHORITY, self.folder / "ca.pem") if path.exists())
        return Bundle(name, self.url, authority.read_text(encoding="ascii"), certificate, key)

    def _save(self) -> None:
        with atomic_write(self.folder / "fleet.json") as stream:
            stream.write(json.dumps(asdict(self.state), indent=1).encode() + b"\n")
        self.configure()


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)
