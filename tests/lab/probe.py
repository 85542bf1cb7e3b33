"""A measurement of ECN by plain sockets and an AF_PACKET socket, with nothing of PATHspider in it.

Runs in the client of a lab: reads jobs (with ``connect``) as JSON lines, prints one JSON object, address -> conditions.
All connections without ECN come first, then net.ipv4.tcp_ecn is switched on, then the same again.
"""

import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 3.0
RCODES = {0: "noerror", 2: "servfail", 5: "refused"}
ESTABLISHED = 1
SYN, RST, ACK, ECE, CWR = 0x02, 0x04, 0x10, 0x40, 0x80
MARKS = {1: "ect1", 2: "ect0", 3: "ce"}
QUERY = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x03www\x07example\x00" + struct.pack("!HH", 1, 1)


class Sniffer(threading.Thread):
    """Keeps, for each connection (address, local port), the flags of the SYN-ACK and the marks that came back."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setblocking(False)
        self.enough, self.writer = os.pipe()
        self.syns, self.syn_acks, self.marks, self.resets = {}, {}, {}, set()

    def run(self):
        while self.enough not in select.select([self.socket, self.enough], [], [])[0]:
            self.drain()
        self.drain()

    def drain(self):
        while True:
            try:
                packet, origin = self.socket.recvfrom(65535)
            except BlockingIOError:
                return
            self.look(packet, origin[2] == socket.PACKET_OUTGOING)

    def look(self, packet, outgoing):
        if packet[0] >> 4 == 4:
            protocol, mark, tcp = packet[9], packet[1] & 3, packet[(packet[0] & 15) * 4:]
            there = socket.inet_ntop(socket.AF_INET, packet[16:20] if outgoing else packet[12:16])
        else:
            protocol, mark, tcp = packet[6], packet[1] >> 4 & 3, packet[40:]
            there = socket.inet_ntop(socket.AF_INET6, packet[24:40] if outgoing else packet[8:24])
        if protocol != socket.IPPROTO_TCP:
            return
        source_port, port, seq, ack, _, flags = struct.unpack_from("!HHIIBB", tcp)
        if outgoing:
            if flags & SYN:
                self.syns[there, source_port] = seq
            return
        if flags & SYN:
            if ack != (self.syns[there, port] + 1) % 2**32:
                return
            self.syn_acks.setdefault((there, port), flags)
        if flags & RST:
            self.resets.add((there, port))
        if mark:
            self.marks.setdefault((there, port), set()).add(MARKS[mark])

    def stop(self):
        os.write(self.writer, b".")
        self.join()


def connect(job):
    """One connection; returns what was answered, None if it did not do what it is for, and the local port."""
    family = socket.AF_INET6 if ":" in job["dip"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
        port = sock.getsockname()[1]
        sock.settimeout(TIMEOUT)
        try:
            try:
                sock.connect((job["dip"], job["dp"]))
            except OSError:
                if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
                    raise
                # SO_ERROR, by which Python looks, tells of an ICMP error that came when the connection was up, too
            return exchange(sock, job["connect"]), port
        except OSError:
            return None, port


def exchange(sock, mode):
    if mode == "dnstcp":
        sock.sendall(struct.pack("!H", len(QUERY)) + QUERY)
        answer = sock.recv(4096)[2:]
        return RCODES[answer[3] & 15] if answer[:2] == QUERY[:2] else None
    if mode == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    if mode != "tcp":
        sock.sendall(b"GET / HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n")
        answer = sock.recv(4096)
        while data := sock.recv(4096):
            answer += data
        while answer.startswith(b"HTTP/1.1 1"):
            answer = answer.partition(b"\r\n\r\n")[2]
        return answer[9:12].decode() if answer.startswith(b"HTTP/1.1 ") else None
    return "up"


def tcp_ecn(value):
    with open("/proc/sys/net/ipv4/tcp_ecn", "w") as setting:
        setting.write(value)


def verdict(job, without, with_ecn, sniffer):
    (before, port_before), (after, port) = without, with_ecn
    word = {(True, True): "works", (True, False): "broken", (False, True): "transient", (False, False): "offline"}
    found = [f"ecn.connectivity.{word[before is not None, after is not None]}"]
    if before and after and before[0] != after[0]:
        differs = f"ecn.response.differs:{before}:{after}"
        found = [*found, differs] if before.isdecimal() else [differs]
    syn_ack = sniffer.syn_acks.get((job["dip"], port))
    if syn_ack is not None:
        unasked = sniffer.syn_acks.get((job["dip"], port_before), 0) & syn_ack & ECE
        found.append("ecn.negotiation." + ("unclear" if unasked else {ECE: "succeeded", ECE | CWR: "reflected"}.get(
            syn_ack & (ECE | CWR), "failed")))
        if before and not after and (job["dip"], port) not in sniffer.resets:
            found.append("ecn.handshake.works")
    marks = sniffer.marks.get((job["dip"], port), ())
    return found + [f"ecn.ipmark.{mark}.{'seen' if mark in marks else 'not_seen'}" for mark in MARKS.values()]


def main():
    jobs = [json.loads(line) for line in sys.stdin]
    with open("/proc/sys/net/ipv4/tcp_ecn_fallback", "w") as setting:
        setting.write("0")
    sniffer = Sniffer()
    sniffer.start()
    with ThreadPoolExecutor(len(jobs)) as pool:
        tcp_ecn("2")
        without = list(pool.map(connect, jobs))
        tcp_ecn("1")
        with_ecn = list(pool.map(connect, jobs))
    sniffer.stop()
    print(json.dumps({job["dip"]: verdict(job, *pair, sniffer)
                      for job, *pair in zip(jobs, without, with_ecn, strict=True)}))


if __name__ == "__main__":
    main()
