"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import SYN, Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example", "--connect", "tcp"]

GOOD = {"example.connectivity.works"}
BAD = {"example.connectivity.broken"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("drops SYNs without timestamp", towards=(f"{SYN} tcp option timestamp missing drop",))


SCENARIOS = [
    Scenario("example-clean", [], MEASURE, GOOD),
    Scenario("example-impaired", [impairment()], MEASURE, BAD),
]
