"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import SYN, Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example_desync", "--connect", "http", "--segment", "400"]

GOOD = {"example_desync.connectivity.works"}
BAD = {"example_desync.connectivity.broken"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("drops SYNs with an MSS below 500", towards=(f"{SYN} tcp option maxseg size < 500 drop",))


SCENARIOS = [
    Scenario("example_desync-clean", [], MEASURE, GOOD),
    Scenario("example_desync-impaired", [impairment()], MEASURE, BAD),
]
