"""The ECN plugin's verdicts, from flow records, and each way of asking for ECN through ``pspdr measure``."""

import argparse
import os
import signal
import sys
import unittest

from pathspider.chains.tcp import TCP_ACK, TCP_CWR, TCP_ECE, TCP_RST, TCP_SA, TCP_SAE, TCP_SAEC, TCP_SYN, has_syn_ack
from pathspider.plugins.ecn import ECN
from pathspider.records import CONN_FAILED, CONN_OK, CONN_TIMEOUT
from tests.programs import as_nobody
from tests.run.cases import COMMAND, CaseTest, clean, dead

ECN_SYN = TCP_SYN | TCP_ECE | TCP_CWR
MARKS = [
    f"ecn_{mark}_{kind}_{way}" for mark in ("ect0", "ect1", "ce") for kind in ("syn", "data") for way in ("fwd", "rev")
]
NOT_CONFIGURED = {"pathspider.local_error:ecn_not_configured"}
UNMARKED = {f"ecn.ipmark.{mark}.not_seen" for mark in ("ect0", "ect1", "ce")}


def flow(state=CONN_OK, syn=TCP_SYN, synack=TCP_SA, last=None, **marks):
    return {
        "spdr_state": state,
        "observed": True,
        "tcp_synflags_fwd": syn,
        "tcp_synflags_rev": synack,
        "synflags_last_fwd": syn if last is None else last,
        "tcp_connected": synack is not None and bool(synack & TCP_SYN),
        "tcp_rst_rev": synack is not None and bool(synack & TCP_RST),
        "evidence_asked_at": 10.0,
        "evidence_answered_at": 10.05,
        "evidence_rtt": 0.02,
        "evidence_after_fin": False,
        **dict.fromkeys(MARKS, False),
        **marks,
    }


def experiment(state=CONN_OK, synack=TCP_SAE, **more):
    return flow(state, ECN_SYN, synack, **more)


