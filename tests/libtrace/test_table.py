"""The flow table on the packets' own clock."""

import gc
import subprocess
import sys
import threading
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, SCTP, UDP, IPv6, Raw

from pathspider.chains.base import Chain, Field
from pathspider.chains.basic import BasicChain
from pathspider.chains.tcp import TCPChain
from pathspider.libtrace import FlowTable, _core, flow_key
from tests.libtrace.frames import frame, tcp4, tcp6, udp4


def table(*chains, **options):
    return FlowTable([BasicChain(), TCPChain(), *chains], **options)


class Timeouts(unittest.TestCase):
    def test_a_quiet_flow_ends_after_idle_timeout(self):
        flows = table(idle_timeout=30)
        self.assertEqual(flows.feed(udp4(), 100.0), [])
        self.assertEqual(flows.feed(udp4(), 120.0), [])
        self.assertEqual(flows.feed(tcp4("S"), 149.9), [])
        (ended,) = flows.feed(tcp4("S"), 150.0)
        self.assertEqual(
            (ended["proto"], ended["pkt_fwd"], ended["pkt_first"], ended["pkt_last"]), (17, 2, 100.0, 120.0)
        )

    def test_a_flow_that_goes_on_ends_after_active_timeout_and_keeps_its_direction(self):
        flows = table(active_timeout=20)
        for at, rev in ((100, False), (110, True), (119.9, False), (121, True)):
            self.assertEqual(flows.feed(udp4(rev=rev), at), [])
        (ended,) = flows.feed(udp4(), 122)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"], ended["pkt_first"], ended["pkt_last"]), (2, 2, 100, 121))
        for at in (130, 145, 161.9):
            self.assertEqual(flows.feed(udp4(rev=True), at), [])
        (ended,) = flows.feed(udp4(rev=True), 162)  # nothing goes forward any more
        self.assertEqual((ended["sp"], ended["pkt_fwd"], ended["pkt_rev"]), (5353, 1, 3))
        (ended,) = flows.flush()
        self.assertEqual((ended["sp"], ended["pkt_fwd"], ended["pkt_rev"]), (53, 1, 0))
        self.assertEqual((flows.flows, flows.packets), (3, 9))

    def test_timeouts_of_less_than_a_nanosecond_end_flows_all_the_same(self):
        for wishes in ({"active_timeout": 1e-12}, {"idle_timeout": 1e-12}):
            with self.subTest(wishes):
                flows = table(**wishes)
                self.assertEqual(flows.feed(udp4(), 100), [])
                self.assertEqual(len(flows.feed(udp4(), 101)), 1)

    def test_active_timeout_leaves_complete_and_unwanted_flows_alone(self):
        class Refuses(Chain):
            def new_flow(self, rec, ip):
                return False

        flows = FlowTable([BasicChain(), TCPChain()], expiry_timeout=60, active_timeout=10)
        for at, flags, rev in ((100, "S", False), (101, "RA", True), (112, "A", False)):
            self.assertEqual(flows.feed(tcp4(flags, rev=rev), at), [])
        self.assertEqual(len(flows.flush()), 1)
        flows = FlowTable([Refuses()], active_timeout=10)
        for at in (100, 112, 124):
            flows.feed(udp4(), at)
        self.assertEqual((flows.flush(), flows.discarded), ([], 1))

    def test_a_complete_flow_takes_late_packets_until_expiry(self):
        flows = table(expiry_timeout=5)
        flows.feed(tcp4("S"), 100.0)
        flows.feed(tcp4("RA", rev=True), 101.0)
        self.assertEqual(flows.feed(tcp4("A"), 105.9), [])
        (ended,) = flows.feed(udp4(), 106.0)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"], ended["tcp_rst_rev"]), (2, 1, True))

    def test_late_packets_do_not_prolong_a_complete_flow(self):
        flows = table(expiry_timeout=5)
        flows.feed(tcp4("S"), 100.0)
        flows.feed(tcp4("R", rev=True), 100.0)
        for at in (102.0, 104.0):
            flows.feed(tcp4("R", rev=True), at)
        self.assertEqual(len(flows.advance(105.0)), 1)

    def test_time_passes_without_packets(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        self.assertEqual(flows.advance(129.0), [])
        self.assertEqual(len(flows.advance(131.0)), 1)
        self.assertEqual(len(flows), 0)

    def test_flush_ends_all_and_observing_goes_on(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        flows.feed(tcp4("R"), 100.0)
        self.assertEqual(len(flows.flush()), 2)
        flows.feed(udp4(), 101.0)
        (ended,) = flows.flush()
        self.assertEqual(ended["pkt_fwd"], 1)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0, 4e9), min_size=1, max_size=8))
    def test_no_jump_of_the_clock_strands_flows(self, times):
        flows = table()
        ended = []
        for number, at in enumerate(times):
            ended += flows.feed(udp4(sport=number + 1), at)
        for second in range(32):  # from wherever the clock has got to, 31 seconds later all are gone
            ended += flows.feed(tcp4("A"), times[-1] + second)
        self.assertEqual(sorted(f["sp"] for f in ended if f["proto"] == 17), list(range(1, len(times) + 1)))

    def test_reordered_packets_do_not_move_the_clock(self):
        flows = table()
        flows.feed(udp4(), 100.0)
        flows.feed(udp4(sport=2), 99.5)
        self.assertEqual(len(flows.advance(130.0)), 2)


    def test_hostile_times_do_not_drive_the_clock_to_where_numbers_end(self):
        for idle, rounds in ((30.0, 100), (1e9, 100)):
            flows = table(idle_timeout=idle)
            for number in range(rounds):  # there and back again: each round is a leap, which ends what is quiet
                flows.feed(udp4(sport=number + 1), 0.0)
                ended = flows.feed(tcp4("A"), 9e9 - number)
                self.assertEqual([f["sp"] for f in ended if f["proto"] == 17], [number + 1])

    def test_ends_that_were_asked_for_survive_the_clock_that_begins_again(self):
        flows = table(idle_timeout=1e9)
        for number in range(20):
            flows.feed(udp4(), 0.0)
            flows.end_flow("198.51.100.1", 17, 53, 5353, after=2e8)
            self.assertEqual(flows.advance(1e8), [])
            self.assertEqual(len(flows.advance(2e8)), 1, number)

    def test_times_that_are_none_are_refused(self):
        for at in (float("nan"), float("inf"), 1e300, -1e10):
            with self.assertRaises(ValueError):
                table().feed(udp4(), at)
            with self.assertRaises(ValueError):
                table().advance(at)
        for timeout in (float("nan"), float("inf"), -1.0):
            with self.assertRaises(ValueError):
                table(idle_timeout=timeout)
            with self.assertRaises(ValueError):
                table(expiry_timeout=timeout)
            with self.assertRaises(ValueError):
                table(active_timeout=timeout)


