"""Records for tests, and reports of them."""

from contextlib import contextmanager

from pathspider.report.counting import Tally, Verdicts
from pathspider.report.digest import Digest
from pathspider.report.summary import Report
from pathspider.report.targets import Targets

WORKS, BROKEN = "ecn.connectivity.works", "ecn.connectivity.broken"


def record(dip, *conditions, minute=0, **more):
    time = f"2026-11-22 10:{minute:02d}:00.000000"
    return {"dip": dip, "dp": 80, "domain": "www.example.com", "path": ["203.0.113.1", "*", dip],
            "conditions": list(conditions), "time": {"from": time, "to": time}, **more}


def digest_of(records):
    """What records say that are there already."""
    found = Digest()
    for one in records:
        found.add(one)
    return found


@contextmanager
def report_of(**files):
    """A Report of files: label -> records."""
    verdicts = Verdicts()
    tallies = [Tally(label, f"{label}.ndjson", verdicts) for label in files]
    with Targets(verdicts) as targets:
        for number, records in enumerate(files.values()):
            for one in records:
                found = digest_of([one])
                targets.take(number, found, tallies[number].take(found))
        yield Report("title", tallies, targets)


def note(targets, file, one):
    """Have what is remembered of targets note a record."""
    targets.take(file, digest_of([one]), [targets.verdicts.number(one["conditions"])])
