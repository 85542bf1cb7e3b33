"""Figures as people read them."""

from __future__ import annotations

from math import floor, log10

from pathspider.report.statistics import Difference, Share


def percent(share: float) -> str:
    """A share in percent: two digits behind the point, or as many more as it takes that two digits tell what is missing
    to 0 or 100.
    """
    rest = min(share, 1 - share) * 100
    digits = max(2, 1 - floor(log10(rest))) if rest > 0 else 2
    return f"{share * 100:.{min(digits, 12)}f} %"


def points(difference: Difference) -> tuple[str, str, str]:
    """A difference and its bounds in percentage points: two digits behind the point, or as many more as it takes that
    nothing of a clear difference reads as 0.
    """
    digits = 2
    value, low, high = (f"{part * 100:+.{digits}f}" for part in difference)
    while difference.clear and digits < 12 and not all(float(part) for part in (value, low, high)):
        digits += 1
        value, low, high = (f"{part * 100:+.{digits}f}" for part in difference)
    return value, low, high


def bounds(share: Share) -> str:
    """An interval, beside its share, in percent."""
    return "\N{EN DASH}".join(percent(one).removesuffix(" %") for one in (share.low, share.high))


def with_interval(share: Share) -> str:
    """A share and its interval: ``0.27 % (0.14-0.53)``, with a dash."""
    return f"{percent(share.value)} ({bounds(share)})"
