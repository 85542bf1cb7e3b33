"""The files of records that a campaign's folder stands for, where a command reads such files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pathspider.cmd.main import UsageError


def files_of(names: Sequence[str], what: str) -> tuple[list[str], bool]:
    """The files that are named, in their order: of a campaign's folder those of its vantage points, which are brought
    up to date; any other name as it is. Whether all results of campaigns could be read is told, too.

    :param what: the argument, in messages
    :raises UsageError: for a campaign that is none, or has no results
    """
    found = [_of_campaign(name, what) if Path(name, "campaign.json").exists() else ([name], True) for name in names]
    return [file for files, _ in found for file in files], all(whole for _, whole in found)


def _of_campaign(name: str, what: str) -> tuple[list[str], bool]:
    from pathspider.campaign.errors import CampaignError  # noqa: PLC0415
    from pathspider.campaign.folder import Campaign, Damaged  # noqa: PLC0415
    from pathspider.campaign.records import by_vantage  # noqa: PLC0415
    from pathspider.cmd.campaign import tell_damaged  # noqa: PLC0415

    damaged: list[Damaged] = []
    try:
        files = [str(path) for _, path in sorted(by_vantage(Campaign(name), damaged).items())]
    except CampaignError as error:
        raise UsageError(str(error)) from None
    tell_damaged(name, damaged)
    if not files:
        raise UsageError(f"{what} {name}: there are no results of this campaign yet")
    return files, not damaged