TARGET = "198.51.100.1"


class Ends(unittest.TestCase):
    """Flows whose end somebody asks for, who knows the target and the ports."""

    def test_it_ends_when_the_time_has_passed_with_what_came_until_then(self):
        flows = table()
        flows.feed(tcp4("S"), 100.0)
        flows.end_flow(TARGET, 6, 80, 1234, after=1.0)
        self.assertEqual(flows.feed(tcp4("A", rev=True), 100.999), [])
        (ended,) = flows.feed(tcp4("A", rev=True), 101.0)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"], ended["pkt_last"]), (1, 1, 100.999))
        (late,) = flows.flush()  # a flow of its own
        self.assertEqual((late["pkt_fwd"], late["sp"]), (1, 80))

    def test_time_that_passes_without_packets_ends_it_too(self):
        flows = table()
        flows.feed(tcp4("S"), 100.0)
        flows.end_flow(TARGET, 6, 80, 1234)
        self.assertEqual(flows.advance(100.9), [])
        self.assertEqual(len(flows.advance(101.0)), 1)

    def test_every_version_and_transport(self):
        for data, target, proto, dp, sp in (
            (tcp6("S"), "2001:db8::2", 6, 80, 1234),
            (tcp6("S"), "2001:0DB8:0::0:2", 6, 80, 1234),
            (tcp6("SA", rev=True), "2001:db8::1", 6, 1234, 80),
            (tcp4("SA", rev=True), "192.0.2.1", 6, 1234, 80),
            (udp4(), TARGET, 17, 53, 5353),
            (frame(IP(src="192.0.2.1", dst=TARGET) / SCTP(sport=5, dport=6) / Raw(bytes(8))), TARGET, 132, 6, 5),
            (frame(IPv6(src="2001:db8::9", dst="2001:db8::2") / SCTP(sport=5, dport=6) / Raw(bytes(8))),
             "2001:db8::2", 132, 6, 5),
        ):
            flows = table()
            flows.feed(data, 100.0)
            for other in ((target, proto, dp, sp + 1), (target, proto, dp + 1, sp), (target, 139 - proto, dp, sp),
                          (target, proto, sp, dp), ("203.0.113.7", proto, dp, sp), ("2001:db8::7", proto, dp, sp)):
                flows.end_flow(*other)
            self.assertEqual(flows.advance(102.0), [])
            flows.end_flow(target, proto, dp, sp)
            (ended,) = flows.advance(103.0)
            self.assertEqual([ended[name] for name in ("dip", "proto", "dp", "sp")][1:], [proto, dp, sp])

    def test_the_earlier_of_two_ends(self):
        for asked, ends in ((2.0, 102.0), (9.0, 105.0)):
            flows = table(expiry_timeout=5)
            flows.feed(tcp4("R"), 100.0)
            flows.end_flow(TARGET, 6, 80, 1234, after=asked)
            self.assertEqual(flows.advance(ends - 0.01), [])
            self.assertEqual(len(flows.advance(ends)), 1)
            flows.advance(200.0)
            self.assertEqual(len(flows), 0)

    def test_a_flow_that_began_after_the_call_goes_on(self):
        flows = table(expiry_timeout=0.1)
        flows.feed(tcp4("R"), 100.0)
        flows.end_flow(TARGET, 6, 80, 1234)
        self.assertEqual(len(flows.advance(100.5)), 1)
        flows.feed(tcp4("S"), 100.6)
        self.assertEqual(flows.advance(110.0), [])

    def test_a_call_before_the_first_packet_ends_nothing(self):
        flows = table()
        flows.end_flow(TARGET, 6, 80, 1234)
        flows.feed(tcp4("S"), 100.0)
        self.assertEqual(flows.advance(110.0), [])

    def test_of_two_addresses_of_ours_the_older_flow(self):
        flows = table()
        for at, address in ((100.0, "192.0.2.1"), (100.1, "192.0.2.2")):
            flows.feed(frame(IP(src=address, dst=TARGET) / UDP(sport=1, dport=2)), at)
        for at, address in ((101.5, "192.0.2.1"), (103.0, "192.0.2.2")):
            flows.end_flow(TARGET, 17, 2, 1)
            self.assertEqual([f["sip"] for f in flows.advance(at)], [address])

    def test_many_flows_many_ends_in_any_order(self):
        flows = table()
        ports = range(1, 5001)
        for port in ports:
            flows.feed(udp4_port(port), 100.0)
            if port == 700:  # from here on the index by target is kept, and grows with the table
                flows.end_flow(TARGET, 17, 53, 9)
        for port in ports:
            flows.end_flow(TARGET, 17, 53, port, after=1 + (port * 7919 % 5000) / 1000)
        order = sorted(ports, key=lambda port: port * 7919 % 5000)
        seen = []
        for step in range(102):
            seen += [f["sp"] for f in flows.advance(100.99 + step * 0.05)]
        self.assertEqual((sorted(seen), len(flows)), (list(ports), 0))
        self.assertEqual([seen.remove(9), seen][1], [port for port in order if port != 9])

    def test_mistakes_are_named(self):
        flows = table()
        for wrong in (("example.org", 6, 80, 1), ("192.0.2", 6, 80, 1), ("", 6, 80, 1), ("fe80::1%lo", 6, 80, 1),
                      (TARGET, 256, 80, 1), (TARGET, -1, 80, 1), (TARGET, 6, 65536, 1), (TARGET, 6, 80, -1),
                      (TARGET, 6, 80, 1, -1.0), (TARGET, 6, 80, 1, float("nan")), (TARGET, 6, 80, 1, float("inf"))):
            with self.assertRaises(ValueError):
                flows.end_flow(*wrong)
        with self.assertRaises(TypeError):
            flows.end_flow(None, 6, 80, 1)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["packet", "reset", "end"]), st.floats(0, 3))))
    def test_as_a_simple_model_says(self, steps):
        """Against a table of Python values: flows by port, each with the time at which it ends."""
        flows, now, model = table(idle_timeout=4, expiry_timeout=2), 100.0, {}
        asked, ended, said = [], [], []

        def pass_time(to):
            for due, called, port in sorted(asked):
                if due <= to and port in model and model[port]["began"] <= called and model[port]["ends"] > due:
                    model[port]["ends"] = due
            asked[:] = [entry for entry in asked if entry[0] > to]
            for port in [port for port, flow in model.items() if flow["ends"] <= to]:
                said.append((port, model.pop(port)["packets"]))

        flows.feed(udp4(), now)
        for port, what, wait in steps:
            now = round((now + wait) * 8) / 8  # exact in binary
            pass_time(now)
            ended += flows.advance(now)
            if what == "end":
                asked.append((now + 1, now, port))
                flows.end_flow(TARGET, 6, 80, port)
                continue
            ended += flows.feed(tcp4("R" if what == "reset" else "A", sport=port), now)
            flow = model.setdefault(port, {"began": now, "packets": 0, "complete": False})
            flow["packets"] += 1
            if not flow["complete"]:
                flow["complete"] = what == "reset"
                flow["ends"] = now + (2 if what == "reset" else 4)
        pass_time(now + 10)
        ended += flows.advance(now + 10)
        self.assertEqual(sorted((f["sp"], f["pkt_fwd"]) for f in ended if f["proto"] == 6), sorted(said))