class TestECN(unittest.TestCase):
    def setUp(self):
        self.spider = ECN(1, "int:lo", argparse.Namespace(connect="tcp", timeout=1))

    def conditions(self, baseline, experimental):
        found = self.spider.combine_flows([baseline, experimental])
        self.assertEqual(len(found), len(set(found)))
        return set(found)

    def test_works(self):
        self.assertEqual(
            self.conditions(flow(), experiment()), {"ecn.connectivity.works", "ecn.negotiation.succeeded", *UNMARKED}
        )

    def test_connectivity(self):
        down = {"synack": None, "state": CONN_TIMEOUT}
        for baseline, experimental, verdict in (
            (flow(), experiment(**down), "broken"),
            (flow(), experiment(CONN_FAILED, None), "broken"),
            (flow(**down), experiment(), "transient"),
            (flow(**down), experiment(**down), "offline"),
        ):
            with self.subTest(verdict=verdict):
                self.assertIn(f"ecn.connectivity.{verdict}", self.conditions(baseline, experimental))

    def test_a_connection_that_the_fallback_brought_up_is_broken(self):
        found = self.conditions(flow(), experiment(synack=TCP_SA, last=TCP_SYN))
        self.assertIn("ecn.connectivity.broken", found)

    def test_a_syn_that_was_lost_and_sent_again_unchanged_is_not(self):
        self.assertIn("ecn.connectivity.works", self.conditions(flow(), experiment(last=ECN_SYN)))

    def test_negotiation(self):
        for synack, verdict in (
            (TCP_SAE, "succeeded"),
            (TCP_SAEC, "reflected"),
            (TCP_SA, "failed"),
            (TCP_SA | TCP_CWR, "failed"),
        ):
            with self.subTest(synack=synack):
                self.assertIn(f"ecn.negotiation.{verdict}", self.conditions(flow(), experiment(synack=synack)))

    def test_what_came_unasked_is_no_answer(self):
        """ECE on the SYN-ACK of the baseline: then one on that of the experiment says nothing."""
        for unasked, synack, verdict in (
            (TCP_SAE, TCP_SAE, "unclear"), (TCP_SAEC, TCP_SAE, "unclear"), (TCP_SAE, TCP_SAEC, "unclear"),
            (TCP_SAE, TCP_SA, "failed"), (TCP_SAE, TCP_SA | TCP_CWR, "failed"),
            (TCP_SA | TCP_CWR, TCP_SAE, "succeeded"),
            (TCP_RST | TCP_ACK | TCP_ECE, TCP_SAE, "succeeded"), (None, TCP_SAE, "succeeded"),
        ):
            with self.subTest(unasked=unasked, synack=synack):
                baseline = flow(CONN_OK if has_syn_ack({"tcp_synflags_rev": unasked}) else CONN_FAILED, synack=unasked)
                found = [one for one in self.conditions(baseline, experiment(synack=synack)) if "negotiation" in one]
                self.assertEqual(found, [f"ecn.negotiation.{verdict}"])

    def test_a_handshake_without_an_answer(self):
        late = experiment(CONN_TIMEOUT)
        found = self.conditions(flow(), late)
        self.assertLessEqual({"ecn.connectivity.broken", "ecn.handshake.works", "ecn.negotiation.succeeded"}, found)
        for baseline, experimental in ((flow(), experiment()), (flow(CONN_TIMEOUT), late),
                                       (flow(), experiment(CONN_TIMEOUT, TCP_SA, last=TCP_SYN))):  # after a fallback
            self.assertNotIn("ecn.handshake.works", self.conditions(baseline, experimental))

    def test_no_answer_no_negotiation(self):
        for synack in (None, TCP_RST | TCP_ACK):
            found = self.conditions(flow(), experiment(CONN_FAILED, synack))
            self.assertFalse(any(condition.startswith("ecn.negotiation") for condition in found))

    def test_marks_on_the_way_back(self):
        found = self.conditions(
            flow(ecn_ect1_data_rev=True),
            experiment(ecn_ect0_data_rev=True, ecn_ce_syn_rev=True, ecn_ect0_data_fwd=True),
        )
        self.assertLessEqual({"ecn.ipmark.ect0.seen", "ecn.ipmark.ce.seen", "ecn.ipmark.ect1.not_seen"}, found)

    def test_data_that_may_have_been_sent_again_tell_nothing_of_ect0(self):
        unclear = "ecn.ipmark.ect0.unclear"
        for answered, rtt, ect0, expected in ((10.05, 0.02, False, False), (10.23, 0.02, False, True),
                                              (10.23, 0.04, False, False), (12, None, False, True),
                                              (12, 0.02, True, False), (None, 0.02, False, False)):
            found = self.conditions(flow(), experiment(evidence_answered_at=answered, evidence_rtt=rtt,
                                                       ecn_ect0_data_rev=ect0, ecn_ect0_data_fwd=True))
            self.assertEqual((unclear in found, f"ecn.ipmark.ect0.{'seen' if ect0 else 'not_seen'}" in found),
                             (expected, True), (answered, rtt, ect0))
        self.assertIn(unclear, self.conditions(flow(), experiment(evidence_after_fin=True)))
        self.assertNotIn(unclear, self.conditions(flow(), experiment(synack=TCP_SA, evidence_answered_at=12)))
        self.assertIn(unclear, self.spider.conditions)

    def test_a_wrong_configuration_is_our_own_fault(self):
        for baseline, experimental in ((flow(syn=ECN_SYN), experiment()), (flow(), flow())):
            self.assertEqual(self.conditions(baseline, experimental), NOT_CONFIGURED)

    def test_marks_of_ours_that_were_not_configured_are_our_own_fault(self):
        """Seen: our rules were flushed in mid-run, SYNs left with ECT(0), and servers did not negotiate."""
        for mark in ("ect0", "ect1", "ce"):
            wrong = {f"ecn_{mark}_syn_fwd": True}
            for baseline, experimental in (
                (flow(), experiment(synack=TCP_SA, **wrong)),
                (flow(), experiment(**wrong)),
                (flow(), experiment(CONN_TIMEOUT, None, **wrong)),
                (flow(**wrong), experiment()),
                (flow(**{f"ecn_{mark}_data_fwd": True}), experiment()),
                (flow(), experiment(synack=TCP_SA, **{f"ecn_{mark}_data_fwd": True})),
            ):
                with self.subTest(mark, baseline=baseline, experimental=experimental):
                    self.assertEqual(self.conditions(baseline, experimental), NOT_CONFIGURED)
        self.assertEqual(self.conditions(flow(), experiment(ecn_ect1_data_fwd=True)), NOT_CONFIGURED)
        self.assertEqual(self.conditions(flow(last=ECN_SYN), experiment()), NOT_CONFIGURED)

    def test_data_of_ours_that_a_queue_of_ours_marked(self):
        for mark in ("ect0", "ce"):
            reflected = experiment(synack=TCP_SAEC, **{f"ecn_{mark}_data_fwd": True})
            self.assertIn("ecn.negotiation.reflected", self.conditions(flow(), reflected))
            self.assertIn("ecn.connectivity.works",
                          self.conditions(flow(), experiment(**{f"ecn_{mark}_data_fwd": True})))

    def test_data_of_ours_without_a_mark_where_there_should_be_one(self):
        self.spider.args.connect = "http"
        self.assertEqual(self.conditions(flow(), experiment()), NOT_CONFIGURED)
        for experimental in (experiment(ecn_ect0_data_fwd=True), experiment(ecn_ce_data_fwd=True),
                             experiment(synack=TCP_SA), experiment(CONN_TIMEOUT)):  # no data may have left
            self.assertNotEqual(self.conditions(flow(), experimental), NOT_CONFIGURED)

    def test_up_without_a_syn_ack_was_not_observed(self):
        self.assertEqual(self.conditions(flow(synack=None), experiment()), {"pathspider.not_observed"})



