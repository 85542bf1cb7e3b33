"""``pspdr lab demo``: the first minute with PATHspider."""

from __future__ import annotations

from pathspider.lab.check import Result, perform, plan
from pathspider.lab.listing import cases_for, print_table
from pathspider.lab.session import check_machine

OPENING = """\
PATHspider asks the network two questions and compares the answers: does a connection work as usual, and does it work
with something new switched on? This demonstration asks about ECN, by which routers can signal congestion without
dropping packets, and which some firewalls take for an attack.

It needs no Internet: it makes a lab on this machine, a network in which the path to each address does one known thing.
All of it is gone at the end. Measuring {paths} paths in a fresh lab, as you would:

  pspdr lab targets --plugin ecn --connect http --ip-version 4 | pspdr measure -i lab0 ecn --connect http

This takes about ten seconds, since broken paths are given time to answer.
"""

CLOSING = """
works, broken, offline: was the target reached without and with ECN. negotiation: what its SYN-ACK said to ECN.
ect0, ect1, ce: marks on packets that came back.

What next:
  pspdr lab list ecn        every path, and all that a measurement of it must find
  pspdr lab check ecn       measure them all, IPv4 and IPv6, and compare with the truth
  pspdr lab shell           look around in a lab
  pspdr measure --help      measure the Internet
"""


def show_demo() -> int:
    """Tell the story; 0 when all paths were judged right."""
    check_machine()
    run = plan(cases_for(["ecn"], "http", 4))[0]  # others want further options
    cases = run.cases
    print(OPENING.format(paths=len(cases)), flush=True)
    perform(run, timeout="3")
    rows = [("PATH TO", "WHAT THE PATH DOES", "WHAT WAS FOUND", "RIGHT?")]
    rows += [(result.case.address, result.case.scenario.about, found(result), "yes" if result.right else "NO")
             for result in run.results]
    print_table(rows, wrap=(1, 2), width=120)
    right = sum(result.right for result in run.results)
    print(f"\n{right} of {len(cases)} paths judged right, in {run.seconds:.0f} s.")
    if not run.right:
        print(f"pspdr measure ended with status {run.status} and said:\n{run.errors}")
        return 1
    print(CLOSING)
    return 0


def found(result: Result) -> str:
    """The conditions in short: without the plugin's name, and without marks that were not seen."""
    if result.found is None:
        return "no record"
    named = [one.removeprefix("ecn.").split(".") for one in result.found if not one.endswith(".not_seen")]
    return ", ".join(" ".join(words[1:] if words[0] in ("connectivity", "ipmark") else words) for words in named)