def run(code):
    """What a Python process says that might crash."""
    code = "from pathspider.libtrace import FlowTable\nfrom pathspider.chains.basic import BasicChain\n" \
           "from tests.libtrace.frames import udp4\n" + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


WITHIN = """
class Within:
    def new_flow(self, rec, ip):
        rec["x"] = 0
        return True
    def udp(self, rec, udp, rev):
        {call}
        rec["x"] += udp.size
        return True
table = FlowTable([BasicChain(), Within()])
try:
    for port in range(1, 50):
        table.feed(udp4(sport=port), 100.0 + port)
except RuntimeError as error:
    print("RuntimeError:", error)
print(len(table.flush()))
"""


class Misuse(unittest.TestCase):
    def test_records_are_made_by_tables_alone(self):
        with self.assertRaisesRegex(TypeError, "a flow table makes records"):
            _core.Record()
        self.assertNotIn("pkt_fwd", _core.Record.__new__(_core.Record))

    """What used to end the process with a signal, or to read memory that was free already."""

    def test_the_table_within_a_hook_of_its_chains(self):
        for call in ("table.flush()", "table.advance(1e6)", "table.feed(udp4(sport=7), 1e6)",
                     "table.__init__([BasicChain()])"):
            with self.subTest(call=call):
                done = run(WITHIN.format(call=call))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("RuntimeError:", done.stdout)
                self.assertEqual(done.stdout.splitlines()[-1], "1")

    def test_a_view_of_the_table_made_anew_within_a_hook(self):
        class Again(Chain):
            def udp(self, rec, udp, rev):
                udp.__init__(bytes(8))
                return True

        flows = table(Again())
        with self.assertRaisesRegex(RuntimeError, "once"):
            flows.feed(udp4(b"x" * 500), 1.0)

    def test_what_goes_with_private_keys_may_take_out_others(self):
        class Takes:
            def __init__(self, rec):
                self.rec = rec

            def __del__(self):
                self.rec.clear()

        class Notes(ThirdParty):
            def new_flow(self, rec, ip):
                for number in range(20):
                    rec[f"_{number}"] = number
                rec["_0"] = Takes(rec)
                return super().new_flow(rec, ip)

        flows = table(Notes())
        flows.feed(udp4(), 1.0)
        self.assertEqual(flows.flush(), [{"pkt_first": 1.0, "pkt_last": 1.0}])

    def test_set_up_twice_or_never(self):
        flows = table()
        with self.assertRaisesRegex(RuntimeError, "once"):
            flows.__init__([])
        flows.feed(udp4(), 1.0)
        self.assertEqual(len(flows.flush()), 1)
        done = run("table = FlowTable.__new__(FlowTable)\n"
                   "for call in (table.flush, lambda: table.feed(udp4(), 1.0), lambda: table.advance(1.0)):\n"
                   "    try: call()\n    except RuntimeError as error: print(error)\n")
        self.assertEqual((done.returncode, done.stdout.count("not set up")), (0, 3), done.stderr)

    def test_another_thread_while_a_hook_runs(self):
        entered, go_on = threading.Event(), threading.Event()

        class Slow(ThirdParty):
            def ip4(self, rec, ip, rev):
                entered.set()
                go_on.wait(100)
                return super().ip4(rec, ip, rev)

        flows = table(Slow())
        thread = threading.Thread(target=flows.feed, args=(udp4(), 1.0))
        thread.start()
        entered.wait(100)
        with self.assertRaisesRegex(RuntimeError, "at work"):
            flows.flush()
        flows.end_flow(TARGET, 17, 53, 5353)  # which may be asked for at any time
        go_on.set()
        thread.join(100)
        (ended,) = flows.advance(2.0)
        self.assertEqual(ended["third"], 29)


