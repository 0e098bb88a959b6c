"""Segments named in conditions: all of them there, no circles, and no condition too large to be asked."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from wavegate.evaluation.checks import check_text
from wavegate.evaluation.conditions import AllOf, AnyOf, Condition, InSegment, Not
from wavegate.evaluation.errors import InvalidRuleset

#: Conditions in conditions, and the segments they name, taken together.
DEEPEST_CONDITION: Final = 16
#: Comparisons in one rule or pilot, those of the segments it names among them.
MOST_COMPARISONS: Final = 1000


class _Size(NamedTuple):
    levels: int
    comparisons: int


class Segments:
    """Measures conditions with their segments written out. Each segment is measured once, for they may double."""

    def __init__(self, segments: Mapping[str, Condition]) -> None:
        """Refuses segments that name each other in a circle, name what is not there, or are too large."""
        self._segments = segments
        self._sizes: dict[str, _Size] = {}
        for name in segments:
            check_text("segments", name, "has the name")
            self._measure_segment(name, ())

    def check(self, path: str, condition: Condition) -> None:
        """Refuses a condition that names a segment that is not there, or is too large."""
        self._measure(path, condition, (), 1)

    def _measure_segment(self, name: str, within: tuple[str, ...]) -> _Size:
        size = self._sizes.get(name)
        if size is None:
            size = self._measure(f"segments.{name}", self._segments[name], (*within, name), 1)
            self._sizes[name] = size
        return size

    def _measure(self, path: str, condition: Condition, within: tuple[str, ...], depth: int) -> _Size:
        # Before going deeper, for Python's own stack has an end as well.
        if depth > DEEPEST_CONDITION or len(within) > DEEPEST_CONDITION:
            raise _too_deep(path)
        match condition:
            case InSegment(name):
                inside = [self._referenced(path, name, within)]
            case AllOf(conditions) | AnyOf(conditions):
                word = "all" if isinstance(condition, AllOf) else "any"
                inside = [
                    self._measure(f"{path}.{word}[{index}]", inner, within, depth + 1)
                    for index, inner in enumerate(conditions)
                ]
            case Not(inner):
                inside = [self._measure(f"{path}.not", inner, within, depth + 1)]
            case _:
                return _Size(1, 1)
        size = _Size(1 + max(one.levels for one in inside), sum(one.comparisons for one in inside))
        if size.levels > DEEPEST_CONDITION:
            raise _too_deep(path)
        if size.comparisons > MOST_COMPARISONS:
            raise InvalidRuleset(
                path,
                f"makes {size.comparisons} comparisons, those of its segments counted along",
                f"use {MOST_COMPARISONS} at most; `in` takes a list of any length as one",
            )
        return size

    def _referenced(self, path: str, name: str, within: tuple[str, ...]) -> _Size:
        if name in within:
            circle = " → ".join((*within[within.index(name) :], name))
            raise InvalidRuleset(f"{path}.segment", f"closes the circle {circle}", "let no segment name itself")
        if name not in self._segments:
            known = ", ".join(self._segments)
            raise InvalidRuleset(
                f"{path}.segment",
                f"is {name!r}, which is no segment",
                f"use one of: {known}" if known else "add it to the ruleset's segments",
            )
        return self._measure_segment(name, within)


def _too_deep(path: str) -> InvalidRuleset:
    return InvalidRuleset(
        path, "is nested too deeply", f"use {DEEPEST_CONDITION} levels at most, those of its segments counted along"
    )
