"""Text of strangers (names of targets, what servers say) made harmless to look at; what a user may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def printable(text: str) -> str:
    """The text with everything escaped that is not seen: control characters, and what turns the writing direction."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
                   for character in text)


def harmless(text: str) -> str:
    """For a cell of CSV: printable, and no formula. https://owasp.org/www-community/attacks/CSV_Injection"""
    text = printable(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def amount(number: int, what: str) -> str:
    """So many of something whose plural ends with s: ``1 chunk``, ``1,000 chunks``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """For the end of an error: the known word that this one resembles most; nothing where there is none."""
    from difflib import get_close_matches  # noqa: PLC0415 - for errors alone

    by_name = {name.lstrip("-"): name for name in known if len(name) > 2 or not name.startswith("-")}
    found = get_close_matches(word.lstrip("-"), by_name, n=1)
    return f"; did you mean {by_name[found[0]]}?" if found else ""