class Ports(unittest.TestCase):
    def test_a_fresh_syn_on_a_complete_flow_starts_another(self):
        flows = table()
        flows.feed(tcp4("S", seq=1), 100.0)
        flows.feed(tcp4("RA", rev=True), 100.1)
        self.assertEqual(flows.feed(tcp4("S", seq=1), 100.2), [])  # a retransmission
        (ended,) = flows.feed(tcp4("S", seq=77), 100.3)
        self.assertEqual((ended["pkt_fwd"], ended["pkt_rev"]), (2, 1))
        self.assertEqual([f["pkt_fwd"] for f in flows.flush()], [1])

    def test_a_fresh_syn_on_an_open_flow_belongs_to_it(self):
        flows = table()
        flows.feed(tcp4("S", seq=1), 100.0)
        self.assertEqual(flows.feed(tcp4("S", seq=77), 100.3), [])
        self.assertEqual(len(flows), 1)


class Limits(unittest.TestCase):
    def test_beyond_the_cap_the_quietest_flow_ends(self):
        flows = table(max_flows=10)
        ended = []
        for port in range(1, 101):
            ended += flows.feed(udp4(sport=port), 100.0 + port / 1000)
            ended += flows.feed(udp4(sport=1), 100.0 + port / 1000)
            self.assertLessEqual(len(flows), 10)
        self.assertEqual(flows.evicted, 90)
        self.assertEqual([f["sp"] for f in ended], list(range(2, 92)))

    def test_many_flows(self):
        flows = table()
        for port in range(1, 20001):
            flows.feed(udp4(sport=port) if port == 1 else udp4_port(port), 100.0)
        self.assertEqual(len(flows), 20000)
        self.assertEqual({f["sp"] for f in flows.flush()}, set(range(1, 20001)))


