"""Result files to look at: one, two days, seven vantage points, seven days, four plugins.

On the second of two days, 40 targets in two ASes are made to break.
"""

from __future__ import annotations

import json
import random

SYSTEMS = [64500 + number for number in range(12)]
BREAKING = {64500: 20, 64503: 20}
"""On the second day: how many targets of which AS the path is made to break."""
PLACES = ("amsterdam", "fremont", "london", "newyork", "singapore", "sydney", "toronto")
COUNTRIES = ("NZ", "CH", "DE", "US")


def targets():
    """3,000 targets in twelve ASes, a third of them IPv6, some names of both versions."""
    for number in range(3000):
        asn = SYSTEMS[number % 12]
        six = number % 3 == 2
        place = number // 12
        dip = f"2001:db8:{asn & 0xff:x}::{place:x}" if six else f"198.{18 + place // 250}.{asn & 0xff}.{place % 250}"
        yield number, {"dip": dip, "dp": 80, "domain": f"www{number - 1 if six else number}.example.com",
                       "dip_asn": asn, "country": COUNTRIES[asn % 4]}


def file(plugin="ecn", day=21, *, source="198.51.100.1", breaking=None, rounds=True):
    """The records of one file; ``breaking`` says how many more targets of an AS are broken."""
    rng = random.Random(7)
    left = dict(breaking or {})
    name = "dscp.46" if plugin == "dscp" else plugin
    for number, job in targets():
        found = []
        drawn = rng.random()
        asn = job["dip_asn"]
        hops = {}
        if drawn < 0.0047:
            found += ["pathspider.not_observed", "pathspider.missed_flows:1"]
        elif drawn < 0.01:
            found.append(f"{name}.connectivity.offline")
        elif (before := number % 375 == 3) or left.get(asn, 0):
            left[asn] = left.get(asn, 0) - (not before)
            found += [f"{name}.connectivity.broken", *([f"{name}.stable.connectivity.broken"] if rounds else [])]
            found.append(f"{name}.hop.dropped:3-4" if number % 7 else f"{name}.hop.not_located:no_answer")
            near, far = ({"ttl": ttl, "addr": f"203.0.113.{ttl * 10 + asn % 7}", "ASN": 64513 - ttl}
                         for ttl in (3, 4))
            hops = {"hops": {"A": [near, far], "B": [near]}}
        elif drawn < 0.013:
            found += [f"{name}.connectivity.broken",
                      *([f"{name}.stable.connectivity.{rng.choice(('works', 'unstable'))}"] if rounds else [])]
        elif drawn < 0.0135:
            found += [f"{name}.connectivity.transient", *([f"{name}.stable.connectivity.transient"] if rounds else [])]
        else:
            found.append(f"{name}.connectivity.works")
            if drawn < 0.02:
                found.append(f"{name}.response.differs:200:403")
        if plugin == "ecn" and not found[0].endswith(("offline", "not_observed")):
            said = "succeeded" if number % 5 else "failed"
            found.append(f"ecn.negotiation.{said}")
            found += [f"ecn.ipmark.{mark}.{'seen' if rng.random() < share else 'not_seen'}"
                      for mark, share in (("ect0", 0.7), ("ect1", 0.001), ("ce", 0.02))]
        when = f"2026-11-{day:02d} {8 + number // 600:02d}:{number // 10 % 60:02d}:00.000000"
        seen = [near["addr"], "AS64510", far["addr"], "AS64509", "*"] if hops else []
        yield {**job, **hops, "path": [source, "AS64511", "*", *seen, f"AS{asn}", job["dip"]], "conditions": found,
               "time": {"from": when, "to": when}, "run": f"{plugin}-{day}"}


def metadata(plugin="ecn", day=21, vantage="fra1", confirm=4):
    """What ``pspdr measure`` writes beside such a file, as far as the report reads it."""
    return {"runs": [{"run": f"{plugin}-{day}", "pathspider": "3.0", "plugin": {"name": plugin, "version": "3.0"},
                      "connect": "http", "begin": f"2026-11-{day:02d} 08:00:00", "end": f"2026-11-{day:02d} 12:59:00",
                      "vantage": {"name": vantage, "ipv4": "198.51.100.1"}, "kernel": "Linux 6.1.0-28-amd64 #1 x86_64",
                      "ended": {"why": "finished"},
                      "targets": {"file": "targets.ndjson", "sha256": "0" * 64, "jobs": 3000, "complete": True},
                      "options": {"measure": {"confirm": confirm, "seed": 0}, "plugin": {"connect": "http"}}}]}


def cases():
    """By name: the label, the records and the metadata of each file."""
    return {
        "one": [("monday", file(), metadata())],
        "two-days": [("Monday", file(), metadata()),
                     ("Tuesday", file(day=22, breaking=BREAKING), metadata(day=22))],
        "seven-places": [(place, file(source=f"198.51.100.{number + 1}", breaking={64500: 30} if number == 3 else None),
                          metadata(vantage=place)) for number, place in enumerate(PLACES)],
        "seven-days": [(f"21+{number}", file(day=21 + number, breaking={64500: 5 * number}), metadata(day=21 + number))
                       for number in range(7)],
        "four-plugins": [(plugin, file(plugin, rounds=plugin != "tfo"), metadata(plugin))
                         for plugin in ("ecn", "dscp", "tfo", "udpopts")],
    }


def write(folder, name):
    """The files of a case in a folder: the options with which ``pspdr report`` reads them."""
    options = []
    for label, records, facts in cases()[name]:
        path = folder / f"{name}-{label}.ndjson"
        path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
        path.with_name(f"{path.name}.meta.json").write_text(json.dumps(facts), encoding="utf-8")
        options += [path]
    return [*(f"--label={label}" for label, _, _ in cases()[name]), *map(str, options)]
