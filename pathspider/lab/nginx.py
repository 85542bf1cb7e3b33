"""nginx as the lab's web server: started from its binary, with a configuration of ours, never as a service.

Used where load is measured (the built-in servers are Python and share two cores with what is measured), and to see that
nothing depends on our own servers. DNS stays with the built-in server.
"""

from __future__ import annotations

import http.client

from pathspider.helpers.modes import MODES
from pathspider.lab import namespaces
from pathspider.lab.certificate import make_certificate
from pathspider.lab.external import environment, find_program
from pathspider.lab.servers.sockets import BACKLOG, listen
from pathspider.lab.startup import BuiltIn
from pathspider.lab.topology import Rooms

CONFIGURATION = """
daemon off;
worker_processes 1;
user root;
pid {here}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 200000;
events {{ worker_connections 65536; multi_accept on; }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    server {{
        listen 0.0.0.0:{http} backlog={backlog};
        listen [::]:{http} backlog={backlog};
        listen 0.0.0.0:{https} ssl http2 backlog={backlog};
        listen [::]:{https} ssl http2 backlog={backlog};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{ add_header Alt-Svc 'h3=":{h3}"'; return 200 "This is the PATHspider lab.\\n"; }}
    }}
}}
"""


class Nginx(BuiltIn):
    """One nginx in each server room, and the built-in DNS."""

    services = ("http1", "odd", "h3", "dns", "echo")

    def __init__(self, rooms: Rooms, directory: int) -> None:
        binary = find_program("nginx", "nginx")
        super().__init__(rooms, directory)
        certificate, key = make_certificate(self.directory)
        for name, room in (("nginx", rooms.server), ("nginx-no-ecn", rooms.no_ecn)):
            here = self.directory / name
            here.mkdir()
            text = CONFIGURATION.format(here=here, certificate=certificate, key=key, backlog=BACKLOG,
                                        http=MODES["http"].port, https=MODES["https"].port, h3=MODES["h3"].port)
            (here / "nginx.conf").write_text(text, encoding="utf-8")
            # nginx takes sockets that listen already, as it does when its binary is replaced: nobody needs to wait
            with namespaces.inside(room, rooms.client):
                sockets = [*listen(MODES["http"].port), *listen(MODES["https"].port)]
            descriptors = tuple(sock.fileno() for sock in sockets)
            inherited = "".join(f"{number};" for number in descriptors)
            self.spawn(name, [str(binary), "-p", str(here), "-c", str(here / "nginx.conf"), "-e", "stderr"], room,
                       descriptors, environment(binary, NGINX=inherited))
            for sock in sockets:
                sock.close()

    def wait(self) -> None:
        super().wait()
        for name, room in (("nginx", self.rooms.server), ("nginx-no-ecn", self.rooms.no_ecn)):
            with namespaces.inside(room, self.rooms.client):
                connection = http.client.HTTPConnection("127.0.0.1", MODES["http"].port, timeout=20)
                try:
                    connection.request("GET", "/")
                    if connection.getresponse().status != 200:
                        raise self.failed(name)
                except OSError:
                    raise self.failed(name) from None
                finally:
                    connection.close()