UDP_FRAME = udp4(sport=1)


def udp4_port(port):
    return UDP_FRAME[:34] + port.to_bytes(2, "big") + UDP_FRAME[36:]


class Refuses(Chain):
    def new_flow(self, rec, ip):
        return None if ip.udp is not None else True


class Breaks(Chain):
    def tcp(self, rec, tcp, rev):
        raise RuntimeError("broken chain")


class Keeps(Chain):
    fields = {"kept": Field(bool, True, "test")}

    def __init__(self):
        super().__init__()
        self.views = []

    def ip4(self, rec, ip, rev):
        self.views.append(ip)
        return True

    def tcp(self, rec, tcp, rev):
        self.views.append(tcp.payload)
        return True


class ThirdParty:
    """Written for python-libtrace: no base class of ours, new_flow by hand."""

    def new_flow(self, rec, ip):
        rec["third"] = 0
        return True

    def ip4(self, rec, ip, rev):
        rec["third"] += ip.size
        return True


class Chains(unittest.TestCase):
    def test_a_refused_flow_is_not_emitted_nor_asked_for_again(self):
        flows = table(Refuses())
        flows.feed(udp4(), 1.0)
        flows.feed(udp4(), 2.0)
        flows.feed(tcp4("S"), 2.0)
        self.assertEqual([f["proto"] for f in flows.flush()], [6])
        self.assertEqual(flows.discarded, 1)

    def test_a_chain_that_raises_is_named(self):
        flows = table(Breaks())
        with self.assertRaises(RuntimeError) as caught:
            flows.feed(tcp4("S"), 1.0)
        self.assertIn("Breaks.tcp", caught.exception.__notes__[0])
        self.assertEqual(len(flows.flush()), 1)

    def test_views_that_a_chain_keeps_stay_as_they_were(self):
        keeps = Keeps()
        flows = table(keeps)
        for number in range(50):
            flows.feed(tcp4("PA", payload=b"%d" % number, tos=number * 4), float(number))
        gc.collect()
        self.assertEqual([v.traffic_class for v in keeps.views[::2]], [n * 4 for n in range(50)])
        self.assertEqual([v.data for v in keeps.views[1::2]], [b"%d" % n for n in range(50)])
        self.assertEqual(keeps.views[0].tcp.payload.data, b"0")

    def test_a_chain_without_our_base_class(self):
        flows = table(ThirdParty())
        flows.feed(tcp4("S"), 1.0)
        flows.feed(tcp6("S"), 1.0)
        self.assertEqual([f["third"] for f in flows.flush()], [40, 0])

    def test_keys_that_begin_with_an_underscore_are_the_chains_own(self):
        class Noting:
            def new_flow(self, rec, ip):
                rec["_noted"] = rec["noted"] = rec[7] = rec[""] = rec["\u00e9"] = rec["_"] = True
                return True

            def ip4(self, rec, ip, rev):
                rec["_size"] = rec["_noted"] and ip.size
                rec["size"] = rec["_size"]
                return True

        class Declaring(Chain):
            fields = {"_declared": Field(bool, True, "test"), "declared": Field(bool, True, "test")}
            scratch = {"plain": 1}

        flows = FlowTable([Noting(), Declaring()])
        flows.feed(tcp4("S"), 1.0)
        self.assertEqual(flows.flush(), [{"noted": True, 7: True, "": True, "\u00e9": True, "size": 40,
                                          "declared": True, "pkt_first": 1.0, "pkt_last": 1.0}])

    def test_what_is_no_chain_is_refused(self):
        with self.assertRaises(TypeError):
            FlowTable([object()])
        with self.assertRaises(TypeError):
            FlowTable([BasicChain])


