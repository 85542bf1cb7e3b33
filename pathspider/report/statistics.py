"""How far a counted share may be from the true one: intervals for a proportion, and for the difference of two.

A share of k out of n targets is an estimate. The intervals hold for targets that were drawn at random from what is to
be told about; they say nothing of errors that all targets have in common.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

LEVEL = 0.95
Z = 1.959963984540054
"""The normal distribution's quantile for :data:`LEVEL`, both sides."""


class Share(NamedTuple):
    """A proportion with its interval, all from 0 to 1."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The difference of two proportions with its interval, all from -1 to 1."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@lru_cache(maxsize=50_000)
def wilson(count: int, total: int) -> Share:
    """The share of ``count`` in ``total`` with Wilson's score interval.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22 (1927), 209-212. It stays within 0 and 1, and has a width where the share is 0 or 1.
    """
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"no proportion: {count} of {total}")
    share = count / total
    middle = (share + Z * Z / (2 * total)) / (1 + Z * Z / total)
    half = Z / (1 + Z * Z / total) * sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    low = 0.0 if count == 0 else max(middle - half, 0.0)
    high = 1.0 if count == total else min(middle + half, 1.0)
    return Share(share, low, high)


def difference(first: Share, second: Share) -> Difference:
    """``second`` minus ``first``, two shares of independent groups, with Newcombe's hybrid score interval.

    R. G. Newcombe, Interval estimation for the difference between independent proportions: comparison of eleven
    methods, Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    value = second.value - first.value
    down = sqrt((second.value - second.low) ** 2 + (first.high - first.value) ** 2)
    up = sqrt((second.high - second.value) ** 2 + (first.value - first.low) ** 2)
    return Difference(value, value - down, value + up)
