"""Explicit Congestion Notification. :rfc:`3168`"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.basic import BasicChain
from pathspider.chains.dscp import DSCPChain
from pathspider.chains.ecn import ECNChain
from pathspider.chains.evidence import EvidenceChain
from pathspider.chains.fallback import FallbackChain
from pathspider.chains.feedback import FeedbackChain
from pathspider.chains.handshake import HandshakeChain
from pathspider.chains.tcp import TCP_AE, TCP_CWR, TCP_ECE, TCP_SAE, TCP_SAEC, TCPChain, has_syn_ack
from pathspider.conditions import (
    NOT_OBSERVED,
    all_observed,
    asked_for_ecn,
    connectivity,
    connectivity_conditions,
    handshake,
    handshake_conditions,
    response_conditions,
    succeeded,
)
from pathspider.network.configurations import Configuration
from pathspider.network.settings import SettingsError
from pathspider.records import Flow
from pathspider.sync import SynchronizedSpider

MARKS = {"ect0": "ECT(0)", "ect1": "ECT(1)", "ce": "CE"}
"""The codepoints of packets that ECN is used with, as conditions and fields call them, and as RFC 3168 does."""

CE = 3
"""Congestion experienced, in the ECN field."""
SOONEST_AGAIN = 0.2
"""Seconds after which data without an answer are sent again, at the earliest, besides the way there and back, as Linux
has it; others wait for longer. Of several packets that are lost at once the last one comes sooner. :rfc:`8985`"""

BASELINE, ASKING, FEEDBACK, SYN_ECT = range(4)
"""What connections may be configured as; the first two always are there."""


class ECN(SynchronizedSpider, PluggableSpider):
    """Does asking for ECN break connectivity, is it negotiated, and which marks come back?

    Each target gets one connection without ECN and one that asks for it; each connection is told by itself, and nothing
    else on the machine asks. The kernel is kept from falling back to a SYN that does not ask
    (net.ipv4.tcp_ecn_fallback), so that a path that drops such a SYN shows, and one that merely loses a packet does not
    look like it.

    --feedback has a third connection, of whose data one packet leaves with CE: does the target say so? --syn-ect has
    one with ECT(0) on the SYN.

    Example: pspdr measure -i eth0 ecn --connect tcp <targets.ndjson >results.ndjson
    """

    name = "ecn"
    description = "Explicit Congestion Notification"
    feature = "Asking for ECN"
    features = {
        "feedback": "Asking for ECN and sending CE",
        "syn_ect": "Asking for ECN with ECT(0) on the SYN",
    }
    questions = {
        "negotiation": "Is ECN negotiated?",
        "ipmark.ect0": "Do packets come back with ECT(0)?",
        "ipmark.ect1": "Do packets come back with ECT(1)?",
        "ipmark.ce": "Do packets come back with CE?",
        "feedback": "Is a CE mark echoed?",
        "syn_ect": "Is ECN negotiated by a SYN with ECT(0)?",
    }
    version = __version__
    chains = [BasicChain, TCPChain, ECNChain, FallbackChain, EvidenceChain]
    passive_chains = [BasicChain, TCPChain, ECNChain, HandshakeChain, DSCPChain]
    connect_supported = ["http", "https", "tcp", "dnstcp"]
    capabilities = ("CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF")
    compares_responses = True
    located = {
        r"ecn(\.syn_ect|\.feedback)?\.connectivity\.broken": ("tcp_flags", "ecn"),
        r"ecn\.negotiation\.(failed|reflected)": ("tcp_flags", "ecn"),
        r"ecn\.ipmark\.(ect0\.not_seen|ect1\.seen|ce\.seen)": ("ecn",),
    }
    conditions = {
        **connectivity_conditions("ecn"),
        **response_conditions("ecn", connect_supported),
        **handshake_conditions("ecn"),
        "ecn.negotiation.succeeded": "the SYN-ACK had ECE alone",
        "ecn.negotiation.reflected": "the SYN-ACK had ECE and CWR, the flags of the SYN",
        "ecn.negotiation.failed": "the SYN-ACK had any other flags",
        "ecn.negotiation.unclear": "the SYN-ACK had ECE, and so had that of the baseline, which did not ask",
        **{f"ecn.ipmark.{mark}.{word}": f"{codepoint} {meaning} on packets that came back"
           for mark, codepoint in MARKS.items()
           for word, meaning in (("seen", "was seen"), ("not_seen", "was not seen"))},
        "ecn.ipmark.ect0.unclear": "beside not_seen: all data that came may have been sent again, which goes without",
        **connectivity_conditions("ecn.feedback"),
        **response_conditions("ecn.feedback", connect_supported),
        **handshake_conditions("ecn.feedback"),
        "ecn.feedback.ce_echoed": "of a packet that left with CE the target said so, by ECE",
        "ecn.feedback.ce_not_echoed": "the data were acknowledged, and ECE did not come",
        "ecn.feedback.ce_lost": "the data had to be sent again, without CE, and ECE did not come",
        "ecn.feedback.unclear": "ECE came, and it also came where no packet had left with CE, or of such a connection "
                                "there is nothing to compare",
        **connectivity_conditions("ecn.syn_ect"),
        **response_conditions("ecn.syn_ect", connect_supported),
        **handshake_conditions("ecn.syn_ect"),
        "ecn.syn_ect.negotiated": "the SYN-ACK agreed to a SYN with ECT(0)",
        "ecn.syn_ect.refused": "it did not, though one had agreed to a SYN without",
        "pathspider.local_error:ecn_not_configured": "the SYNs or data that left were not as configured",
    }

    @staticmethod
    def extra_args(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--feedback", action="store_true",
                            help="One more connection, of whose data one packet leaves with CE: is that echoed? Needs "
                                 "a mode with data.")
        parser.add_argument("--syn-ect", action="store_true", help="One more connection, with ECT(0) on the SYN.")

    def __init__(self, worker_count: int, libtrace_uri: str, args: argparse.Namespace,
                 server_mode: bool = False) -> None:
        self._plan = [BASELINE, *[FEEDBACK] * bool(getattr(args, "feedback", False)),
                      *[SYN_ECT] * bool(getattr(args, "syn_ect", False)), ASKING]
        """The one that asks as others do comes last."""
        if FEEDBACK in self._plan:
            self.chains = [*self.chains, FeedbackChain]
        super().__init__(worker_count, libtrace_uri, args, server_mode)

    def configuration_count(self) -> int:
        return 1 + max(self._plan)

    def plan(self) -> list[int]:
        return [*self._plan]

    def borrow(self) -> None:
        """Also refuses what cannot be had: marks of single packets are a matter of a connection's own configuration."""
        if FEEDBACK in self._plan and self.args.connect == "tcp":
            raise SettingsError("ecn --feedback needs data that it can mark: --connect http, https or dnstcp")
        super().borrow()
        if len(self._plan) > len(self.configurations) and self.carried is None:
            raise SettingsError("ecn --feedback and --syn-ect need a configuration per connection, which --lockstep, "
                                "or this kernel, does not give")

    def config_no_ecn(self) -> None:
        """Do not ask for ECN, but accept it: the kernel's default."""
        self.switch_ecn(2)

    def config_ecn(self) -> None:
        """Ask for ECN."""
        self.switch_ecn(1)

    def switch_ecn(self, value: int) -> None:
        """Set the kernel's ECN mode, see ip-sysctl; a SYN that asks keeps asking when it has to be sent again."""
        self.settings.sysctl("net.ipv4.tcp_ecn_fallback", 0)
        self.settings.sysctl("net.ipv4.tcp_ecn", value)

    configurations = [config_no_ecn, config_ecn]

    def connection_configurations(self) -> Sequence[Configuration]:
        """The same for each connection by itself."""
        return [Configuration(ecn=False), Configuration(ecn=True), Configuration(ecn=True, ce=True),
                Configuration(ecn=True, syn_ect=True)][:self.configuration_count()]

    def compared(self, name: str, flows: Sequence[Flow]) -> tuple[Flow, Flow]:
        config = {"feedback": FEEDBACK, "syn_ect": SYN_ECT}.get(name.partition(".")[2], ASKING)
        return flows[0], flows[self._plan.index(config)]

    def combine_flows(self, flows: list[Flow]) -> list[str]:
        if not all_observed(flows):
            return [NOT_OBSERVED]
        by_config = dict(zip(self._plan, flows, strict=True))
        baseline, experiment = by_config[BASELINE], by_config[ASKING]
        if not (left_without_ecn(baseline) and self.left_with_ecn(experiment)
                and all(self.left_marked(config, flow) for config, flow in by_config.items())):
            return ["pathspider.local_error:ecn_not_configured"]
        if any(succeeded(flow) and flow["tcp_synflags_rev"] is None for flow in flows):
            return [NOT_OBSERVED]  # it came up, but the capture lost the packet that shows how
        fallen = fell_back(experiment)
        return [
            connectivity("ecn", succeeded(baseline), succeeded(experiment) and not fallen),
            *(handshake("ecn", baseline, experiment) if not fallen else []),
            *negotiation(baseline, experiment),
            *ip_marks(experiment),
            *(unclear_marks(experiment) if negotiation(baseline, experiment) == ["ecn.negotiation.succeeded"] else []),
            *(feedback(baseline, experiment, by_config[FEEDBACK]) if FEEDBACK in by_config else []),
            *(syn_ect(baseline, experiment, by_config[SYN_ECT]) if SYN_ECT in by_config else []),
        ]

    def left_marked(self, config: int, flow: Flow) -> bool:
        """Whether what left of a further connection had the marks that it was to have."""
        if config == SYN_ECT:
            return self.left_with_ecn({**flow, "ecn_ect0_syn_fwd": not flow["ecn_ect0_syn_fwd"]})
        if config == FEEDBACK:
            agreed = has_syn_ack(flow) and answer(flow["tcp_synflags_rev"]) == "succeeded"
            return self.left_with_ecn(flow) and (not agreed or flow["feedback_ecn_fwd"] in (None, CE))
        return True

    @classmethod
    def passive_conditions(cls, flow: Flow) -> list[str]:
        """What a SYN-ACK said to a SYN that asked for ECN, and the marks beside it. ``not_seen`` only where data came
        back: there is a codepoint of theirs, be it 0. A SYN that asks for accurate ECN gets other answers."""
        asked = flow["tcp_synflags_fwd"]
        if not flow["handshake_whole"] or not asked_for_ecn(asked) or asked & TCP_AE or marked(flow, "syn"):
            return []
        marks = ip_marks(flow)
        if flow["dscp_mark_data_rev"] is None:
            marks = [mark for mark in marks if mark.endswith(".seen")]
        return [f"ecn.negotiation.{answer(flow['tcp_synflags_rev'])}", *marks]

    def left_with_ecn(self, flow: Flow) -> bool:
        """Whether what left asked for ECN as :rfc:`3168` has it: by flags alone, and ECT(0) on data once negotiated.

        CE on data is ECT(0) that a queue of our own machine has marked. Whether a reflected SYN negotiates is up to the
        kernel, and so is what it makes of CWR or AE, which are answers to accurate ECN (:rfc:`9768`).
        """
        if not asked_for_ecn(flow["tcp_synflags_fwd"]) or marked(flow, "syn") or flow["ecn_ect1_data_fwd"]:
            return False
        answer = flow["tcp_synflags_rev"]
        if answer is None or answer & (TCP_CWR | TCP_AE):
            return True
        if not answer & TCP_ECE:
            return not marked(flow, "data")
        return marked(flow, "data") or self.args.connect == "tcp" or not succeeded(flow)


