"""Units for systemd, to be installed by whoever wants that. systemd.service(5), systemd.exec(5)"""

from __future__ import annotations

import shutil
from pathlib import Path

HEAD = """[Unit]
Description={what}
After=network-online.target
Wants=network-online.target

[Service]
"""

TAIL = """Restart=always
RestartSec=5
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def broker_unit(folder: Path, user: str) -> str:
    """The broker of a fleet."""
    place = folder.resolve()
    return (HEAD.format(what=f"Broker of the PATHspider fleet in {place}")
            + f"User={user}\nExecStart={program()} fleet up {place}\nNoNewPrivileges=yes\n"
            + f"ReadWritePaths={place / 'broker'}\n" + TAIL)


def vantage_unit(bundle: str, interface: str, allow_list: str, spool: str) -> str:
    """A vantage point: a user of its own with the two capabilities that measuring needs, and no more of root's."""
    return (HEAD.format(what="PATHspider vantage point")
            + f"User=pathspider\nExecStart={program()} vantage run {Path(bundle).resolve()} -i {interface} "
            + f"--allow-list {Path(allow_list).resolve()} --spool {Path(spool).resolve()}\n"
            + "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN\n"
            + "CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_SETPCAP\n"
            + "# Once: the chunk is finished. After this time it is put back.\nKillSignal=SIGINT\nKillMode=mixed\n"
            + f"TimeoutStopSec=600\nReadWritePaths={Path(spool).resolve()}\n" + TAIL)


def program() -> str:
    """Where ``pspdr`` is."""
    return shutil.which("pspdr") or "/usr/bin/pspdr"