NO_DATA = {"feedback_ecn_fwd": None, "feedback_again_fwd": False, "feedback_flags_rev": None, "feedback_ece_rev": False}
DATA = {**NO_DATA, "feedback_ecn_fwd": 2, "feedback_flags_rev": TCP_ACK, "ecn_ect0_data_fwd": True}
CE_DATA = {**DATA, "feedback_ecn_fwd": 3, "ecn_ce_data_fwd": True}


class TestFurther(unittest.TestCase):
    """--feedback and --syn-ect."""

    def said(self, name, baseline, asking, further, **options):
        """What is said under a name, without it."""
        spider = ECN(1, "int:lo", argparse.Namespace(connect="http", timeout=1, **{name: True}, **options))
        self.assertEqual([*spider.plan()], [0, {"feedback": 2, "syn_ect": 3}[name], 1])
        agreed = asking["tcp_synflags_rev"] == TCP_SAE
        found = spider.combine_flows([{**NO_DATA, **baseline}, {**NO_DATA, **further},
                                      {**NO_DATA, **asking, "ecn_ect0_data_fwd": agreed}])
        if found == [*NOT_CONFIGURED]:
            return "not configured"
        return " ".join(one.removeprefix(f"ecn.{name}.") for one in found if one.startswith(f"ecn.{name}."))

    def test_what_is_said_of_ce(self):
        for further, words in (
            ({"feedback_ece_rev": True}, "connectivity.works ce_echoed"),
            ({}, "connectivity.works ce_not_echoed"),
            ({"feedback_again_fwd": True}, "connectivity.works ce_lost"),
            ({"feedback_again_fwd": True, "feedback_ece_rev": True}, "connectivity.works ce_echoed"),
            ({"feedback_flags_rev": None}, "connectivity.works"),
            ({"feedback_flags_rev": None, "state": CONN_FAILED, "tcp_rst_rev": True}, "connectivity.broken"),
            ({"feedback_flags_rev": None, "state": CONN_TIMEOUT}, "connectivity.broken handshake.works"),
            ({"synack": TCP_SAEC, "feedback_ece_rev": True}, "connectivity.works"),
            ({"feedback_ecn_fwd": 2}, "not configured"),
            ({"ecn_ce_syn_fwd": True}, "not configured"),
        ):
            with self.subTest(further):
                self.assertEqual(self.said("feedback", flow(), experiment(**DATA), experiment(**CE_DATA | further)),
                                 words)

    def test_where_ecn_is_not_negotiated_nothing_is_marked(self):
        plain = {"synack": TCP_SA, **NO_DATA, "feedback_ecn_fwd": 0, "feedback_flags_rev": TCP_ACK}
        self.assertEqual(self.said("feedback", flow(), experiment(synack=TCP_SA),
                                   experiment(**plain)), "connectivity.works")

    def test_an_echo_of_what_was_not_sent(self):
        echoed = experiment(**CE_DATA | {"feedback_ece_rev": True})
        for baseline, asking in ((flow(feedback_ece_rev=True), experiment(**DATA)),
                                 (flow(), experiment(**DATA | {"feedback_ece_rev": True}))):
            self.assertEqual(self.said("feedback", baseline, asking, echoed), "connectivity.works unclear")

    def test_an_echo_without_a_control_is_none(self):
        """A path that marks all with CE looks the same where the other connection negotiated nothing, or failed."""
        echoed = experiment(**CE_DATA | {"feedback_ece_rev": True})
        for asking in (experiment(**DATA, synack=TCP_SA), experiment(), experiment(CONN_TIMEOUT, None)):
            self.assertIn("unclear", self.said("feedback", flow(), asking, echoed))

    def test_what_is_said_to_ect_on_the_syn(self):
        marked = {"ecn_ect0_syn_fwd": True}
        refused = {**marked, "synack": TCP_SA}
        for asking, further, words in (
            (experiment(), experiment(ecn_ect0_data_fwd=True, **marked), "connectivity.works negotiated"),
            (experiment(), experiment(**refused), "connectivity.works refused"),
            (experiment(), experiment(**marked, synack=TCP_SAEC), "connectivity.works refused"),
            (experiment(), experiment(CONN_TIMEOUT, None, **marked), "connectivity.broken"),
            (experiment(), experiment(last=TCP_SYN, **refused), "connectivity.broken"),
            (experiment(), experiment(CONN_TIMEOUT, **marked), "connectivity.broken handshake.works negotiated"),
            (experiment(synack=TCP_SA), experiment(**refused), "connectivity.works"),
            (experiment(), experiment(), "not configured"),
            (experiment(), experiment(**marked, ecn_ce_syn_fwd=True), "not configured"),
        ):
            with self.subTest(further):
                self.assertEqual(self.said("syn_ect", flow(), asking, further), words)

    def test_whose_responses_are_compared(self):
        spider = ECN(1, "int:lo", argparse.Namespace(connect="http", timeout=1, feedback=True, syn_ect=True))
        self.assertEqual([spider.compared(name, ["A", "F", "S", "B"])
                          for name in ("ecn", "ecn.feedback", "ecn.syn_ect")], [("A", "B"), ("A", "F"), ("A", "S")])