def left_without_ecn(flow: Flow) -> bool:
    """Whether nothing that left had to do with ECN."""
    return not (asked_for_ecn(flow["tcp_synflags_fwd"]) or asked_for_ecn(flow["synflags_last_fwd"])
                or marked(flow, "syn") or marked(flow, "data"))


def marked(flow: Flow, kind: str) -> bool:
    """Whether packets of a kind (``syn``, ``data``) left with a codepoint of ECN in the IP header."""
    return any(flow[f"ecn_{mark}_{kind}_fwd"] for mark in MARKS)


def fell_back(flow: Flow) -> bool:
    """True if the kernel had stopped asking for ECN by the time the SYN-ACK came."""
    last = flow["synflags_last_fwd"]
    return last is not None and not asked_for_ecn(last)


def negotiation(baseline: Flow, experiment: Flow) -> list[str]:
    """What the SYN-ACK said: ``succeeded``, ``reflected`` (the SYN's flags sent back) or ``failed``.

    ``unclear`` if it has ECE, as the other has that nobody had asked: then that is no answer.
    """
    if not has_syn_ack(experiment):
        return []
    flags = experiment["tcp_synflags_rev"]
    if flags & TCP_ECE and has_syn_ack(baseline) and baseline["tcp_synflags_rev"] & TCP_ECE:
        return ["ecn.negotiation.unclear"]
    return [f"ecn.negotiation.{answer(flags)}"]


