"""Exact tests and intervals of counts: no approximation that fails where counts are small.

Sums go from a tail's end that is likely to where terms no longer matter, so that counts of millions cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, log

LEVEL = 0.95
"""Of intervals."""
HALVINGS = 60
"""Of an interval that a bound is searched in: more than a float can tell apart."""


def binomial_tail(count: int, total: int, share: float) -> float:
    """The probability of ``count`` or more of ``total``, each with the probability ``share``."""
    if count <= 0 or count > total or share in (0, 1):
        return float(count <= total * share)
    first = _log_choose(total, count) + count * log(share) + (total - count) * log(1 - share)
    odds = share / (1 - share)
    if count < total * share:  # the other tail is the short one
        return 1 - _tail(first, range(count, 0, -1), lambda place: place / (total - place + 1) / odds,
                         without_first=True)
    return _tail(first, range(count, total), lambda place: (total - place) / (place + 1) * odds)


def hypergeometric_tail(count: int, drawn: int, marked: int, total: int) -> float:
    """The probability of ``count`` or more marked ones among ``drawn`` of ``total``, of which so many are ``marked``.

    This is Fisher's exact test, one side of it. R. A. Fisher, The logic of inductive inference, Journal of the Royal
    Statistical Society 98 (1935), 39-82.
    """
    least, most = max(0, drawn + marked - total), min(drawn, marked)
    if count <= least:
        return 1.0
    if count > most:
        return 0.0
    first = (_log_choose(marked, count) + _log_choose(total - marked, drawn - count) - _log_choose(total, drawn))
    rest = total - marked - drawn
    if count * total < drawn * marked:
        return 1 - _tail(first, range(count, least, -1),
                         lambda place: place * (rest + place) / ((marked - place + 1) * (drawn - place + 1)),
                         without_first=True)
    return _tail(first, range(count, most),
                 lambda place: (marked - place) * (drawn - place) / ((place + 1) * (rest + place + 1)))


def share_bounds(count: int, total: int) -> tuple[float, float]:
    """The interval of a share, from 0 to 1, at :data:`LEVEL`: never less sure than it says.

    C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
    Biometrika 26 (1934), 404-413.
    """
    side = (1 - LEVEL) / 2
    low = _where(lambda share: binomial_tail(count, total, share) > side) if count else 0.0
    high = _where(lambda share: binomial_tail(count + 1, total, share) > 1 - side) if count < total else 1.0
    return low, high


def rising(values: Sequence[float]) -> float:
    """The probability that as many pairs of values stand in rising order by chance; equal ones do not rise.

    One side of M. G. Kendall, A new measure of rank correlation, Biometrika 30 (1938), 81-93.
    """
    size = len(values)
    pairs = sum(values[one] < values[other] for other in range(size) for one in range(other))
    orders = [1]
    """Of the first so many values: orders by the number of their rising pairs."""
    for more in range(2, size + 1):
        orders = [sum(orders[max(0, number - more + 1):number + 1]) for number in range(len(orders) + more - 1)]
    return sum(orders[pairs:]) / sum(orders)


def _log_choose(total: int, count: int) -> float:
    return lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1)


def _tail(first: float, places: range, ratio: Callable[[int], float], *, without_first: bool = False) -> float:
    """The sum of terms: the first by its logarithm, each further one by its ratio to the one before."""
    term = total = 1.0
    for place in places:
        term *= ratio(place)
        total += term
        if term < total * 1e-17:
            break
    if without_first:
        total -= 1
    return min(1.0, exp(first) * total)


def _where(holds: Callable[[float], bool]) -> float:
    """The share from which on this holds."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
