"""What connections with a configuration of their own carry, on the wire, and that nothing of it stays."""

import contextlib
import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest
from unittest import mock

from pathspider.network import journal, shadow
from pathspider.network.configurations import Configuration, ConfigurationError, Configurations
from pathspider.network.settings import Settings, SettingsError, sysctl_path
from tests.helpers import netlab
from tests.helpers.wire import RST, Wire
from tests.programs import as_nobody

ECN_PLAN = [Configuration(ecn=False), Configuration(ecn=True)]
DSCP_PLAN = [Configuration(dscp=0), Configuration(dscp=46)]
REAL_WAY = shadow.way
ASKS, SYN, ECT0 = 0xC2, 0x02, 2
SETTINGS = ("net.ipv4.tcp_ecn", "net.ipv4.tcp_ecn_fallback")
MACHINE = "nft list ruleset; ip rule; ip route show table all; ip -6 rule; ip -6 route show table all; ip nexthop"
RUN = """
import sys
from pathspider.network.configurations import Configuration, ConfigurationError, Configurations
from pathspider.network.settings import Settings, SettingsError
what, ways = sys.argv[1:]
plan = [Configuration(ecn=False), Configuration(ecn=True)] if what == "ecn" else [
    Configuration(ecn=False, dscp=0), Configuration(ecn=True, dscp=46)]
print("begins", flush=True)
try:
    with Settings() as settings, Configurations(settings, plan, ways=ways.split(",")) as configurations:
        print(configurations.way, *configurations.notes, configurations.sockopts(1)[0][2], flush=True)
        sys.stdin.readline()
except (ConfigurationError, SettingsError) as error:
    print(type(error).__name__, error, flush=True)
"""


def values():
    return tuple(sysctl_path(name).read_text().strip() for name in SETTINGS)


def open_socket(address, options=()):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    for option in options:
        sock.setsockopt(*option)
    sock.settimeout(100)
    return sock


def exchange(address, options=(), port=netlab.HTTP):
    """One connection with a request and its answer; our port."""
    with open_socket(address, options) as sock:
        sock.connect((address, port))
        own = sock.getsockname()[1]
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while b"hello" not in (data := sock.recv(1000)) and data:
            pass
        return own