def answer(flags: int) -> str:
    """What the flags of a SYN-ACK say to a SYN that asked for ECN."""
    return {TCP_SAE: "succeeded", TCP_SAEC: "reflected"}.get(flags & TCP_SAEC, "failed")


def came_up(flow: Flow) -> bool:
    """True if the connection came up as it was asked for."""
    return succeeded(flow) and not fell_back(flow)


def feedback(baseline: Flow, asking: Flow, marked_ce: Flow) -> list[str]:
    """What became of the connection of whose data one packet left with CE; ``asking`` had none such.

    A CE mark is echoed where ECN was negotiated. ECE that comes anyway, as from a path that marks all packets, is no
    echo of ours: only where ``asking``, with ECN and data that were acknowledged, had none is it known that none does.
    """
    found = [connectivity("ecn.feedback", succeeded(baseline), came_up(marked_ce))]
    found += handshake("ecn.feedback", baseline, marked_ce) if not fell_back(marked_ce) else []
    if marked_ce["feedback_ecn_fwd"] != CE or negotiation(baseline, marked_ce) != ["ecn.negotiation.succeeded"]:
        return found
    if baseline["feedback_ece_rev"] or asking["feedback_ece_rev"]:
        return [*found, "ecn.feedback.unclear"]
    if marked_ce["feedback_ece_rev"]:
        compared = (negotiation(baseline, asking) == ["ecn.negotiation.succeeded"]
                    and asking["feedback_flags_rev"] is not None)
        return [*found, "ecn.feedback.ce_echoed" if compared else "ecn.feedback.unclear"]
    if marked_ce["feedback_again_fwd"]:
        return [*found, "ecn.feedback.ce_lost"]
    return [*found, "ecn.feedback.ce_not_echoed"] if marked_ce["feedback_flags_rev"] is not None else found


