"""A line over time as SVG that needs nothing beside itself: for documents that are sent, printed and kept."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final

_WIDTH: Final = 640
_HEIGHT: Final = 150
_LEFT: Final = 56
_TOP: Final = 18
_BOTTOM: Final = 20
#: Seen on white and on black.
_RED: Final = "#d6453d"
#: Above the highest number, so that a line does not touch the frame.
_ROOM: Final = 1.15
#: Marks nearer than that, in pixels, would write over each other: the later one goes without its words.
_LABEL: Final = 46.0

Points = Sequence[tuple[datetime, float]]


def sketch(
    title: str,
    lines: Sequence[tuple[str, Points]],
    *,
    limit: float | None = None,
    marks: Sequence[tuple[datetime, str]] = (),
) -> str:
    """One chart; empty where there is nothing to draw.

    Args:
        title: what it shows, for whoever cannot see it.
        lines: name and points of each, the first the one that matters.
        limit: drawn across.
        marks: moments with a word.
    """
    drawn = [points for _, points in lines if points]
    if not drawn:
        return ""
    times = [at for points in drawn for at, _ in points] + [at for at, _ in marks]
    begin, end = min(times), max(times)
    highest = max([value for points in drawn for _, value in points] + ([limit] if limit else [])) * _ROOM or 1.0
    span = (end - begin).total_seconds() or 1.0

    def x(at: datetime) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * (at - begin).total_seconds() / span

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - min(value, highest) / highest)

    opening = (
        f'<svg class="sketch" role="img" aria-label="{escape(title)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%"'
        ' fill="none" stroke="currentColor" font-size="11" font-family="sans-serif">'
    )
    parts = [opening, *_frame(highest, begin, end), *_marks(x, marks)]
    if limit is not None:
        parts.extend(_limit(limit, y(limit)))
    for place, (_, points) in enumerate(lines):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        dash = "" if place == 0 else ' stroke-dasharray="2 3"'
        parts.append(f'<polyline points="{path}" stroke-width="{2 if place == 0 else 1.5}"{dash}/>')
    return "".join([*parts, "</svg>"])


def _frame(highest: float, begin: datetime, end: datetime) -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - 8}" stroke-width="1" opacity="0.5"/>'
    for value, height in ((0.0, bottom), (highest / _ROOM, _TOP + (bottom - _TOP) * (1 - 1 / _ROOM))):
        yield (
            f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end" fill="currentColor" stroke="none">'
            f"{value:.3g}</text>"
        )
    for at, place, anchor in ((begin, _LEFT, "start"), (end, _WIDTH - 8, "end")):
        yield (
            f'<text x="{place}" y="{_HEIGHT - 6}" text-anchor="{anchor}" fill="currentColor" stroke="none">'
            f"{at:%Y-%m-%d %H:%M:%S}</text>"
        )


def _marks(x: Callable[[datetime], float], marks: Sequence[tuple[datetime, str]]) -> Iterator[str]:
    last = -_LABEL
    for at, word in marks:
        place = x(at)
        yield f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" opacity="0.35"/>'
        if place - last >= _LABEL:
            last = place
            anchor = "end" if place > _WIDTH - _LABEL else "start"
            yield (
                f'<text x="{place:.1f}" y="{_TOP - 6}" text-anchor="{anchor}" fill="currentColor" stroke="none">'
                f"{escape(word)}</text>"
            )


def _limit(limit: float, height: float) -> Iterator[str]:
    yield f'<path d="M{_LEFT} {height:.1f}H{_WIDTH - 8}" stroke="{_RED}" stroke-dasharray="6 4"/>'
    yield f'<text x="{_WIDTH - 8}" y="{height - 4:.1f}" text-anchor="end" fill="{_RED}" stroke="none">'
    yield f"limit {limit:g}</text>"
