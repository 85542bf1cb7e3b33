"""Multipath TCP: does its option pass, and is it answered? :rfc:`8684`"""

from __future__ import annotations

from collections.abc import Iterable

from pathspider.base import PluggableSpider, __version__
from pathspider.chains.tcp import TO_MPTCP, tcp_options
from pathspider.plugins.tcpopt import option_variant
from pathspider.traversal import Exchange, TraversalSpider, Variant, tcp_option

MP_CAPABLE = bytes((0x01, 0x01))
"""Subtype 0 and version 1; HMAC-SHA256. On a SYN there is no key. :rfc:`8684`, section 3.1"""

ANSWER_OCTETS = 10
"""Of the value on a SYN-ACK: the same, and the server's key."""

CONTROL = (99, bytes((0xA5, 0xC3)))
"""An option that nobody knows, as long as that on the SYN."""


def look(experiment: Exchange, baseline: Exchange | None) -> Iterable[str]:
    """What a SYN-ACK says of MP_CAPABLE."""
    returned = tcp_options(experiment.reply.tcp).get(TO_MPTCP)
    if returned is None:
        yield "option.not_returned"
    elif returned == MP_CAPABLE:
        yield "option.mirrored"
    elif len(returned) == ANSWER_OCTETS and returned[0] == MP_CAPABLE[0] and any(returned[2:]):
        yield "option.returned"
    else:
        yield "option.altered"


class MPTCP(TraversalSpider, PluggableSpider):
    """Does asking for Multipath TCP break connectivity, and is it answered?

    Each target gets a SYN as Linux sends it, one with MP_CAPABLE (version 1), and one with an option of the same length
    that nobody knows: what comes back of the latter is a copy, and who drops it drops more than MPTCP.

    Example: pspdr measure -i eth0 mptcp <targets.ndjson >results.ndjson
    """

    name = "mptcp"
    description = "Multipath TCP"
    feature = "Asking for Multipath TCP"
    features = {"control": "An option of the same length that nobody knows"}
    questions = {
        "option": "Is Multipath TCP negotiated?",
        "control.option": "Does the SYN-ACK have the control's option, too?",
    }
    version = __version__
    variants = [
        Variant("", tcp_option(TO_MPTCP, MP_CAPABLE), look, {
            "option.returned": "the SYN-ACK had MP_CAPABLE of version 1 with a key: the server takes part",
            "option.mirrored": "the SYN-ACK had the option of the SYN, without a key: a copy, no answer",
            "option.altered": "the SYN-ACK had the option with any other content, such as another version",
            "option.not_returned": "the SYN-ACK had no such option: the server does not take part, or the path took it",
        }),
        option_variant(*CONTROL, name="control"),
    ]
