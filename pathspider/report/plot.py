"""Drawings for the page, as inline SVG. Colours and fonts are the page's; nothing is told by colour alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from pathspider.report.axis import axis_of, label
from pathspider.report.figures import percent, with_interval
from pathspider.report.markup import text_of
from pathspider.report.statistics import Share

WIDTH = 360
LEFT, SCALE = 4, 270
"""Where the axis begins, and how long it is."""
ROW = 36
CAP = 7
"""How far a whisker's ends reach up and down: past the mark, so that no interval is hidden behind it."""
MOST_LABEL = 50
"""Characters of a row's label that there is room for."""

MARKS = (
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
    "m-3 -3h6v6h-6z",
    "m0 -4l4 7h-8z",
    "m0 -4l4 4l-4 4l-4 -4z",
)
"""Marks of the first, second, … file, as paths around a point."""

AXIS, TOP, BOTTOM = 58, 20, 90
"""A timeline's vertical axis, where its highest bar ends, and where all begin."""
HISTORY = 110
"""How high the axis of a history is."""
MOST_TICKS = 6
"""Lines of an axis that have a name."""
MOST_BARS = 60
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}

_numbers = count(1)


class Row(NamedTuple):
    """A row of a plot: an answer, whose it is if there are several files, that file's number, and the share."""

    answer: str
    results: str
    file: int
    share: Share


