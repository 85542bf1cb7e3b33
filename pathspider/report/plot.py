"""Drawings for the page, as inline SVG. Colours and fonts are the page's; nothing is told by colour alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from itertools import count

from pathspider.report.statistics import Share
from pathspider.text import printable

WIDTH = 360
LEFT, SCALE = 4, 270
"""Where 0 % is, and how far 100 % is from it."""
ROW = 34

MARKS = (
    '<circle cx="{x}" cy="{y}" r="4"/>',
    '<rect x="{left}" y="{top}" width="8" height="8"/>',
    '<path d="M{x} {above}l5 9h-10z"/>',
    '<path d="M{x} {above}l5 5l-5 5l-5 -5z"/>',
)
"""Marks of the first, second, … file."""

_numbers = count(1)


def text_of(value: str) -> str:
    """A stranger's text as HTML."""
    return escape(printable(value))


def shares(title: str, rows: list[tuple[str, int, Share, str]]) -> Iterator[str]:
    """A dot with whiskers for each row: what is counted, whose file by number, the share, and the same in words."""
    height = len(rows) * ROW + 22
    number = next(_numbers)
    yield (f'<svg class="plot" role="img" aria-labelledby="plot{number}" viewBox="0 0 {WIDTH} {height}">'
           f'<title id="plot{number}">{text_of(title)}</title>\n')
    for tick in (0, 25, 50, 75, 100):
        x = LEFT + SCALE * tick / 100
        yield f'<line class="grid" x1="{x:g}" y1="0" x2="{x:g}" y2="{height - 16}"/>'
        yield f'<text class="small {_anchor(tick)}" x="{x:g}" y="{height - 4}">{tick} %</text>\n'
    for place, (label, file, share, words) in enumerate(rows):
        top = place * ROW
        y = top + 24
        low, x, high = (LEFT + SCALE * value for value in (share.low, share.value, share.high))
        yield f'<g><text x="{LEFT}" y="{top + 14}">{text_of(label)}</text>'
        yield f'<line class="whisker file{file % 4}" x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}"/>'
        mark = MARKS[file % 4].format(x=f"{x:.1f}", y=y, left=f"{x - 4:.1f}", top=y - 4, above=y - 5)
        yield f'<g class="mark file{file % 4}">{mark}</g>'
        yield f'<text class="value" x="{WIDTH - 2}" y="{y + 4}">{text_of(words)}</text></g>\n'
    yield "</svg>\n"


def _anchor(tick: int) -> str:
    return {0: "start", 100: "end"}.get(tick, "middle")


def timeline(title: str, minutes: Counter[str]) -> Iterator[str]:
    """How many records began when, in at most 60 bars; ``minutes`` counts them by ``YYYY-MM-DD HH:MM``."""
    times = {datetime.fromisoformat(minute): number for minute, number in minutes.items() if _is_time(minute)}
    if len(times) < 2:
        return
    first, last = min(times), max(times)
    width = max((last - first + timedelta(minutes=1)) / 60, timedelta(minutes=1))
    bars: Counter[int] = Counter()
    for time, number in times.items():
        bars[int((time - first) / width)] += number
    most = max(bars.values())
    step = (WIDTH - 8) / (max(bars) + 1)
    number = next(_numbers)
    yield (f'<svg class="plot" role="img" aria-labelledby="plot{number}" viewBox="0 0 {WIDTH} 96">'
           f'<title id="plot{number}">{text_of(title)}: from {first} to {last} UTC, at most {most} records in '
           f'{width}</title>\n')
    for place, value in sorted(bars.items()):
        height = 70 * value / most
        yield (f'<rect class="bar" x="{LEFT + place * step:.1f}" y="{74 - height:.1f}" width="{max(step - 1, 1):.1f}" '
               f'height="{height:.1f}"/>')
    yield f'<text class="small start" x="{LEFT}" y="90">{first:%Y-%m-%d %H:%M}</text>'
    yield f'<text class="small end" x="{WIDTH - 4}" y="90">{last:%Y-%m-%d %H:%M}</text>\n</svg>\n'


def _is_time(minute: str) -> bool:
    try:
        datetime.fromisoformat(minute)
    except ValueError:
        return False
    return True
