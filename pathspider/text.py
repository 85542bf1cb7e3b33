"""Text of strangers (names of targets, what servers say) made harmless to look at."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything escaped that is not seen: control characters, and what turns the writing direction."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
                   for character in text)
