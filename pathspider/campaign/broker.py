"""RabbitMQ as the broker of one fleet: started from its binaries, as an unprivileged user, never as a service."""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pathspider.campaign.errors import CampaignError

log = logging.getLogger("pathspider")

CONFIGURATION = """# Written by pspdr fleet; changes are lost.
listeners.tcp = none
listeners.ssl.1 = 0.0.0.0:{port}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/certificate.pem
ssl_options.keyfile = {folder}/key.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
load_definitions = {folder}/definitions.json
default_vhost = pathspider
loopback_users.guest = true
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus}
raft.wal_max_size_bytes = 64000000
raft.segment_max_entries = 512
disk_free_limit.absolute = 1GB
vm_memory_high_watermark.absolute = 1GB
# A chunk may take long; a vantage point that has died is noticed by its heartbeats.
consumer_timeout = 864000000
log.file = {folder}/log/rabbit.log
log.file.level = info
log.console = false
"""

OF_OTHERS = """# Written by pspdr fleet: what the rabbitmq.conf of {broker} has to say for this fleet.
# Plugin: rabbitmq_auth_mechanism_ssl. Of the authorities in cacertfile one is {folder}/ca.pem.
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
# Further mechanisms, where others use this broker, have further numbers.
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
# A chunk may take long; a vantage point that has died is noticed by its heartbeats.
consumer_timeout = 864000000
"""
"""For a broker that is there: what its operator puts into its configuration."""

PLUGINS = "[rabbitmq_auth_mechanism_ssl,rabbitmq_management,rabbitmq_prometheus].\n"

SERVER = "usr/lib/rabbitmq/bin/rabbitmq-server"

ERL = """#!/bin/sh
# As Debian's erl, whose root folder is fixed, for where it was unpacked.
ROOTDIR={root}
BINDIR={runtime}/bin
EMU=beam
PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
"""

PR_SET_PDEATHSIG = 1

STOPPING = 60.0
"""Seconds that the broker may take to end."""


def find_root() -> Path:
    """The root below which RabbitMQ and Erlang are: unpacked packages, or the system.

    :raises CampaignError: where they are not
    """
    named = os.environ.get("PATHSPIDER_SERVERS")
    for root in [*([Path(named)] if named else []), Path(__file__).parents[2] / ".servers", Path("/")]:
        if (root / SERVER).exists() and runtime(root) is not None:
            return root.resolve()
    raise CampaignError("no RabbitMQ was found: apt-get install rabbitmq-server (systemctl disable --now "
                        "rabbitmq-server: the fleet starts its own), or use one that runs elsewhere: pspdr fleet init "
                        "--broker amqps://…")


def runtime(root: Path) -> Path | None:
    """Erlang's run-time system below a root."""
    return next(iter(sorted(root.glob("usr/lib/erlang/erts-*"))), None)


class Broker:
    """The broker of the fleet in a folder, while the body runs.

    :param folder: ``broker`` of the fleet's
    :param local_port: as of :class:`~pathspider.campaign.fleet.State`
    :param user: who it runs as where we are root
    """

    def __init__(self, folder: Path, local_port: int, user: str | None = None) -> None:
        self.folder = folder.resolve()
        self._local_port = local_port
        self._user = _account(user)
        self._root = find_root()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; it takes some seconds until it takes connections."""
        environment = self._prepare()
        found = runtime(self._root)
        assert found is not None
        # Not the daemon that Erlang would start by itself, and leave behind.
        epmd = [str(found / "bin" / "epmd"), "-address", "127.0.0.1", "-port", environment["ERL_EPMD_PORT"]]
        self._processes = [self._run(epmd, environment), self._run([str(self._root / SERVER)], environment)]

    @property
    def logs(self) -> str:
        """Where it says what is the matter, for messages."""
        return f"{self.folder / 'log' / 'start.log'} and {self.folder / 'log' / 'rabbit.log'}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The broker's."""
        return self._processes[-1]

    def stop(self) -> None:
        """End it in order, and what belongs to it."""
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOPPING)
            self.kill(process)

    def kill(self, process: subprocess.Popen[bytes] | None = None) -> None:
        """End a process of the broker at once, the broker itself unless named, with all that it has started."""
        victim = process or self.process
        with suppress(ProcessLookupError):
            os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()

    def _run(self, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        account: dict[str, Any] = {}
        if self._user is not None:
            account = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        try:
            with (self.folder / "log" / "start.log").open("ab") as said:
                return subprocess.Popen(command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=said, stderr=said, start_new_session=True,
                                        preexec_fn=die_with_parent, **account)  # noqa: PLW1509 - one call of C
        except OSError as error:
            raise CampaignError(f"{command[0]}: {error.strerror}") from None

    def _prepare(self) -> dict[str, str]:
        """Folders and environment."""
        programs = self.folder / "bin"
        for name in ("bin", "data", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        erl = programs / "erl"
        erl.write_text(ERL.format(root=shlex.quote(str(self._root / "usr/lib/erlang")),
                                  runtime=shlex.quote(str(runtime(self._root)))), encoding="utf-8")
        erl.chmod(0o755)
        if self._user is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)
        unpacked = self._root != Path("/")
        libraries = [str(path) for path in sorted(self._root.glob("usr/lib/*-linux-*"))] if unpacked else []
        return {
            "PATH": f"{programs}:{os.environ.get('PATH', '/usr/bin:/bin')}", "HOME": str(self.folder / "data"),
            "LANG": "C.UTF-8", **({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {}),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(self._local_port + 3),
            "NOTIFY_SOCKET": "/dev/null",  # the script then becomes the broker, instead of waiting for it
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_NODENAME": f"pathspider{self._local_port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._local_port + 2), "RABBITMQ_PID_FILE": str(self.folder / "data" / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
        }


def die_with_parent() -> None:
    """In a child: be killed when the parent's thread that has started us ends, however it does. prctl(2)"""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _account(user: str | None) -> pwd.struct_passwd | None:
    """Whom the broker runs as; None: as ourselves, who are not root."""
    if os.geteuid():
        if user is not None:
            raise CampaignError(f"--user {user}: only root can start the broker as another user")
        return None
    for name in [user] if user is not None else ["rabbitmq", "nobody"]:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            if found.pw_uid:
                return found
    raise CampaignError(f"--user {user}: the broker needs a user that is there and is not root")

