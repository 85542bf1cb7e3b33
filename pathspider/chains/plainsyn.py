"""Whether SYNs were sent again without Fast Open: for the plugin tfo, no chain of its own. :rfc:`7413`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.tcp import SYN_SENT, TCP_ACK, TCP_SYN, is_bogus
from pathspider.chains.tfo import tfo_option
from pathspider.libtrace import TCP, options_of


class PlainSYNChain(Chain):
    """Whether the kernel sent its SYN again before the SYN-ACK came, and whether without Fast Open."""

    fields = {
        "tfo_resent": Field(bool, False, "A SYN followed another one, before any SYN-ACK came"),
        "tfo_fell_back": Field(bool, False, "A SYN without Fast Open followed one with it, before any SYN-ACK came"),
    }

    wants = Wanted.SYN

    scratch = {"_tfo_sent": False, "_tfo_asked": False, "_tfo_answered": False, **SYN_SENT}

    def tcp(self, rec: dict[str, Any], tcp: TCP, rev: bool) -> bool:
        """Looks at the SYNs that go forward up to the first SYN-ACK."""
        if not tcp.flags & TCP_SYN or is_bogus(rec, tcp, rev) or rec["_tfo_answered"]:
            return True
        if rev:
            rec["_tfo_answered"] = bool(tcp.flags & TCP_ACK)
            return True
        rec["tfo_resent"] = rec["_tfo_sent"]
        rec["_tfo_sent"] = True
        if tfo_option(options_of(tcp)) is not None:
            rec["_tfo_asked"] = True
        elif rec["_tfo_asked"]:
            rec["tfo_fell_back"] = True
        return True