class LabCase(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(netlab.NetLab())
        self.assertTrue(any("linkdown" not in netlab.sh(MACHINE) for _ in range(1000)))  # the links come up by and by
        self.before = netlab.sh(MACHINE), values()
        self.addCleanup(self.check_nothing_is_left)

    def check_nothing_is_left(self):
        self.assertEqual((netlab.sh(MACHINE), values()), self.before)
        self.assertEqual(journal.leftovers(), [])

    def have(self, plan, **more):
        settings = self.enterContext(Settings())
        return self.enterContext(Configurations(settings, plan, **more))

    def in_server(self, command):
        here = netlab.namespace()
        netlab.enter(self.lab.server)
        try:
            return netlab.sh(command)
        finally:
            netlab.enter(here)
            os.close(here)

    def run_other(self, what="ecn", ways="bpf,routes", prefix=()):
        process = subprocess.Popen([*prefix, sys.executable, "-c", RUN, what, ways], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
        self.addCleanup(process.communicate)
        self.assertEqual(process.stdout.readline(), "begins\n")
        return process


class ECNCases:
    """For each way."""

    def test_1000_connections_by_turns_beside_those_of_others(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        self.assertEqual(configurations.way, self.ways[0])
        configurations.verify([(netlab.V4, 80), (netlab.V6, 80)], netlab.SOURCE)
        asked, others = ({}, {}), set()
        done = threading.Event()

        def be_others():
            while not done.is_set():
                address = random.choice((netlab.V4, netlab.V6))
                others.add((address, exchange(address)))

        with Wire("va") as wire:
            thread = threading.Thread(target=be_others)
            thread.start()
            try:
                for number in range(1000):
                    address = (netlab.V4, netlab.V6)[number // 2 % 2]
                    asked[number % 2][address, exchange(address, configurations.sockopts(number % 2))] = 0
            finally:
                done.set()
                thread.join()
            packets = wire.packets()
        wrong = 0
        for packet in packets:
            if packet.outgoing and packet.is_syn:
                key = packet.target[0], packet.source[1]
                wrong += (packet.flags, packet.traffic_class) != ((ASKS if key in asked[1] else SYN), 0)
        self.assertEqual(wrong, 0)
        self.assertEqual(sum(packet.outgoing and packet.is_syn for packet in packets), 1000 + len(others))
        self.assertGreater(len(others), 50)

    def test_it_is_negotiated_and_then_data_are_marked(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        for answers in (1, 0):
            self.in_server(f"sysctl -qw net.ipv4.tcp_ecn={answers}")
            for address in (netlab.V4, netlab.V6):
                for config in (0, 1):
                    with self.subTest(answers=answers, address=address, config=config), Wire("va") as wire:
                        exchange(address, configurations.sockopts(config))
                        packets = wire.packets()
                        negotiated = config and answers
                        answer = next(packet for packet in packets if not packet.outgoing)
                        self.assertEqual(answer.flags, 0x52 if negotiated else 0x12)
                        for packet in packets:
                            self.assertEqual(packet.ecn, ECT0 if negotiated and packet.size else 0, packet)

    def test_marks_of_single_packets(self):
        """ECT(0) on the SYN; CE on the first packet with ECT(0), also where ports are used again."""
        plan = [*ECN_PLAN, Configuration(ecn=True, ce=True), Configuration(ecn=True, syn_ect=True)]
        configurations = self.have(plan, ways=self.ways)
        self.in_server("sysctl -qw net.ipv4.tcp_ecn=1")
        for address in (netlab.V4, netlab.V6):
            for config, syn, answer, data in ((1, 0, 0x52, [2, 2]), (2, 0, 0x52, [3, 2]), (2, 0, 0x52, [3, 2]),
                                              (3, 2, 0x12, [0, 0])):
                with self.subTest(address=address, config=config), Wire("va") as wire:
                    with open_socket(address, configurations.sockopts(config)) as sock:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        sock.bind((netlab.SOURCE[":" in address], 45454))
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        sock.connect((address, netlab.HTTP))
                        sock.sendall(b"GET / ")
                        while struct.unpack_from("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]:
                            time.sleep(0.001)  # not acknowledged yet
                        sock.sendall(b"HTTP/1.0\r\n\r\n")
                        while b"hello" not in (got := sock.recv(1000)) and got:
                            pass
                    packets = wire.packets()
                    self.assertEqual([packet.ecn for packet in packets if packet.outgoing and packet.size], data)
                    self.assertEqual([packet.ecn for packet in packets if packet.outgoing and packet.is_syn], [syn])
                    answers = [packet for packet in packets if not packet.outgoing]
                    self.assertEqual(answers[0].flags, answer)
                    self.assertEqual(any(packet.flags & 0x40 for packet in answers[1:]), config == 2)

    def test_a_syn_that_is_sent_again_asks_again(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        with contextlib.ExitStack() as stack, Wire("va") as wire:
            for address in (netlab.V4, netlab.V6):
                for config in (0, 1):
                    sock = stack.enter_context(open_socket(address, configurations.sockopts(config)))
                    sock.setblocking(False)
                    sock.connect_ex((address, netlab.DROP))
            deadline = time.monotonic() + 100
            while len(wire.found) < 8 and time.monotonic() < deadline:
                time.sleep(0.05)
            found = [packet.flags for packet in wire.packets() if packet.is_syn]
        self.assertGreaterEqual(len(found), 8)
        self.assertEqual(found.count(ASKS), found.count(SYN))

    def test_a_machine_that_asks_by_itself(self):
        netlab.sh("sysctl -qw net.ipv4.tcp_ecn=1")
        with Settings() as settings, Wire("va") as wire:
            with Configurations(settings, ECN_PLAN, ways=self.ways) as configurations:
                for config in (0, 1):
                    exchange(netlab.V4, configurations.sockopts(config))
            self.assertEqual(values(), ("1", "1"))
            exchange(netlab.V4)
            self.assertEqual([packet.flags for packet in wire.packets() if packet.is_syn], [SYN, ASKS, ASKS])
        netlab.sh("sysctl -qw net.ipv4.tcp_ecn=2")

    def test_a_guard_that_died_is_replaced(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        guard = configurations._settings._guard
        guard.kill()
        guard.wait()
        with self.assertLogs("pathspider.network.settings", "WARNING"):
            self.assertIsNone(configurations.lost())
        self.assertNotEqual(configurations._settings._guard.pid, guard.pid)

    def test_two_runs_beside_each_other(self):
        first = self.run_other(ways=self.ways[0])
        way, mark = first.stdout.readline().split()
        second = self.have(ECN_PLAN, ways=self.ways)
        self.assertEqual(way, second.way)
        self.assertNotEqual(int(mark), second.sockopts(1)[0][2])
        with Wire("va") as wire:
            ports = {}
            for options in (second.sockopts(0), second.sockopts(1), [(socket.SOL_SOCKET, socket.SO_MARK, int(mark))]):
                ports[exchange(netlab.V4, options)] = SYN if options == second.sockopts(0) else ASKS
            first.communicate()
            self.assertEqual(values(), ("2", "0"))
            ports[exchange(netlab.V4, second.sockopts(1))] = ASKS
            self.assertEqual({packet.source[1]: packet.flags for packet in wire.packets()
                              if packet.outgoing and packet.is_syn}, ports)

    def test_killed_at_random_moments(self):
        for turn in range(self.kills):
            with self.subTest(turn):
                process = self.run_other("both", self.ways[0])
                moment = random.uniform(0, 0.15)
                select.select([process.stdout], [], [], moment)  # set up already, or not
                process.send_signal(signal.SIGKILL)
                process.communicate()
                self.wait_until_nothing_is_left()

    kills = int(os.environ.get("PATHSPIDER_TEST_KILLS", "3"))

    def wait_until_nothing_is_left(self):
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if (netlab.sh(MACHINE), values()) == self.before and not journal.leftovers():
                return
        self.check_nothing_is_left()

    def test_a_run_that_switches_the_machine_is_refused_and_the_other_way_round(self):
        with Settings() as exclusive:
            exclusive.sysctl(SETTINGS[0], 1)
            with Settings() as settings, self.assertRaisesRegex(SettingsError, "another part of this process"):
                Configurations(settings, ECN_PLAN, ways=self.ways)
            self.assertEqual(values(), ("1", "1"))
        self.have(ECN_PLAN, ways=self.ways)
        with Settings() as exclusive, self.assertRaisesRegex(SettingsError, "spoil each other's measurement"):
            exclusive.sysctl(SETTINGS[0], 1)

    def test_after_a_failure_the_same_run_can_switch_the_machine(self):
        with Settings() as settings:
            with self.assertRaisesRegex(ConfigurationError, "using the machine-wide switch$"):
                Configurations(settings, ECN_PLAN, ways=())
            self.assertEqual((netlab.sh(MACHINE), values()), self.before)
            settings.sysctl(SETTINGS[0], 1)
            settings.nft(["ip dscp set 1"])

    def test_a_firewall_that_is_loaded_anew(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        self.assertIsNone(configurations.lost())
        netlab.sh("nft flush ruleset")
        self.assertRegex(configurations.lost(), "nftables table .* put back")
        self.assertIsNone(configurations.lost())
        with Wire("va") as wire:
            exchange(netlab.V4, configurations.sockopts(1))
            self.assertEqual([(packet.flags, packet.ecn) for packet in wire.packets()][:2], [(ASKS, 0), (0x52, 0)])

    def test_no_firewall_sees_a_mark(self):
        netlab.sh("nft -f -", "table inet theirs { chain c { type filter hook output priority -300; "
                              "meta mark != 0 counter drop; }; }")
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(netlab.sh, "nft delete table inet theirs")
        configurations = self.have(ECN_PLAN, ways=self.ways)
        for config in (0, 1):
            exchange(netlab.V4, configurations.sockopts(config))
        self.doCleanups()

    def test_a_rule_that_looks_at_bits_of_ours(self):
        for version in ("", "-6 "):
            netlab.sh(f"ip {version}rule add pref 77 fwmark 0x100000/0x100000 table 7")
            try:
                with Settings() as settings, self.assertRaisesRegex(
                        ConfigurationError, "your rule 77 uses bits of our mark; using the machine-wide switch"):
                    Configurations(settings, ECN_PLAN, ways=self.ways)
            finally:
                netlab.sh(f"ip {version}rule del pref 77")
        netlab.sh("ip rule add pref 77 fwmark 0x10/0x10 table 7")  # half of the marks have this bit
        try:
            configurations = self.have(ECN_PLAN, ways=self.ways)
            self.assertEqual([configurations.sockopts(config)[0][2] & 0x10 for config in (0, 1)], [0, 0])
        finally:
            netlab.sh("ip rule del pref 77")

    def test_where_a_route_of_the_machine_asks(self):
        netlab.sh(f"ip route add {netlab.V4} dev va features ecn")
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(netlab.sh, f"ip route del {netlab.V4}")
        with Settings() as settings, Configurations(settings, ECN_PLAN) as configurations, Wire("va") as wire:
            self.assertEqual(configurations.way, "routes")
            self.assertIn("features ecn", configurations.notes[0])
            configurations.verify([(netlab.V4, 80)], netlab.SOURCE)
            for options in (configurations.sockopts(0), configurations.sockopts(1), []):
                exchange(netlab.V4, options)
            self.assertEqual([packet.flags for packet in wire.packets() if packet.is_syn], [SYN, ASKS, ASKS])
        self.doCleanups()


class TestBPF(ECNCases, LabCase):
    ways = ("bpf",)

    def test_a_program_that_somebody_detaches(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        from pathspider.network import bpf  # noqa: PLC0415

        bpf._bpf(34, struct.pack("=I", configurations._program._link))  # BPF_LINK_DETACH
        self.assertIn("detached", configurations.lost())
        self.assertIsNone(configurations.lost())
        with Wire("va") as wire:
            exchange(netlab.V4, configurations.sockopts(1))
            self.assertEqual(wire.packets()[0].flags, ASKS)


class TestRoutes(ECNCases, LabCase):
    ways = ("routes",)

    def test_rules_and_routes_that_somebody_removes(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        for command in ("ip rule del fwmark {}", "ip -6 route flush proto 94 table all"):
            netlab.sh(command.format(configurations.sockopts(1)[0][2]))
            self.assertIn(configurations.lost() or "followed already", (
                "followed already", "something removed our rules or routes (1 of them; networkd?); put back",
                "something removed our rules or routes (2 of them; networkd?); put back"))
            configurations.verify([(netlab.V4, 80), (netlab.V6, 80)], netlab.SOURCE)


    def test_a_difference_at_the_start_refuses_the_way(self):
        with mock.patch.object(shadow, "way", self.differing_way), Settings() as settings:
            with self.assertRaisesRegex(ConfigurationError, r"^ECN per connection: the marked path to 10\.\S+ differs: "
                                                            ".*; using the machine-wide switch$"):
                Configurations(settings, ECN_PLAN, ways=self.ways, source=netlab.SOURCE)
            self.assertEqual((netlab.sh(MACHINE), values()), self.before)
            with Configurations(settings, ECN_PLAN, ways=("routes", "bpf")) as configurations:
                self.assertEqual((configurations.way, configurations._shadow), ("bpf", None))

    @staticmethod
    def differing_way(netlink, address, port, source, mark):
        found = REAL_WAY(netlink, address, port, source, mark)
        return found._replace(place=(*found.place, mark)) if address.startswith("10.") else found

    def test_our_own_addresses_refuse_nothing_at_the_start(self):
        configurations = self.have(ECN_PLAN, ways=self.ways, source=netlab.SOURCE)
        with self.assertRaisesRegex(ConfigurationError, r"^the marked path to \S+ \(local dev lo\) does not ask"):
            configurations.verify([(netlab.SOURCE[0], 80)], netlab.SOURCE)

    def test_what_cannot_be_looked_at_is_told_and_raises_nothing(self):
        configurations = self.have(ECN_PLAN, ways=self.ways)
        with mock.patch.object(configurations._settings, "check_guard", side_effect=SettingsError("no guard")):
            self.assertIn("no guard", configurations.lost())
        with mock.patch("pathspider.network.configurations.Netlink", side_effect=OSError(24, "Too many open files")):
            self.assertIn("Too many open files", configurations.lost())
        with mock.patch.object(shadow, "Netlink", side_effect=OSError(24, "Too many open files")):
            configurations.verify([(netlab.V4, 80)], netlab.SOURCE)

    def test_a_rule_that_cannot_be_copied(self):
        netlab.sh("ip rule add pref 77 not from 10.3.0.0/16 table 7")
        with Settings() as settings:
            for _ in range(2):
                with self.assertRaisesRegex(ConfigurationError, r"^ECN per connection: rule 77 \(not\) cannot be copied"
                                                                "; using the machine-wide switch$"):
                    Configurations(settings, ECN_PLAN, ways=self.ways)
            with Configurations(settings, ECN_PLAN, ways=("routes", "bpf")) as configurations:
                self.assertEqual(configurations.way, "bpf")
            settings.sysctl(SETTINGS[0], 1)
            netlab.sh("ip rule del pref 77")
            with self.assertRaisesRegex(SettingsError, "borrowed for this run alone"):
                Configurations(settings, ECN_PLAN, ways=self.ways)

    def test_killed_with_its_guard(self):
        process = self.run_other("both", "routes")
        process.stdout.readline()
        guards = netlab.sh(f"cat /proc/{process.pid}/task/*/children").split()
        self.assertEqual(len(guards), 1)
        os.kill(int(guards[0]), signal.SIGKILL)
        process.kill()
        process.communicate()
        self.assertIn("proto 94", netlab.sh("ip rule"))
        with self.assertLogs("pathspider.network.settings", "WARNING") as logs, Settings():
            self.check_nothing_is_left()
        self.assertIn(f"process {process.pid} left marks/0 changed; put back", "\n".join(logs.output))


class TestRefusals(LabCase):
    @unittest.skipIf(subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode,
                     "no user namespace can be made here (a chroot?)")
    def test_in_a_user_namespace(self):
        process = self.run_other(prefix=("unshare", "-Urn"))
        said = process.stdout.readline()
        self.assertRegex(said, r"^routes ECN per connection: BPF is not permitted here \(user namespace or container\);"
                               " using routes [0-9]+$")
        process.communicate()
        process = self.run_other(ways="bpf", prefix=("unshare", "-Urn"))
        self.assertRegex(process.stdout.readline(), "^ConfigurationError ECN per connection: BPF is not permitted here"
                         r" \(user namespace or container\); using the machine-wide switch$")

    def test_without_privilege(self):
        process = self.run_other(prefix=as_nobody())
        self.assertRegex(process.stdout.readline(), "^SettingsError cannot set net.ipv4.tcp_ecn.*CAP_NET_ADMIN")

    def test_a_read_only_proc(self):
        netlab.sh("sysctl -qw net.ipv4.tcp_ecn_fallback=1")
        process = self.run_other(prefix=("unshare", "-m", "sh", "-c",
                                         'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys '
                                         '&& exec "$0" "$@"'))
        self.assertRegex(process.stdout.readline(), "^bpf /proc/sys is read-only: a repeated SYN will not ask for ECN")
        process.communicate()

    def test_nothing_to_do(self):
        with Settings() as settings:
            option = (socket.IPPROTO_TCP, socket.TCP_MAXSEG, 600)
            configurations = Configurations(settings, [Configuration(), Configuration(sockopts=(option,))])
            self.assertEqual((configurations.way, configurations.sockopts(0), configurations.sockopts(1)),
                             ("none", [], [option]))
            self.assertEqual(netlab.sh(MACHINE), self.before[0])
            self.assertIsNone(configurations.lost())
            configurations.verify([(netlab.V4, 80)])
            configurations.close()
            configurations.close()


class TestDSCP(LabCase):
    def codepoints(self, packets, port):
        return {packet.dscp for packet in packets if packet.outgoing and packet.source[1] == port}

    def test_each_packet_whatever_the_machines_rules_say(self):
        netlab.sh("nft -f -", "table inet theirs { chain c { type route hook output priority mangle; "
                              "ip dscp set 8; ip6 dscp set 8; };"
                              " chain d { type filter hook postrouting priority mangle; "
                              "ip dscp set 9; ip6 dscp set 9; }; }")
        self.addCleanup(self.check_nothing_is_left)
        self.addCleanup(netlab.sh, "nft delete table inet theirs")
        configurations = self.have(DSCP_PLAN)
        self.assertEqual(configurations.way, "none")
        for address in (netlab.V4, netlab.V6):
            with Wire("va") as wire:
                ports = [exchange(address, options) for options in (
                    configurations.sockopts(0), configurations.sockopts(1), [])]
                packets = wire.packets()
            self.assertEqual([self.codepoints(packets, port) for port in ports], [{0}, {46}, {9}])
        self.doCleanups()

    def test_resets_that_the_kernel_sends_without_a_socket(self):
        configurations = self.have(DSCP_PLAN)
        for address in (netlab.V4, netlab.V6):
            for config, codepoint in enumerate((0, 46)):
                with self.subTest(address=address, config=config), Wire("va") as wire:
                    # The peer's packets carry another codepoint, which such a reset would reflect.
                    self.in_server("nft -f - <<'END'\ntable inet marks { chain c { "
                                   "type filter hook output priority 0; ip dscp set 10; ip6 dscp set 10; }; }\nEND")
                    with open_socket(address, configurations.sockopts(config)) as sock:
                        sock.connect((address, netlab.TRICKLE))
                        port = sock.getsockname()[1]
                        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        sock.recv(1)
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # The server goes on sending into the connection that is no more, if the first reset is lost.
                    deadline = time.monotonic() + 100
                    while time.monotonic() < deadline and not any(
                            packet.flags & RST and packet.outgoing for packet in wire.found):
                        time.sleep(0.01)
                    self.segment_to_nobody(address, port)
                    while time.monotonic() < deadline and sum(
                            bool(packet.flags & RST and packet.outgoing) for packet in wire.found) < 2:
                        time.sleep(0.01)
                    resets = [packet for packet in wire.packets() if packet.outgoing and packet.flags & RST]
                    self.assertGreaterEqual(len(resets), 2)
                    self.assertEqual({packet.dscp for packet in resets}, {codepoint})
                    self.in_server("nft delete table inet marks")

    def segment_to_nobody(self, address, port):
        """A late segment of the server to our port, which no socket has any more."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        here = netlab.namespace()
        netlab.enter(self.lab.server)
        try:
            with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
                own, peer = (socket.inet_pton(family, one) for one in (address, netlab.SOURCE[":" in address]))
                header = struct.pack("!HHIIHHHH", netlab.TRICKLE, port, 7, 7, 0x5010, 1000, 0, 0)
                pseudo = own + peer + struct.pack("!II", len(header), socket.IPPROTO_TCP)
                words = struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header)
                total = sum(words)
                while total >> 16:
                    total = (total & 0xFFFF) + (total >> 16)
                header = header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]
                raw.sendto(header, (netlab.SOURCE[":" in address], 0))
        finally:
            netlab.enter(here)
            os.close(here)

    def test_a_port_that_somebody_else_gets(self):
        configurations = self.have(DSCP_PLAN)
        reuse = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)]
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with Wire("va") as wire:
                port = None
                for options in (configurations.sockopts(1), configurations.sockopts(0), [], configurations.sockopts(1)):
                    with socket.socket(socket.AF_INET, kind) as sock:
                        for option in [*reuse, *options]:
                            sock.setsockopt(*option)
                        sock.bind((netlab.SOURCE[0], port or 0))
                        sock.connect((netlab.V4, netlab.HTTP if kind == socket.SOCK_STREAM else 9))
                        port = sock.getsockname()[1]
                        sock.send(b"x")
                        if kind == socket.SOCK_STREAM:  # no TIME-WAIT
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                packets = [packet for packet in wire.packets() if packet.outgoing]
            order = []
            for packet in packets:
                if not order or (packet.is_syn or kind == socket.SOCK_DGRAM):
                    order.append(set())
                order[-1].add(packet.dscp)
            self.assertEqual(order, [{46}, {0}, {0}, {46}])

    def test_two_runs_beside_each_other(self):
        first, second = self.have(DSCP_PLAN), self.have([Configuration(dscp=7), Configuration(dscp=63, ecn=True)])
        with Wire("va") as wire:
            ports = [exchange(netlab.V4, run.sockopts(config)) for run in (first, second) for config in (0, 1)]
            packets = wire.packets()
        self.assertEqual([self.codepoints(packets, port) for port in ports], [{0}, {46}, {7}, {63}])
        self.assertEqual([packet.flags for packet in packets if packet.is_syn], [SYN, SYN, SYN, ASKS])


if __name__ == "__main__":
    unittest.main()
