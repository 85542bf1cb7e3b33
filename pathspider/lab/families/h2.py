"""HTTP/2: h2c by Upgrade, h2 by ALPN. RFC 7540 (section 3.2), RFC 9113."""

from __future__ import annotations

from pathspider.lab import impairments as path
from pathspider.lab.scenario import Scenario

HTTP = ["h2", "--connect", "http"]
HTTPS = ["h2", "--connect", "https"]

FINE = {"h2.connectivity.works", "h2.upgrade.success"}
REFUSED = {"h2.connectivity.works", "h2.upgrade.failed"}
BROKEN = {"h2.connectivity.broken", "h2.upgrade.failed"}
HTTP11_REQUIRED = {"h2.connectivity.works", "h2.upgrade.failed:http11_required"}
OFFLINE = {"h2.connectivity.offline"}
TRANSIENT = {"h2.connectivity.transient", "h2.upgrade.success"}

SCENARIOS = [
    Scenario("h2-clean-http", [], HTTP, FINE, needs="h2c"),
    Scenario("h2-clean-https", [], HTTPS, FINE),
    Scenario("h2-http1-http", [], HTTP, REFUSED, server="http1"),
    Scenario("h2-http1-https", [], HTTPS, REFUSED, server="http1"),
    Scenario("h2-upgrade-spoiled", [path.spoil_upgrade()], HTTP, REFUSED, needs="h2c"),
    Scenario("h2-upgrade-reset", [path.reset_upgrade()], HTTP, BROKEN),
    Scenario("h2-alpn-dropped", [path.drop_alpn_h2()], HTTPS, BROKEN),
    Scenario("h2-offline-http", [path.silent_drop()], HTTP, OFFLINE),
    Scenario("h2-offline-https", [path.silent_drop()], HTTPS, OFFLINE),
    Scenario("h2-transient-http", [path.first_connection_fails()], HTTP, TRANSIENT, needs="h2c"),
    Scenario("h2-transient-https", [path.first_connection_fails()], HTTPS, TRANSIENT),
    Scenario("h2-lossy-https", [path.first_syn_lost()], HTTPS, FINE),
    Scenario("h2-http11-reset-http", [], HTTP, HTTP11_REQUIRED, server="http11-reset", needs="odd-web"),
    Scenario("h2-http11-reset-https", [], HTTPS, HTTP11_REQUIRED, server="http11-reset", needs="odd-web"),
    Scenario("h2-http11-goaway-http", [], HTTP, HTTP11_REQUIRED, server="http11-goaway", needs="odd-web"),
    Scenario("h2-http11-goaway-https", [], HTTPS, HTTP11_REQUIRED, server="http11-goaway", needs="odd-web"),
    Scenario("h2-forbidden", [], HTTP, {*REFUSED, "h2.response.differs:200:403"}, server="forbids", needs="odd-web"),
    Scenario("h2-interim-only", [], HTTP, {*OFFLINE, "h2.upgrade.failed"}, server="interim-only", needs="odd-web"),
]