def shares(title: str, rows: list[Row]) -> Iterator[str]:
    """A mark with whiskers for each row, and the share in words; the axis is as wide as the intervals are."""
    if not rows:
        return
    axis = axis_of([row.share for row in rows])
    height = len(rows) * ROW + 18
    middles = [place * ROW + 26 for place in range(len(rows))]
    yield _begin(height, f"{title}; the axis is from {label(axis.low)} to {label(axis.high)}"
                         + (", logarithmic" if axis.logarithmic else ""))
    step = -(-len(axis.ticks) // MOST_TICKS)
    for number, tick in enumerate(axis.ticks):
        x = LEFT + SCALE * axis.place(tick)
        yield f'<path class="grid" d="{"".join(f"M{x:.1f} {y - CAP}v{2 * CAP}" for y in middles)}"/>'
        if number % step == 0:
            yield f'<text class="small {_anchor(x)}" x="{x:.1f}" y="{height - 4}">{label(tick)}</text>\n'
    yield f'<path class="grid" d="{"".join(f"M{LEFT} {y}h{SCALE}" for y in middles)}"/>\n'
    for y, row in zip(middles, rows, strict=True):
        low, x, high = (LEFT + SCALE * axis.place(value) for value in (row.share.low, row.share.value, row.share.high))
        file = row.file % len(MARKS)
        yield f'<g><text x="{LEFT}" y="{y - 12}">{text_of(_label(row))}</text>'
        yield (f'<path class="whisker file{file}" '
               f'd="M{low:.1f} {y - CAP}v{2 * CAP}m0 -{CAP}H{high:.1f}m0 -{CAP}v{2 * CAP}"/>')
        yield f'<path class="mark file{file}" d="M{x:.1f} {y}{MARKS[file]}"/>'
        yield f'<text class="value" x="{WIDTH - 2}" y="{y + 4}">{percent(row.share.value)}</text></g>\n'
    yield "</svg>\n"


class Point(NamedTuple):
    """A file in a history: its name, when it was begun, and the share."""

    results: str
    time: datetime
    share: Share


def history(title: str, points: list[Point]) -> Iterator[str]:
    """A share over time, with whiskers, one file after the other."""
    points = sorted(points, key=lambda point: point.time)
    first, last = points[0].time, points[-1].time
    span = (last - first).total_seconds()
    if not span:
        return
    axis = axis_of([point.share for point in points])
    bottom, right = HISTORY + TOP, WIDTH - 14
    places = [AXIS + 10 + (right - AXIS - 10) * (point.time - first).total_seconds() / span for point in points]
    heights = [[bottom - HISTORY * axis.place(value) for value in point.share] for point in points]
    yield _begin(bottom + 22, f"{title}: from {percent(points[0].share.value)} ({points[0].results}) to "
                              f"{percent(points[-1].share.value)} ({points[-1].results})")
    step = -(-len(axis.ticks) // MOST_TICKS)
    for number, tick in enumerate(axis.ticks):
        y = bottom - HISTORY * axis.place(tick)
        yield f'<path class="grid" d="M{AXIS} {y:.1f}H{WIDTH - 2}"/>'
        if number % step == 0:
            yield f'<text class="small end" x="{AXIS - 4}" y="{y + 4:.1f}">{label(tick)}</text>\n'
    line = "L".join(f"{x:.1f} {y:.1f}" for x, (y, _, _) in zip(places, heights, strict=True))
    yield f'<path class="line file0" d="M{line}"/>\n'
    for x, (y, low, high), point in zip(places, heights, points, strict=True):
        yield f'<g><title>{text_of(point.results)}: {with_interval(point.share)}</title>'
        yield f'<path class="whisker file0" d="M{x - 4:.1f} {low:.1f}h8m-4 0V{high:.1f}m-4 0h8"/>'
        yield f'<path class="mark file0" d="M{x:.1f} {y:.1f}{MARKS[0]}"/></g>\n'
    yield f'<text class="small start" x="{AXIS}" y="{bottom + 16}">{first:%Y-%m-%d %H:%M}</text>'
    yield f'<text class="small end" x="{WIDTH - 2}" y="{bottom + 16}">{last:%Y-%m-%d %H:%M}</text>\n</svg>\n'


def _begin(height: int, title: str) -> str:
    number = next(_numbers)
    return (f'<svg class="plot" role="img" aria-labelledby="plot{number}" viewBox="0 0 {WIDTH} {height}">'
            f'<title id="plot{number}">{text_of(title)}</title>\n')


def _anchor(x: float) -> str:
    return "start" if x < LEFT + 12 else "end" if x > LEFT + SCALE - 12 else "middle"


def _label(row: Row) -> str:
    """The label, each part cut if there is no room for it; the table below has all of it."""
    if not row.results:
        return _cut(row.answer, MOST_LABEL)
    results = _cut(row.results, max(MOST_LABEL // 2, MOST_LABEL - len(row.answer) - 2))
    return f"{_cut(row.answer, MOST_LABEL - len(results) - 2)}, {results}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"


def timeline(title: str, minutes: Counter[str]) -> Iterator[str]:
    """How many records began when, in at most 60 bars; ``minutes`` counts them by ``YYYY-MM-DD HH:MM``."""
    times = {datetime.fromisoformat(minute): number for minute, number in minutes.items()}
    if len(times) < 2:
        return
    first, last = min(times), max(times)
    each, width = _width(last - first)
    bars: Counter[int] = Counter()
    for time, number in times.items():
        bars[(time - first) // width] += number
    most = max(bars.values())
    step = (WIDTH - 2 - AXIS) / (max(bars) + 1)
    yield _begin(BOTTOM + 20, f"{title}: from {first} to {last} UTC, at most {most:,} records in {each}")
    yield f'<text class="small end" x="{WIDTH - 2}" y="10">records in each {each.removeprefix("1 ")}</text>\n'
    for y, value in ((TOP, most), (BOTTOM, 0)):
        yield f'<path class="grid" d="M{AXIS} {y}H{WIDTH - 2}"/>'
        yield f'<text class="small end" x="{AXIS - 4}" y="{y + 4}">{value:,}</text>\n'
    for place, value in sorted(bars.items()):
        height = (BOTTOM - TOP) * value / most
        yield (f'<rect class="bar" x="{AXIS + place * step:.1f}" y="{BOTTOM - height:.1f}" '
               f'width="{max(step - 1, 1):.1f}" height="{height:.1f}"/>')
    yield f'<text class="small start" x="{AXIS}" y="{BOTTOM + 16}">{first:%Y-%m-%d %H:%M}</text>'
    yield f'<text class="small end" x="{WIDTH - 2}" y="{BOTTOM + 16}">{last:%Y-%m-%d %H:%M}</text>\n</svg>\n'


def _width(span: timedelta) -> tuple[str, timedelta]:
    """What a bar stands for, in whole minutes, hours or days: in words, and as a time."""
    for name, unit in UNITS.items():
        number = -(-(span + UNITS["minute"]) // (MOST_BARS * unit))
        if number < 100 or name == "day":
            break
    return f"{number} {name}{'' if number == 1 else 's'}", number * unit
