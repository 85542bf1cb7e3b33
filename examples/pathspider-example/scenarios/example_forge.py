"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import SYN, Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example_forge", "--connect", "tcp"]

GOOD = {"example_forge.connectivity.works"}
BAD = {"example_forge.connectivity.broken"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("drops SYNs without options", towards=(f"{SYN} tcp doff 5 drop",))


SCENARIOS = [
    Scenario("example_forge-clean", [], MEASURE, GOOD),
    Scenario("example_forge-impaired", [impairment()], MEASURE, BAD),
]
