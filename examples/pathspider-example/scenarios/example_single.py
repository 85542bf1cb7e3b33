"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example_single", "--connect", "tcp"]

GOOD = {"example_single.connectivity.online", "example_single.dscp:0"}
BAD = {"example_single.connectivity.online", "example_single.dscp:46"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("marks answers with DSCP 46", back=("$ip dscp set 46",))


SCENARIOS = [
    Scenario("example_single-clean", [], MEASURE, GOOD),
    Scenario("example_single-impaired", [impairment()], MEASURE, BAD),
]