def syn_ect(baseline: Flow, asking: Flow, marked_syn: Flow) -> list[str]:
    """What became of the connection whose SYN left with ECT(0); ``asking`` is the one without, which is to have agreed
    to ECN, or nothing is known of who refuses what."""
    found = [connectivity("ecn.syn_ect", succeeded(baseline), came_up(marked_syn))]
    found += handshake("ecn.syn_ect", baseline, marked_syn) if not fell_back(marked_syn) else []
    said = negotiation(baseline, marked_syn)
    if said and not fell_back(marked_syn) and negotiation(baseline, asking) == ["ecn.negotiation.succeeded"]:
        found.append(f"ecn.syn_ect.{'negotiated' if said == ['ecn.negotiation.succeeded'] else 'refused'}")
    return found


def unclear_marks(flow: Flow) -> list[str]:
    """Whether nothing is known of ECT(0) since all data that came may have been sent again, which goes without it:
    :rfc:`3168`, section 6.1.5. So it may be where they came behind what ends them, or late enough for that."""
    asked, answered, rtt = flow["evidence_asked_at"], flow["evidence_answered_at"], flow["evidence_rtt"]
    if asked is None or answered is None or flow["ecn_ect0_data_rev"] or flow["ecn_ect0_syn_rev"]:
        return []
    late = flow["evidence_after_fin"] or answered - asked - (rtt or 0) >= SOONEST_AGAIN
    return ["ecn.ipmark.ect0.unclear"] if late else []


def ip_marks(flow: Flow) -> list[str]:
    """Which ECN codepoints the target's packets carried when they arrived here."""
    return [
        f"ecn.ipmark.{mark}.{'seen' if flow[f'ecn_{mark}_syn_rev'] or flow[f'ecn_{mark}_data_rev'] else 'not_seen'}"
        for mark in MARKS
    ]