class TestRefusals(CaseTest):
    def test_what_cannot_be_had_is_said(self):
        for options, words, said in (
            ((), ("--connect", "tcp", "--feedback"), "--feedback needs data .*--connect http"),
            (("--lockstep",), ("--feedback",), "need a configuration per connection, which --lockstep"),
            (("--lockstep",), ("--connect", "tcp", "--syn-ect"), "need a configuration per connection"),
        ):
            with self.subTest(words):
                status, records, text = self.measure(clean(2), *options, "ecn", *words)
                self.assertEqual((status, records), (2, []), text)
                self.assertRegex(text, said)


MOUNTED = ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"']

FLUSHED = 'for i in $(seq 600); do nft flush ruleset; sleep 0.05; done'
"""For half a minute, what a firewall does that is loaded anew all the time."""


class TestWays(CaseTest):
    """Whole runs: which way is taken, and that the verdicts are the same whichever it is."""

    def works(self, *prefix):
        command = [*prefix, sys.executable, "-m", "pathspider", "--verbose", "measure", "-i", "lab0"]
        status, records, said = self.measure([*clean(20), *clean(20, 6)], "ecn", "--connect", "tcp", command=command)
        self.assertEqual(status, 0, said)
        for condition in ("ecn.connectivity.works", "ecn.negotiation.succeeded"):
            self.assert_all(records, condition, 40)
        return said

    def test_root_asks_by_bpf(self):
        """In a lab, as under ip-netns(8), another /sys covers the control groups."""
        self.assertIn("ECN per connection: by a BPF program", self.works())

    def test_where_control_groups_of_version_2_are_mounted(self):
        for user in ([], ["setpriv", "--bounding-set=-sys_admin"], as_nobody("net_raw", "net_admin", "bpf")):
            with self.subTest(user):
                self.assertIn("ECN per connection: by a BPF program", self.works(*MOUNTED, *user))

    def test_without_the_capability_by_routes_and_it_says_so(self):
        said = self.works("setpriv", "--bounding-set=-bpf,-sys_admin")
        self.assertRegex(said, r"ECN per connection: BPF needs CAP_BPF, which is missing; using routes")
        self.assertNotIn("by a BPF program", said)

    def test_where_no_control_group_can_be_had_by_routes(self):
        said = self.works("setpriv", "--bounding-set=-sys_admin")
        self.assertRegex(said, r"ECN per connection: .* mounted nowhere; using routes")

    def test_a_target_that_would_be_reached_another_way_is_its_own_record(self):
        """Our own addresses, whose packets do not leave: once, 50 such targets ended the run."""
        own = self.lab.run(["sh", "-c", "ip -4 -o addr show lab0 | sed 's/.*inet //;s,/.*,,'"], capture_output=True)
        address = own.stdout.decode().strip()
        jobs = [{"dip": address, "dp": 1000 + number, "number": 1000 + number} for number in range(60)]
        command = ["setpriv", "--bounding-set=-bpf", *COMMAND]
        status, records, said = self.measure([*jobs, *clean(30)], "-w", "4", "ecn", "--connect", "tcp", command=command)
        self.assertEqual(status, 1)
        self.assert_all(records[:30], "ecn.negotiation.succeeded", 30)
        self.assert_all(records[30:], "pathspider.local_error:other_interface", 60)
        self.assertIn("60 other_interface", said)
        self.assertNotRegex(said, "machine-wide|plugin")

    def test_rules_of_ours_that_somebody_flushes(self):
        command = [sys.executable, "-m", "pathspider", "measure", "-i", "lab0"]
        flushing = self.lab.popen(["sh", "-c", FLUSHED])
        self.addCleanup(flushing.kill)
        status, records, said = self.measure(clean(600), "--rate", "400", "ecn", "--connect", "tcp", command=command)
        good = [record for record in records if "ecn.negotiation.succeeded" in record["conditions"]]
        ours = [record for record in records if {*record["conditions"]} == NOT_CONFIGURED]
        self.assertEqual(len(good) + len(ours), 600, said)
        self.assertTrue(ours)
        self.assertEqual(status, 1, said)
        self.assertRegex(said, "something removed our nftables table")

    def test_nothing_is_left_after_a_second_signal(self):
        """Seen: what follows the machine's routes took the removal of its copies for somebody else's, and made them
        anew."""
        state = ["sh", "-c", "ip rule; ip -6 rule; ip route show table all; nft list tables; sysctl net.ipv4.tcp_ecn"]
        before = self.lab.run(state, capture_output=True).stdout
        self.drop()
        for way in (["setpriv", "--bounding-set=-bpf"], []):
            with self.subTest(way):
                run = self.start([*clean(50), *dead(150)], "ecn", "--connect", "tcp", command=[*way, *COMMAND])
                self.wait_for_packets(self.sent() + 400)
                for number in (signal.SIGINT, signal.SIGTERM):
                    run.send_signal(number)
                _, said = self.finish(run, timeout=100)
                self.assertIn("ended at once", said)
                self.assertEqual(self.lab.run(state, capture_output=True).stdout, before)

    def test_nft_that_is_gone_before_the_end(self):
        """Seen: the run hung for ever, or the guard gave up half-way and tcp_ecn stayed as it was switched."""
        state = ["sh", "-c", "sysctl -n net.ipv4.tcp_ecn net.ipv4.tcp_ecn_fallback; nft list tables; ip rule | wc -l"]
        before = self.lab.run(state, capture_output=True).stdout
        self.lab.run(["sysctl", "-qw", "net.ipv4.tcp_ecn=1"])
        for way, options in (("per connection", ()), ("lock-step", ("--lockstep",))):
            for closed in ("", " 2>&-"):
                with self.subTest(way=way, closed=closed):
                    self.folder.chmod(0o755)  # the run is not root's when it looks for nft
                    program = self.folder / "nft"
                    program.write_text('#!/bin/sh\nexec /usr/sbin/nft "$@"\n')
                    program.chmod(0o755)
                    run = self.start(clean(200), *options, "--rate", "200", "ecn", "--connect", "tcp",
                                     environment={"PATH": f"{self.folder}:{os.environ['PATH']}"},
                                     command=["sh", "-c", f'exec "$@"{closed}', "sh", *COMMAND])
                    self.wait_for_packets(self.sent() + 20)
                    program.unlink()
                    records, said = self.finish(run, 30)
                    self.assertEqual(len(records), 200)
                    left = self.lab.run(state, capture_output=True).stdout
                    if way == "per connection":
                        self.assertEqual(run.returncode, 1, said)
                        self.assertEqual(b"pathspider" in left, True)
                        if not closed:
                            self.assertRegex(said, "could not put back table inet .*: nft cannot be started: No such")
                    self.assertEqual(left.split()[:2], [b"1", b"1"], said)
                    self.lab.run(["nft", "flush", "ruleset"])
        self.lab.run(["sysctl", "-qw", "net.ipv4.tcp_ecn=2"])
        self.assertEqual(self.lab.run(state, capture_output=True).stdout, before)


if __name__ == "__main__":
    unittest.main()
