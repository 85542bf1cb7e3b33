"""The axis of a plot of shares: as wide as the intervals are, and logarithmic where shares differ by orders."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from pathspider.report.figures import percent
from pathspider.report.statistics import Share

ORDERS = 30
"""Times that one share is another from which on the axis is logarithmic."""
NEAR = 0.4
"""An axis begins at 0 where the lowest bound is below this part of the highest."""
MOST_DECADES = 8


class Axis(NamedTuple):
    """From a share to a place between 0 and 1, and where the scale's lines are."""

    low: float
    high: float
    logarithmic: bool
    ticks: list[float]

    def place(self, value: float) -> float:
        """Where a share is; what is below the axis is at its begin."""
        if self.logarithmic:
            value = max(value, self.low)
            found = (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(max(found, 0.0), 1.0)


def axis_of(shares: Sequence[Share]) -> Axis:
    """The axis on which all of these, with their intervals, are seen best."""
    values = [one.value for one in shares if one.value > 0]
    low = min((one.low for one in shares), default=0.0)
    high = max((one.high for one in shares), default=1.0)
    if values and max(values) / min(values) >= ORDERS:
        least = min(one.low for one in shares if one.value > 0)
        bottom = max(floor(log10(least)), ceil(log10(high)) - MOST_DECADES)
        top = ceil(log10(high))
        return Axis(10.0**bottom, 10.0**top, True, [10.0**power for power in range(bottom, top + 1)])
    if low < NEAR * high:
        low = 0.0
    step = _step((high - low) or high or 1.0)
    bottom, top = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    top = max(top, bottom + 1)
    return Axis(bottom * step, min(top * step, 1.0), False,
                [place * step for place in range(bottom, top + 1) if place * step < 1.0 + 1e-9])


def _step(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that gives three to five lines."""
    power: float = 10.0 ** floor(log10(span / 3))
    return next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= 4.5)


def label(tick: float) -> str:
    """A line's name, as short as it can be."""
    text = percent(tick).removesuffix(" %")
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
