"""Figures as people read them."""

from __future__ import annotations

from pathspider.report.statistics import Difference


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
