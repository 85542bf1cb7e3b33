"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import SYN, Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example_traversal", "--connect", "tcp"]

GOOD = {f"example_traversal.{one}" for variant in ("zero", "largest", "echo")
        for one in (f"{variant}.connectivity.works", f"{variant}.timestamp.echoed")}
BAD = GOOD - {"example_traversal.zero.connectivity.works", "example_traversal.zero.timestamp.echoed"} | {
    "example_traversal.zero.connectivity.broken"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("drops SYNs with timestamp 0", towards=(f"{SYN} tcp option timestamp tsval 0 drop",))


SCENARIOS = [
    Scenario("example_traversal-clean", [], MEASURE, GOOD),
    Scenario("example_traversal-impaired", [impairment()], MEASURE, BAD),
]
