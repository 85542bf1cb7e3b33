"""Exact tests of what chance alone would do to the same targets measured twice, and of many groups at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, fsum, lgamma, log, sqrt

from pathspider.report.statistics import Difference, wilson

LIMIT = 0.05
"""A difference is called clear up to this p-value; of many, adjusted as :func:`adjusted` does."""


@lru_cache(maxsize=50_000)
def mcnemar(gained: int, lost: int) -> float:
    """The two-sided exact p-value of pairs that differ: is one way as probable as the other?

    Pairs that agree tell nothing. It is twice the binomial distribution's tail at one half, at most 1.
    Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12 (1947), 153-157; exact as in B. S. Everitt, The analysis of contingency tables (1977).

    :param gained: pairs that have the answer afterwards alone
    :param lost: pairs that had it before alone
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"no numbers of pairs: {gained}, {lost}")
    total, few = gained + lost, min(gained, lost)
    if 2 * few >= total:
        return 1.0
    # Terms fall from the tail's end by k / (total - k + 1): summed until they add nothing to a double.
    last = exp(lgamma(total + 1) - lgamma(few + 1) - lgamma(total - few + 1) - total * log(2))
    terms, term, place = [], 1.0, few
    while place >= 0 and term > 1e-18:
        terms.append(term)
        term *= place / (total - place + 1)
        place -= 1
    return min(1.0, 2 * last * fsum(terms))


def adjusted(tests: Mapping[float, int]) -> dict[float, float]:
    """What Benjamini and Hochberg make of many p-values: calling clear what is at most :data:`LIMIT` here, the expected
    part of false ones among those is at most that.

    Y. Benjamini, Y. Hochberg, Controlling the false discovery rate: a practical and powerful approach to multiple
    testing, Journal of the Royal Statistical Society B 57 (1995), 289-300.

    :param tests: how many tests have each p-value
    """
    left = many = sum(tests.values())
    found, least = {}, 1.0
    for value in sorted(tests, reverse=True):
        least = min(least, value * many / left)
        found[value] = least
        left -= tests[value]
    return found


def paired_difference(both: int, lost: int, gained: int, neither: int) -> Difference:
    """The share of an answer afterwards minus that before, of the same targets, with its interval at 95 %.

    R. G. Newcombe, Improved confidence intervals for the difference between binomial proportions based on paired data,
    Statistics in Medicine 17 (1998), 2635-2650, method 10.

    :param both: targets that have the answer before and afterwards; ``lost``: before alone; ``gained``: afterwards
    """
    total = both + lost + gained + neither
    before, after = wilson(both + lost, total), wilson(both + gained, total)
    product = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    surplus = both * neither - lost * gained
    corrected = max(surplus - total / 2, 0) if surplus > 0 else surplus
    phi = corrected / sqrt(product) if product else 0.0
    value = after.value - before.value
    up, down = after.high - after.value, before.value - before.low
    below, above = after.value - after.low, before.high - before.value
    return Difference(value, value - sqrt(max(below * below - 2 * phi * below * above + above * above, 0)),
                      value + sqrt(max(up * up - 2 * phi * up * down + down * down, 0)))
