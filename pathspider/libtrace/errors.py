"""Why packets cannot be captured, in words a user can act on."""

from __future__ import annotations


class CaptureError(Exception):
    """A packet source cannot be opened, or broke off. The text says what, where, and what to do.

    :param what: what went wrong
    :param where: interface, file or URI
    :param advice: what to do
    :param offset: in a file, the byte at which the first record begins that could not be read
    """

    def __init__(self, what: str, where: str, advice: str = "", offset: int | None = None) -> None:
        self.what, self.where, self.advice, self.offset = what, where, advice, offset
        super().__init__(f"{where}: {what}" + (f"; {advice}" if advice else ""))
