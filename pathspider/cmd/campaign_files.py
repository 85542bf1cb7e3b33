"""The files of records that a campaign's folder stands for, where a command reads such files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pathspider.cmd.main import UsageError


class Files(NamedTuple):
    """What names stand for."""

    names: list[str]
    whole: bool = True
    """Whether all results of campaigns could be read."""
    short: list[str] = []
    """Of each campaign whose targets are not all measured, a sentence that says so."""


def files_of(names: Sequence[str], what: str) -> Files:
    """The files that are named, in their order: of a campaign's folder those of its vantage points, which are brought
    up to date; any other name as it is.

    :param what: the argument, in messages
    :raises UsageError: for a campaign that is none, or has no results
    """
    found = [_of_campaign(name, what) if Path(name, "campaign.json").exists() else Files([name]) for name in names]
    return Files([name for one in found for name in one.names], all(one.whole for one in found),
                 [sentence for one in found for sentence in one.short])


def _of_campaign(name: str, what: str) -> Files:
    from pathspider.campaign.coverage import Coverage, not_finished  # noqa: PLC0415
    from pathspider.campaign.errors import CampaignError  # noqa: PLC0415
    from pathspider.campaign.folder import Campaign, Damaged  # noqa: PLC0415
    from pathspider.campaign.records import by_vantage  # noqa: PLC0415
    from pathspider.cmd.campaign import tell_damaged  # noqa: PLC0415

    damaged: list[Damaged] = []
    try:
        campaign = Campaign(name)
        coverage = Coverage(campaign.definition)
        files = [str(path) for _, path in sorted(by_vantage(campaign, damaged, coverage).items())]
    except CampaignError as error:
        raise UsageError(str(error)) from None
    tell_damaged(name, damaged)
    if not files:
        raise UsageError(f"{what} {name}: there are no results of this campaign yet")
    return Files(files, not damaged, [short] if (short := not_finished(name, coverage.rows())) else [])
