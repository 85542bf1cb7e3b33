"""The evil bit: the reserved flag of the IPv4 header. :rfc:`3514`"""

from __future__ import annotations

from typing import Any

from pathspider.chains.base import Chain, Field, Wanted
from pathspider.chains.kind import NEITHER, SYN, believed_kind
from pathspider.chains.tcp import SYN_SENT
from pathspider.libtrace import IP

_MEANS = "Whether a {} that {} had the bit"
_DATA = "packet with data, or of another protocol than TCP,"


class EvilChain(Chain):
    """Whether the evil bit was seen, by kind of packet and direction; ``None`` where no such packet was seen."""

    fields = {
        "evilbit_syn_fwd": Field(bool, None, _MEANS.format("SYN", "went forward")),
        "evilbit_syn_rev": Field(bool, None, _MEANS.format("SYN", "came back")),
        "evilbit_data_fwd": Field(bool, None, _MEANS.format(_DATA, "went forward")),
        "evilbit_data_rev": Field(bool, None, _MEANS.format(_DATA, "came back")),
    }

    wants = Wanted.SYN | Wanted.NOVEL_DATA

    scratch = SYN_SENT

    def ip4(self, rec: dict[str, Any], ip: IP, rev: bool) -> bool:
        """Records whether the evil bit was set; one packet that has it is enough."""
        kind = believed_kind(rec, ip, rev)
        if kind != NEITHER:
            if kind == SYN:
                if not rec["evilbit_syn_rev" if rev else "evilbit_syn_fwd"]:
                    rec["evilbit_syn_rev" if rev else "evilbit_syn_fwd"] = bool(ip.has_rf)
            elif not rec["evilbit_data_rev" if rev else "evilbit_data_fwd"]:
                rec["evilbit_data_rev" if rev else "evilbit_data_fwd"] = bool(ip.has_rf)
        return True
