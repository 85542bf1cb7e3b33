"""What goes wrong with a lab, told to a user."""


class LabError(Exception):
    """The lab cannot be made or has broken down. The text says what, where, and what to do."""