class Errors(unittest.TestCase):
    """ICMP errors belong to the flow that they quote, in reverse."""

    def error(self, inner):
        return frame(IP(src="203.0.113.9", dst="192.0.2.1") / ICMP(type=3, code=1) / Raw(inner[14:]))

    def test_after_the_flow_began(self):
        flows = table()
        flows.feed(udp4(), 1.0)
        flows.feed(self.error(udp4()), 1.1)
        (flow,) = flows.flush()
        self.assertEqual((flow["sip"], flow["pkt_fwd"], flow["pkt_rev"]), ("192.0.2.1", 1, 1))

    def test_before_anything_else_of_the_flow(self):
        flows = table()
        flows.feed(self.error(udp4()), 1.0)
        flows.feed(udp4(), 1.1)
        (flow,) = flows.flush()
        self.assertEqual((flow["sip"], flow["dip"], flow["sp"], flow["dp"]), ("192.0.2.1", "198.51.100.1", 5353, 53))
        self.assertEqual((flow["pkt_fwd"], flow["pkt_rev"], flow["proto"]), (1, 1, 17))

    def test_an_echo_is_a_flow_without_ports(self):
        flows = table()
        flows.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1") / ICMP(type=8)), 1.0)
        flows.feed(frame(IP(dst="192.0.2.1", src="198.51.100.1") / ICMP(type=0)), 1.0)
        (flow,) = flows.flush()
        self.assertEqual(
            (flow["proto"], flow["sp"], flow["dp"], flow["pkt_fwd"], flow["pkt_rev"]), (1, None, None, 1, 1)
        )


class Fragments(unittest.TestCase):
    def test_later_fragments_are_a_flow_without_ports(self):
        flows = table()
        flows.feed(
            frame(IP(src="192.0.2.1", dst="198.51.100.1", flags="MF") / UDP(sport=1, dport=2) / Raw(bytes(24))), 1.0
        )
        for offset in (4, 8):
            flows.feed(frame(IP(src="192.0.2.1", dst="198.51.100.1", frag=offset, proto=17) / Raw(bytes(32))), 1.0)
        first, later = sorted(flows.flush(), key=lambda f: f["pkt_fwd"])
        self.assertEqual((first["sp"], first["pkt_fwd"]), (1, 1))
        self.assertEqual((later["sp"], later["dp"], later["proto"], later["pkt_fwd"]), (None, None, 17, 2))

    def test_padding_is_not_payload(self):
        chain = Keeps()
        flows = table(chain)
        flows.feed(tcp4("A") + bytes(6), 1.0)
        self.assertEqual(chain.views[0].size, 40)
        self.assertIsNone(chain.views[1])
        self.assertEqual(flow_key(tcp4("A") + bytes(6)), flow_key(tcp4("A")))


if __name__ == "__main__":
    unittest.main()
