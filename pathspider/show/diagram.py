"""A small sequence diagram: time, who, an arrow with what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pathspider.show.packets import Step
from pathspider.text import printable

NARROWEST = 24
"""Columns between the two ends."""
WIDEST = 60
MOST_STEPS = 24
"""Packets of a connection that are drawn; of more, the first and the last ones."""


def diagram(steps: Sequence[Step], width: int, unicode: bool = True) -> Iterator[str]:
    """The lines of a diagram.

    :param width: columns that there are
    :param unicode: whether there are more than ASCII's characters
    """
    if not steps:
        return
    margin = 12
    room = max(NARROWEST, min(WIDEST, width - margin - 2))
    yield f"{'':{margin}}{'here':<{room - 4}}target"
    for number, step in enumerate(steps):
        if len(steps) > MOST_STEPS and number == MOST_STEPS // 2:
            yield f"{'':{margin}}({len(steps) - MOST_STEPS} packets more)"
        if len(steps) <= MOST_STEPS or not MOST_STEPS // 2 <= number < len(steps) - MOST_STEPS // 2:
            yield f"{_since(step.time - steps[0].time):>{margin - 1}} {arrow(step, room, unicode)}"


def arrow(step: Step, room: int, unicode: bool = True) -> str:
    """An arrow with its label; one that is too long for it is cut."""
    line, left, right, dots = ("─", "◀", "▶", "…") if unicode else ("-", "<", ">", "~")
    label = printable(step.what)
    most = room - 6
    if len(label) > most:
        label = label[:most - 1] + dots
    body = f"{line * 2} {label} ".ljust(room - 1, line)
    return f"|{body}{right}|" if step.forward else f"|{left}{body}|"


def _since(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
