"""Paths of the lab whose truth is known, for `pspdr lab check --scenarios`."""

from pathspider.lab.impairments import Impairment
from pathspider.lab.scenario import Scenario

MEASURE = ["example_chain", "--connect", "tcp"]

GOOD = {"example_chain.connectivity.online", "example_chain.dscp:0"}
BAD = {"example_chain.connectivity.online", "example_chain.dscp:46"}
NEAR, FAR = {"example_chain.hops:1"}, {"example_chain.hops:4"}


def impairment():
    """What the experiment is to find: rules as in nft(8), for packets towards the target or back from it."""
    return Impairment("marks answers with DSCP 46", back=("$ip dscp set 46",))


def longer():
    """$ttl is the field in IPv4 and IPv6, as $ip is the header."""
    return Impairment("is three hops longer on the way back", back=("$ttl set 60",))


SCENARIOS = [
    Scenario("example_chain-clean", [], MEASURE, GOOD | NEAR),
    Scenario("example_chain-impaired", [impairment()], MEASURE, BAD | NEAR),
    Scenario("example_chain-far", [longer()], MEASURE, GOOD | FAR),
]
