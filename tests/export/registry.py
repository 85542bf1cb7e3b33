"""A record for every condition that is declared, of every plugin."""

import re

from pathspider.conditions import RUN
from pathspider.installed import declared_conditions
from tests.report.records import record

VALUES = {"errno": "ECONNREFUSED", "rcode": "servfail"}


def every_condition():
    """Each condition as it could stand in a record: a value in the place of each ``<…>``."""
    for group in declared_conditions().values():
        for condition in group:
            yield re.sub("<([^>]*)>", lambda match: VALUES.get(match[1], "46"), condition)


def records():
    """A record for each, and one for each plugin that has all of its conditions at once."""
    every = [*every_condition()]
    plugins = {one.partition(".")[0] for one in every} - {RUN}
    yield from (record(f"192.0.2.{number % 256}", one, run="019aae6c-6a5d-7c3b-9d2e-41f0a4c7b8e1")
                for number, one in enumerate(every))
    yield from (record("2001:db8::1", *(one for one in every if one.partition(".")[0] in (name, RUN)))
                for name in sorted(plugins))
