"""Sockets that stand for every address, and those that go before them."""

import socket
import unittest

from pathspider.lab.servers.sockets import ANYWHERE, asks_for_feature, bind_udp, family_of, keep_syn, listen, listen_at
from pathspider.lab.topology import write_settings
from tests.libtrace.frames import in_namespace, ip

TCP_FASTOPEN_CONNECT = 30  # <linux/tcp.h>
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")


def at_home(function):
    """Calls it in a network of its own in which all addresses are here, as in the lab's server rooms."""
    def scenario():
        write_settings({"net/ipv4/ip_nonlocal_bind": "1", "net/ipv6/ip_nonlocal_bind": "1"})
        ip("link set lo up")
        for prefix in ("192.0.2.0/24", "2001:db8::/32"):
            ip(f"route add local {prefix} dev lo")
        return function()

    return in_namespace(scenario)


def whom(address, port, listening):
    """The place of the listening socket that gets a connection to an address."""
    with socket.create_connection((address, port), timeout=100):
        for place, sock in enumerate(listening):
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                continue
            return place
    return None


class TestListen(unittest.TestCase):
    def test_both_versions_each_with_a_socket(self):
        def scenario():
            sockets = listen(80)
            self.addCleanup(lambda: [sock.close() for sock in sockets])
            return [(sock.family, sock.getsockname()[0], sock.getblocking()) for sock in sockets], \
                [whom(address, 80, sockets) for address in ADDRESSES]

        names, found = at_home(scenario)
        self.assertEqual(names, [(family, anywhere, False) for family, anywhere in ANYWHERE.items()])
        self.assertEqual(found, [0, 0, 1, 1])

    def test_those_for_one_address_go_first(self):
        def scenario():
            sockets = [*listen(80), *listen_at(["192.0.2.2", "2001:db8::2"], 80)]
            self.addCleanup(lambda: [sock.close() for sock in sockets])
            return [whom(address, 80, sockets) for address in ADDRESSES]

        self.assertEqual(at_home(scenario), [0, 2, 1, 3])

    def test_what_a_syn_asks_for(self):
        def scenario():
            found = []
            sockets = listen(80)
            self.addCleanup(lambda: [sock.close() for sock in sockets])
            for sock in sockets:
                keep_syn(sock)
                sock.setblocking(True)
            for address in ADDRESSES[::2]:
                for ecn, fast_open, tos in ((2, 0, 0), (1, 0, 0), (2, 1, 0), (2, 0, 0x03), (2, 0, 46 << 2)):
                    write_settings({"net/ipv4/tcp_ecn": str(ecn), "net/ipv4/tcp_fastopen": "1"})
                    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
                        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, fast_open)
                        client.setsockopt(socket.SOL_IP, socket.IP_TOS, tos)
                        if ":" in address:
                            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
                        client.connect((address, 80))
                        client.send(b"x")
                        with sockets[":" in address].accept()[0] as accepted:
                            found.append(asks_for_feature(accepted))
            return found

        self.assertEqual(at_home(scenario), [False, True, True, False, True] * 2)

    def test_datagrams_tell_whom_they_were_for(self):
        def scenario():
            found = []
            sockets = bind_udp(53)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four, \
                    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
                for address in ADDRESSES:
                    (six if ":" in address else four).sendto(b"x", (address, 53))
                    (sock,) = [sock for sock in sockets if sock.family == family_of(address)]
                    sock.setblocking(True)
                    _, ((_, _, info),), _, _ = sock.recvmsg(512, 512)
                    there = info[:16] if sock.family == socket.AF_INET6 else info[8:12]
                    found.append(socket.inet_ntop(sock.family, there))
            for sock in sockets:
                sock.close()
            return found

        self.assertEqual(at_home(scenario), list(ADDRESSES))

    def test_family(self):
        self.assertEqual([family_of(address) for address in ADDRESSES[::2]], list(ANYWHERE))


if __name__ == "__main__":
    unittest.main()
