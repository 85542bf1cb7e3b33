"""TLS ClientHellos: devices that know no ECH, and such that want a ClientHello in one segment, or in one record."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.hellos import hello_device
from pathspider.lab.scenario import Scenario

HTTPS = ["tls", "--connect", "https"]
HELLOS = ("ech", "large", "records")


def truth(plain: str = "server_hello", **others: str) -> set[str]:
    """The conditions: the baseline's answer, and of each experiment connectivity and, behind a blank, the answer."""
    found = {f"tls.plain.answer.{plain}"}
    for hello in HELLOS:
        word, _, answer = others.get(hello, "works server_hello").partition(" ")
        found |= {f"tls.{hello}.answer.{answer}"} | ({f"tls.{hello}.connectivity.{word}"} if word else set())
    return found


def all_three(said: str, plain: str = "server_hello") -> set[str]:
    """The same where it is one for all experiments."""
    return truth(plain, **dict.fromkeys(HELLOS, said))


SCENARIOS = [
    Scenario("tls-clean", [], HTTPS, truth()),

    Scenario("tls-ech-dropped", [hello_device("ech", "drop")], HTTPS, truth(ech="broken none")),
    Scenario("tls-ech-reset", [hello_device("ech", "reset")], HTTPS, truth(ech="broken reset")),
    Scenario("tls-ech-alert", [hello_device("ech", "alert")], HTTPS, truth(ech="broken alert:40")),
    Scenario("tls-ech-half", [hello_device("ech", "half")], HTTPS, truth(ech="broken incomplete")),
    Scenario("tls-ech-http", [hello_device("ech", "http")], HTTPS, truth(ech="broken other")),
    Scenario("tls-ech-closed", [hello_device("ech", "close")], HTTPS, truth(ech="broken closed")),
    # and with it all that follows: of that, nothing can be said of ClientHellos
    Scenario("tls-ech-blocked", [hello_device("ech", "block")], HTTPS,
             truth(ech="broken none", large=" no_connection", records=" no_connection"), stable=("unstable",)),

    Scenario("tls-large-dropped", [hello_device("cut_segment", "drop")], HTTPS, truth(large="broken none")),
    Scenario("tls-large-reset", [hello_device("cut_segment", "reset")], HTTPS, truth(large="broken reset")),
    Scenario("tls-rest-dropped", [hello_device("no_record", "drop")], HTTPS, truth(large="broken none")),
    Scenario("tls-rest-reset", [hello_device("no_record", "reset")], HTTPS, truth(large="broken reset")),
    Scenario("tls-records-dropped", [hello_device("cut_record", "drop")], HTTPS, truth(records="broken none")),
    Scenario("tls-records-reset", [hello_device("cut_record", "reset")], HTTPS, truth(records="broken reset")),
    Scenario("tls-records-alert", [hello_device("cut_record", "decode_error")], HTTPS,
             truth(records="broken alert:50")),
    Scenario("tls-cut-dropped", [hello_device("cut", "drop")], HTTPS,
             truth(large="broken none", records="broken none")),
    Scenario("tls-cut-reset", [hello_device("cut", "reset")], HTTPS,
             truth(large="broken reset", records="broken reset")),

    Scenario("tls-syn-lost", [path.first_syn_lost()], HTTPS, truth()),
    Scenario("tls-small-segments", [path.clamp_mss(536)], HTTPS, truth()),
    Scenario("tls-syn-authenticated", [path.authenticate_syns(each=True)], HTTPS, truth()),
    Scenario("tls-transient", [path.first_connection_fails()], HTTPS,
             all_three("transient server_hello", "no_connection")),
    Scenario("tls-offline", [path.silent_drop()], HTTPS, all_three("offline no_connection", "no_connection")),
    Scenario("tls-offline-closed", [], HTTPS, all_three("offline no_connection", "no_connection"), port=9),
    Scenario("tls-offline-alert", [hello_device("any", "alert")], HTTPS, all_three("offline alert:40", "alert:40")),
    Scenario("tls-offline-reset", [hello_device("any", "reset")], HTTPS, all_three("offline reset", "reset")),
    Scenario("tls-offline-half", [hello_device("any", "half")], HTTPS, all_three("offline incomplete", "incomplete")),
    Scenario("tls-offline-http", [hello_device("any", "http")], HTTPS, all_three("offline other", "other")),
    Scenario("tls-offline-ended", [hello_device("any", "close")], HTTPS, all_three("offline closed", "closed")),
    Scenario("tls-offline-silent", [hello_device("any", "drop")], HTTPS, all_three("offline none", "none")),
]
