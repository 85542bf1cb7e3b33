"""A client and a server in two network namespaces, for tests: real packets, and nothing outside is touched.

Inside ``with NetLab() as lab`` the thread is in the client's namespace, and so are threads and processes that it
starts. The server's namespace answers as its port says: see ``PORTS``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import dnslib

from tests.helpers.messages import pointer_chains

CLONE_NEWNET = 0x40000000
SOURCE = ("10.9.0.1", "fd00:9::1")
V4, V6 = "10.9.0.2", "fd00:9::2"
HTTP, DROP, UNREACHABLE, PROHIBITED, CLOSED = 80, 82, 83, 84, 81
ENDLESS, GARBAGE, SILENT, RESET, TRICKLE, MUTE_END, TLS, HUGE, HALF = range(8001, 8010)
DNS, DNS_BAD = 53, 5353
HTTP_ERROR, TLS_ERROR, DNS_ERROR = range(8011, 8014)
"""As HTTP, TLS and DNS; when the request has come, and before the response, an ICMP error comes from the path."""
BLOCKS = 8014
"""An interim response, headers that come twice, are folded or hold any octet, and trailers behind the body."""
INTERIM, INTERIM_SILENT, REFUSED_RESET, REFUSED_GOAWAY = range(8015, 8019)
"""Interim responses, and then the end, or silence; HTTP/2 by Upgrade, refused with HTTP_1_1_REQUIRED."""
INTERIM_ANSWER = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
REFUSED_ANSWER = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                  + bytes.fromhex("000000 04 00 00000000"))  # SETTINGS
RST_STREAM, GOAWAY = bytes.fromhex("000004 03 00 00000001 0000000d"), bytes.fromhex(
    "000008 07 00 00000000 00000000 0000000d")
BLOCKS_ANSWER = (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
                 b"HTTP/1.1 404 Not Found\r\nServer: test\r\nSet-Cookie: a=1\r\n"
                 b"set-cookie:b=\xe9:2 \r\nX-Long: one\r\n two\r\nEmpty:\r\nTransfer-Encoding: chunked\r\n"
                 b"Connection: close\r\n\r\n5\r\n\0\xffabc\r\n0\r\nX-Trailer: 7\r\n\r\n")
FIXED = {GARBAGE: b"\0\1\2 this is not HTTP\r\n\r\n", BLOCKS: BLOCKS_ANSWER,
         INTERIM: INTERIM_ANSWER, INTERIM_SILENT: INTERIM_ANSWER,
         REFUSED_RESET: REFUSED_ANSWER, REFUSED_GOAWAY: REFUSED_ANSWER}
"""What is answered, whatever was asked."""
LATER = {INTERIM_SILENT: b"", REFUSED_RESET: RST_STREAM, REFUSED_GOAWAY: GOAWAY}
"""What is answered to all that comes behind the request, such as the preface of HTTP/2, until the client closes."""
LONGEST_DATAGRAM = 65507
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
RULES = f"""
table inet impair {{ chain input {{ type filter hook input priority 0; policy accept;
  meta l4proto {{ tcp, udp }} th dport {DROP} drop
  meta l4proto {{ tcp, udp }} th dport {UNREACHABLE} reject with icmpx type host-unreachable
  meta l4proto {{ tcp, udp }} th dport {PROHIBITED} reject with icmpx type admin-prohibited
}}
}}
"""
libc = ctypes.CDLL(None, use_errno=True)


def sh(command: str, text: str | None = None) -> str:
    """Run a shell command of the test's own."""
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, input=text).stdout


