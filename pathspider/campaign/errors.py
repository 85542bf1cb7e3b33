"""What can be wrong with a campaign, for people."""


class CampaignError(Exception):
    """It cannot be done as asked; the text says what to do instead."""
