"""Regular expressions that cannot be slow: each character of the text moves a set of places in the pattern, once.

Python's `re` tries one way after the other, and for some patterns there are 2^n of them; no check of
a pattern's form that one can trust leaves the useful ones. Here nothing is ever tried twice, by
construction: the pattern becomes Glushkov's automaton, whose states are sets of places, made as texts
ask for them. Time is bounded by the text's length times the pattern's, both of which have limits.
"""

from collections.abc import Callable
from functools import reduce
from operator import getitem, or_
from typing import Final, TypeAlias

from wavegate.evaluation.pattern_syntax import Alternatives, Characters, Node, Repeated, Sequence, read_pattern

#: Longer texts do not match, whatever the pattern.
LONGEST_TEXT: Final = 512
#: Characters and classes in a pattern, after counted repetitions are written out.
MOST_PLACES: Final = 128
#: Steps that one pattern remembers, before it forgets them all and starts anew.
_MOST_STEPS: Final = 2048


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """A function that says whether the pattern is found in a text, at both ends where it is anchored.

    Raises:
        ValueError: it says what the pattern must not have, and what to write instead.
    """
    syntax = read_pattern(pattern)
    machine = _Machine(syntax.node, at_start=syntax.at_start, at_end=syntax.at_end)

    def found(text: str) -> bool:
        return len(text) <= LONGEST_TEXT and reduce(getitem, text, machine.start).accepting

    return found


class _State(dict[str, "_State"]):
    """The places that may have been read last; as a dictionary, the next state by character."""

    __slots__ = ("accepting", "machine", "places")

    def __init__(self, machine: "_Machine", places: int, *, accepting: bool) -> None:
        super().__init__()
        self.machine = machine
        self.places = places
        self.accepting = accepting

    def __missing__(self, char: str) -> "_State":
        return self.machine.step(self, char)


#: Nullable or not, first places, last places: all that is to know of a part of a pattern.
_Part: TypeAlias = tuple[bool, int, int]
_NOTHING: Final[_Part] = (True, 0, 0)

#: The place before the pattern. No character leads there; a search that may begin anywhere never leaves it.
_BEGINNING: Final = 1


class _Machine:
    """A pattern's places: a bit each, which follow which, and which come last."""

    def __init__(self, node: Node, *, at_start: bool, at_end: bool) -> None:
        self._sets: list[Characters | None] = [None]
        self._follow = [0]
        nullable, self._follow[0], last = self._add(node)
        self._last = last | (_BEGINNING if nullable else 0)
        self._always = 0 if at_start else _BEGINNING
        self._at_end = at_end
        self._forget()

    def _forget(self) -> None:
        self._states: dict[int, _State] = {}
        self._places_by_char: dict[str, int] = {}
        self._steps = 0
        self.start = self._state(_BEGINNING)

    def step(self, state: _State, char: str) -> _State:
        """Where a character leads; remembered, so that the next such text takes the short way."""
        if self._steps >= _MOST_STEPS:
            self._forget()
        self._steps += 1
        after = self._after(state, char)
        state[char] = after
        return after

    def _after(self, state: _State, char: str) -> _State:
        if state.accepting and not self._at_end:
            return state
        reached, places = 0, state.places
        while places:
            reached |= self._follow[(places & -places).bit_length() - 1]
            places &= places - 1
        return self._state(reached & self._places_of(char) | self._always)

    def _places_of(self, char: str) -> int:
        places = self._places_by_char.get(char)
        if places is None:
            fitting = (1 << place for place, kind in enumerate(self._sets) if kind is not None and char in kind)
            places = self._places_by_char[char] = sum(fitting)
        return places

    def _state(self, places: int) -> _State:
        state = self._states.get(places)
        if state is None:
            state = self._states[places] = _State(self, places, accepting=bool(places & self._last))
        return state

    def _add(self, node: Node) -> _Part:
        match node:
            case Characters():
                return self._place(node)
            case Alternatives(nodes):
                parts = [self._add(part) for part in nodes]
                firsts, lasts = (reduce(or_, (part[side] for part in parts)) for side in (1, 2))
                return any(part[0] for part in parts), firsts, lasts
            case Sequence(nodes):
                return reduce(self._join, map(self._add, nodes), _NOTHING)
            case Repeated():
                return self._repeat(node)

    def _place(self, kind: Characters) -> _Part:
        if len(self._sets) > MOST_PLACES:
            raise ValueError(
                f"has more than {MOST_PLACES} characters and classes, repetitions written out; make it shorter"
            )
        place = 1 << len(self._sets)
        self._sets.append(kind)
        self._follow.append(0)
        return False, place, place

    def _join(self, left: _Part, right: _Part) -> _Part:
        self._link(left[2], right[1])
        return (
            left[0] and right[0],
            left[1] | (right[1] if left[0] else 0),
            right[2] | (left[2] if right[0] else 0),
        )

    def _repeat(self, node: Repeated) -> _Part:
        whole, last, first = _NOTHING, 0, 0
        for count in range(node.most or max(node.least, 1)):
            nullable, first, last = self._add(node.node)
            whole = self._join(whole, (nullable or count >= node.least, first, last))
        if node.most is None:
            self._link(last, first)
        return whole

    def _link(self, lasts: int, firsts: int) -> None:
        while lasts:
            self._follow[(lasts & -lasts).bit_length() - 1] |= firsts
            lasts &= lasts - 1
