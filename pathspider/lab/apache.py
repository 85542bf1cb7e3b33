"""apache2 as the lab's web server (h2c, h2) and knot as its DNS server, each from its binary."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

from pathspider.helpers.modes import DNS_PORT, MODES
from pathspider.lab import namespaces
from pathspider.lab.addresses import DOMAIN, clean_address, clean_name
from pathspider.lab.certificate import make_certificate
from pathspider.lab.external import environment, find_program, modules
from pathspider.lab.scenarios import names, served_by
from pathspider.lab.startup import BuiltIn
from pathspider.lab.topology import Rooms

PORTS = {"http": MODES["http"].port, "https": MODES["https"].port, "dns": DNS_PORT}
"""As the configurations name them."""

APACHE = """
ServerRoot {here}
ServerName lab.test
PidFile {here}/apache.pid
DefaultRuntimeDir {here}
Mutex sem
ErrorLog /dev/stderr
LogLevel warn
User nobody
Group nogroup
ListenBacklog 65535
{load}
Listen 0.0.0.0:{http}
Listen [::]:{http}
Listen 0.0.0.0:{https}
Listen [::]:{https}
ServerLimit 2
ThreadsPerChild 128
ThreadLimit 128
StartServers 2
MaxRequestWorkers 256
AsyncRequestWorkerFactor 100
KeepAliveTimeout 5
Protocols h2 h2c http/1.1
H2Upgrade on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
DocumentRoot {pages}
DirectoryIndex index.html
<Directory {pages}>
    Require all granted
</Directory>
<VirtualHost *:{https}>
    SSLEngine on
</VirtualHost>
{only_1}
"""

ONLY_1 = """
<VirtualHost {address}:{http}>
    Protocols http/1.1
</VirtualHost>
<VirtualHost {address}:{https}>
    SSLEngine on
    Protocols http/1.1
</VirtualHost>
"""

MODULES = ("mpm_event", "authz_core", "dir", "http2", "ssl")

KNOT = """
server:
    rundir: "{here}"
    listen: [ 0.0.0.0@{dns}, "::@{dns}" ]
    user: root:root
log:
  - target: stderr
    any: warning
database:
    storage: "{here}"
zone:
  - domain: test
    file: "{zone}"
    zonefile-sync: -1
    journal-content: none
"""

ZONE = f"""
$ORIGIN test.
$TTL 60
@ SOA {DOMAIN}. hostmaster.{DOMAIN}. 1 3600 600 86400 60
@ NS {DOMAIN}.
"""

CLEAN_NAMES = 4096
"""How many clean targets have a name in the zone."""


def zone() -> str:
    """Knot's zone: the names of all paths, and of the first clean targets."""
    clean = {clean_name(number): {"A": clean_address(number, 4), "AAAA": clean_address(number, 6)}
             for number in range(CLEAN_NAMES)}
    return ZONE + "".join(f"{name}. {qtype} {address}\n" for name, addresses in {**clean, **names()}.items()
                          for qtype, address in addresses.items())



class ApacheKnot(BuiltIn):
    """One apache2 and one knotd in each server room, and the built-in echo."""

    services = ("echo",)

    def __init__(self, rooms: Rooms, directory: int) -> None:
        super().__init__(rooms, directory)
        apache, knot = find_program("apache2", "apache2-bin"), find_program("knotd", "knot")
        certificate, key = (self.own_directory / path.name for path in make_certificate(self.directory))
        folder = modules(apache, "usr/lib/apache2/modules")
        load = "\n".join(f"LoadModule {name}_module {folder}/mod_{name}.so" for name in MODULES)
        only_1 = "".join(ONLY_1.format(address=f"[{address}]" if ":" in address else address, **PORTS)
                         for address in served_by("http1"))
        pages = self.own_directory / "pages"
        (self.directory / "pages").mkdir()
        (self.directory / "pages/index.html").write_text("This is the PATHspider lab.\n", encoding="ascii")
        (self.directory / "test.zone").write_text(zone(), encoding="ascii")
        for suffix, room in (("", rooms.server), ("-no-ecn", rooms.no_ecn)):
            self.start(f"apache{suffix}", room, apache, ["-D", "FOREGROUND", "-f"], APACHE, load=load, only_1=only_1,
                       certificate=certificate, key=key, pages=pages)
            self.start(f"knot{suffix}", room, knot, ["-c"], KNOT, zone=self.own_directory / "test.zone")

    def start(self, name: str, room: int, binary: Path, arguments: list[str], text: str, **values: object) -> None:
        """Start a program with a configuration and a folder of its own."""
        here = self.own_directory / name
        (self.directory / name).mkdir()
        (self.directory / name / "conf").write_text(text.format(here=here, **PORTS, **values), encoding="utf-8")
        self.spawn(name, [str(binary), *arguments, str(here / "conf")], room, (self.descriptor,), environment(binary))

    def wait(self) -> None:
        """Neither program takes sockets that listen already, so this asks again and again."""
        super().wait()
        deadline = time.monotonic() + 20
        for name, room in (("", self.rooms.server), ("-no-ecn", self.rooms.no_ecn)):
            for port in PORTS.values():
                program = f"{'knot' if port == DNS_PORT else 'apache'}{name}"
                with namespaces.inside(room, self.rooms.client):
                    while not answers(port):
                        if time.monotonic() > deadline or self.ended(program):
                            raise self.failed(program)
                        time.sleep(0.01)

    def ended(self, name: str) -> bool:
        """True if this server has ended already (it is left to be collected)."""
        pid = next(pid for pid, one in self.names.items() if one == name)
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def answers(port: int) -> bool:
    """True if something listens on a port, over both IP versions, in the current network namespace."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            result = sock.connect_ex((address, port))
            if result not in (0, errno.EISCONN):
                return False
    return True