def namespace() -> int:
    """A descriptor of this thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(descriptor: int) -> None:
    """Move this thread into a network namespace."""
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def enter_new() -> int:
    """Move this thread into a new network namespace, with loopback up."""
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    sh("ip link set lo up; sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0")
    return namespace()


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _bring_up(device: str, own: int, peer: int) -> None:
    """Addresses, and permanent neighbours: IPv6 would look for its own ones only a second after the link is up."""
    sh(f"ip addr add 10.9.0.{own}/24 dev {device}; ip addr add fd00:9::{own}/64 dev {device} nodad;"
       f"ip link set {device} up")
    for address in (f"10.9.0.{peer}", f"fd00:9::{peer}"):
        sh(f"ip neigh replace {address} lladdr 02:00:00:00:00:0{peer} dev {device} nud permanent")


class NetLab:
    """The two namespaces and the servers. ``peers`` holds the (address, port) of each client that the servers saw."""

    def __init__(self) -> None:
        self.peers: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self.requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> NetLab:
        with contextlib.ExitStack() as stack:
            home = namespace()
            stack.callback(os.close, home)
            stack.callback(enter, home)
            server = enter_new()
            stack.callback(os.close, server)
            sh("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=10000"
               " net.ipv6.icmp.ratelimit=0 net.ipv4.tcp_fastopen=3")
            client = enter_new()
            stack.callback(os.close, client)
            mac = "02:00:00:00:00:0"
            sh(f"ip link add name va address {mac}1 type veth peer name vb address {mac}2 netns {_path(server)}")
            _bring_up("va", 1, 2)
            enter(server)
            _bring_up("vb", 2, 1)
            sh("nft -f -", RULES)
            self.tls = self._tls(stack)
            for port in (HTTP, *range(ENDLESS, HALF + 1), DNS, DNS_BAD, HTTP_ERROR, TLS_ERROR, DNS_ERROR,
                         BLOCKS, INTERIM, INTERIM_SILENT, REFUSED_RESET, REFUSED_GOAWAY):
                self._listen(stack, port)
                if port in (DNS, DNS_BAD):
                    self._answer_datagrams(stack, port)
            enter(client)
            self.server = server
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def saw(self, address: str, port: int) -> bool:
        """Whether a server saw a connection or datagram from there, within 5 s."""
        with contextlib.suppress(queue.Empty):
            while self.peers.get(timeout=100) != (address, port):
                pass
            return True
        return False

    def _tls(self, stack: contextlib.ExitStack) -> ssl.SSLContext:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {folder}/key"
           f" -out {folder}/cert -subj /CN=somebody.else -days 1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert", folder / "key")
        return context

    def _listen(self, stack: contextlib.ExitStack, port: int) -> None:
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
        stack.callback(listener.close)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)

        def accept() -> None:
            while True:
                try:
                    client, peer = listener.accept()
                except OSError:
                    return
                self.peers.put((peer[0].removeprefix("::ffff:"), peer[1]))
                threading.Thread(target=self._serve, args=(client, port), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _serve(self, client: socket.socket, port: int) -> None:
        client.settimeout(100)
        with client, contextlib.suppress(OSError):
            if port in (TLS, TLS_ERROR):
                with self.tls.wrap_socket(client, server_side=True) as secured:
                    self.requests.put(secured.recv(4096))
                    if port == TLS_ERROR:
                        report_unreachable(secured)
                    self._respond(secured, port)
                return
            if port in (DNS, DNS_BAD, DNS_ERROR):
                (length,) = struct.unpack("!H", client.recv(2))
                message = client.recv(length)
                if port == DNS_ERROR:
                    report_unreachable(client)
                for answer in (*dns_datagrams(message, port)[:-1], dns_answer(message, port)):
                    client.sendall(struct.pack("!H", len(answer)) + answer)
                client.recv(1)
                return
            request = client.recv(4096)
            self.requests.put(request)
            if request:
                if port == HTTP_ERROR:
                    report_unreachable(client)
                self._respond(client, port)

    def _respond(self, client: socket.socket, port: int) -> None:
        head = b"HTTP/1.1 200 OK\r\nServer: test\r\n"
        if port in (HTTP, TLS, HTTP_ERROR, TLS_ERROR):
            client.sendall(head + b"Content-Length: 5\r\n\r\nhello")
            client.recv(1)
        elif port in FIXED:
            client.sendall(FIXED[port])
            while port in LATER and client.recv(4096):
                client.sendall(LATER[port])
        elif port == HUGE:
            client.sendall(head + b"Content-Length: 99000000000\r\n\r\n")
            while True:
                client.sendall(bytes(65536))
        elif port == ENDLESS:
            client.sendall(head + b"\r\n")
            while True:
                client.sendall(bytes(65536))
        elif port == TRICKLE:
            client.sendall(head + b"\r\n")
            while True:
                client.sendall(b"x")
                threading.Event().wait(0.05)
        elif port == SILENT:
            client.recv(1)
        elif port == HALF:
            client.sendall(head + b"Content-Length: 5\r\n\r\nhe")
            client.recv(1)
        elif port == RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _answer_datagrams(self, stack: contextlib.ExitStack, port: int) -> None:
        for family, address in ((socket.AF_INET, V4), (socket.AF_INET6, V6)):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.bind((address, port))
            stack.callback(sock.close)
            stack.callback(_wake, sock)

            def answer(sock: socket.socket = sock) -> None:
                while True:
                    message, peer = sock.recvfrom(4096)
                    if not message:
                        return
                    self.peers.put(peer[:2])
                    for reply in dns_datagrams(message, port):
                        sock.sendto(reply, peer)

            threading.Thread(target=answer, daemon=True).start()


def report_unreachable(server: socket.socket) -> None:
    """Have an ICMP error, host unreachable, come to the client of an established connection, and take effect.

    It quotes the number of the byte that the client sends next; that of an unknown one TCP ignores.
    """
    server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, 1)
    expected = server.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF
    server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)
    (client, client_port, *_), (own, own_port, *_) = server.getpeername(), server.getsockname()
    quoted = struct.pack("!HHI", client_port, own_port, expected)
    if client.startswith("::ffff:"):
        ends = [socket.inet_aton(one.removeprefix("::ffff:")) for one in (client, own)]
        quoted = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0, *ends) + quoted
        message = struct.pack("!BBHI", 3, 1, 0, 0) + quoted
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.sendto(message, (client.removeprefix("::ffff:"), 0))
    else:
        ends = [socket.inet_pton(socket.AF_INET6, one) for one in (client, own)]
        quoted = struct.pack("!IHBB16s16s", 6 << 28, 20, socket.IPPROTO_TCP, 64, *ends) + quoted + bytes(12)
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
            raw.sendto(struct.pack("!BBHI", 1, 3, 0, 0) + quoted, (client, 0))  # the kernel fills in the checksum
    threading.Event().wait(0.1)


def checksum(data: bytes) -> int:
    """Of an Internet header. :rfc:`1071`"""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _wake(sock: socket.socket) -> None:
    """A blocked ``recvfrom`` returns an empty message."""
    with contextlib.suppress(OSError):
        sock.connect(sock.getsockname())  # needed for shutdown
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def dns_datagrams(message: bytes, port: int) -> list[bytes]:
    """What comes back over UDP: the answer, before it one of another query where the name says so."""
    kind = str(dnslib.DNSRecord.parse(message).q.qname).split(".", maxsplit=1)[0]
    answer = dns_answer(message, port)
    if kind == "first-id":
        return [bytes([answer[0] ^ 1]) + answer[1:], answer]
    if kind == "chains":
        return [pointer_chains(message, LONGEST_DATAGRAM)]
    if kind == "first-question":
        other = dnslib.DNSRecord.parse(message).reply()
        other.questions = [dnslib.DNSQuestion("another.example")]
        return [other.pack(), answer]
    return [answer]


def dns_answer(message: bytes, port: int) -> bytes:
    """What the DNS servers answer; the first label of the name says how."""
    query = dnslib.DNSRecord.parse(message)
    if port == DNS_BAD:
        kind = str(query.q.qname).split(".", maxsplit=1)[0]
        reply = query.reply()
        if kind == "chains":
            return pointer_chains(message)
        if kind == "garbage":
            return b"\x01garbage"
        if kind == "cut":
            reply.add_answer(dnslib.RR("cut.", rdata=dnslib.A("192.0.2.1")))
            return reply.pack()[:-6]
        if kind == "echo":
            return message
        if kind == "id":
            reply.header.id ^= 1
        if kind == "question":
            reply.questions = [dnslib.DNSQuestion("another.example")]
        if kind == "formerr":
            reply.questions = []
            reply.header.rcode = dnslib.RCODE.FORMERR
        return reply.pack()
    reply = query.reply()
    reply.header.rcode = dnslib.RCODE.REFUSED if query.q.qtype == dnslib.QTYPE.NS else dnslib.RCODE.NOERROR
    return reply.pack()
