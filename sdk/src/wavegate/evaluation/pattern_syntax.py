"""The syntax of patterns: the part of regular expressions that reads the same in every language."""

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

LONGEST_PATTERN: Final = 256
_DEEPEST: Final = 16
_MOST_REPEATS: Final = 128

_CLASSES: Final = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
    "s": (("\t", "\r"), (" ", " ")),
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")


@dataclass(frozen=True, slots=True)
class Characters:
    """One character, of some kind."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        return any(first <= char <= last for first, last in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Any one of them."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """As often as this; `most` is None for as often as one likes."""

    node: "Node"
    least: int
    most: int | None


Node: TypeAlias = Characters | Sequence | Alternatives | Repeated


class Syntax(NamedTuple):
    """A pattern that was read: whether it is anchored, and what stands between."""

    node: Node
    at_start: bool
    at_end: bool


def read_pattern(pattern: str) -> Syntax:
    """Reads the pattern.

    Raises:
        ValueError: it says what the pattern must not have, and what to write instead.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"has {len(pattern)} characters; use {LONGEST_PATTERN} at most")
    at_start = pattern.startswith("^")
    body = pattern[1:] if at_start else pattern
    # An even number of backslashes before it are each other's, so that the dollar is an anchor.
    before = body.removesuffix("$")
    at_end = before != body and (len(before) - len(before.rstrip("\\"))) % 2 == 0
    reader = _Reader(before if at_end else body)
    node = reader.alternatives(depth=0)
    if reader.rest:
        raise ValueError("has a ) without its (; escape it as \\)")
    if (at_start or at_end) and isinstance(node, Alternatives):
        raise ValueError("has an anchor in one of several alternatives; put those into a group, as in ^(a|b)$")
    return Syntax(node, at_start=at_start, at_end=at_end)


class _Reader:
    """Recursive descent; `rest` is what was not read yet."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def _take(self) -> str:
        if not self.rest:
            raise ValueError("ends in the middle of something; close its brackets, double a backslash at its end")
        char, self.rest = self.rest[0], self.rest[1:]
        return char

    def _takes(self, prefix: str) -> bool:
        found = self.rest.startswith(prefix)
        if found:
            self.rest = self.rest[len(prefix) :]
        return found

    def alternatives(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise ValueError(f"has groups nested too deeply; use {_DEEPEST} levels at most")
        branches = [self._sequence(depth)]
        while self._takes("|"):
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Alternatives(tuple(branches))

    def _sequence(self, depth: int) -> Node:
        nodes: list[Node] = []
        while self.rest and self.rest[0] not in "|)":
            nodes.append(self._repeated(self._atom(depth)))
        if not nodes:
            raise ValueError("is empty, or has an empty alternative or group; say (a)? for a or nothing")
        return nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes))

    def _atom(self, depth: int) -> Node:
        match self._take():
            case "(":
                if self.rest.startswith("?") and not self._takes("?:"):
                    raise ValueError(
                        f"has (?{self.rest[1:2]}, which is not supported; use plain groups, without flags and looks"
                    )
                node = self.alternatives(depth + 1)
                self._take()  # alternatives end at a closing bracket, or at the end, which this refuses
                # A group of alternatives is one thing, to an anchor beside it as well.
                return Sequence((node,)) if isinstance(node, Alternatives) else node
            case "[":
                return self._class()
            case ".":
                return Characters((("\n", "\n"),), negated=True)
            case "\\":
                return self._escape()
            case ("^" | "$") as anchor:
                raise ValueError(f"has {anchor} in its middle; anchors stand at its very ends, escape it as \\{anchor}")
            case char if char in _SPECIAL - {"]", "}"}:
                raise ValueError(f"has {char} with nothing to repeat; escape it as \\{char}")
            case char:
                return Characters(((char, char),))

    def _repeated(self, atom: Node) -> Node:
        if not self.rest or self.rest[0] not in "*+?{":
            return atom
        match self._take():
            case "*":
                least, most = 0, None
            case "+":
                least, most = 1, None
            case "?":
                least, most = 0, 1
            case _:
                least, most = self._counts()
        if self.rest[:1] in ("?", "+", "*", "{") and self.rest:
            raise ValueError("has a repetition of a repetition; only whether it matches counts: write one, or group")
        return Repeated(atom, least, most)

    def _counts(self) -> tuple[int, int | None]:
        text, closed, self.rest = self.rest.partition("}")
        low, comma, high = text.partition(",")
        if not closed or not _is_count(low) or not (high == "" or _is_count(high)):
            raise ValueError("has { without a count such as {2}, {2,} or {2,5}; escape it as \\{")
        least = int(low)
        most = int(high) if high else None if comma else least
        if max(least, most or 0) > _MOST_REPEATS or most == 0 or (most is not None and most < least):
            raise ValueError(
                f"has the count {{{text}}}; count upwards, from 0 or more to at most {_MOST_REPEATS}, and not 0 times"
            )
        return least, most

    def _escape(self) -> Characters:
        char = self._take()
        if char in _CLASSES:
            return Characters(_CLASSES[char])
        if char.lower() in _CLASSES:
            return Characters(_CLASSES[char.lower()], negated=True)
        literal = _literal(char)
        return Characters(((literal, literal),))

    def _class(self) -> Characters:
        negated = self._takes("^")
        ranges: list[tuple[str, str]] = []
        while not self._takes("]"):
            low = self._take()
            if low == "[":
                raise ValueError("has [ within a class; escape it as \\[")
            if low == "\\":
                escaped = self._take()
                if escaped in _CLASSES:
                    ranges.extend(_CLASSES[escaped])
                    continue
                low = _literal(escaped)
            ranges.append((low, self._end_of_range(low)))
        if not ranges:
            raise ValueError("has an empty class; say what is in it, escape brackets as \\[ and \\]")
        return Characters(tuple(ranges), negated=negated)

    def _end_of_range(self, low: str) -> str:
        if not self.rest.startswith("-") or self.rest.startswith("-]"):
            return low
        self._take()
        high = self._take()
        if high == "\\":
            high = _literal(self._take())
        if high < low or high == "[":
            raise ValueError(f"has the range {low}-{high}; give it upwards, escape brackets")
        return high


def _literal(char: str) -> str:
    if char in _CONTROLS:
        return _CONTROLS[char]
    # Letters and digits after a backslash mean something else in every language.
    if char.isalnum() or not char.isascii():
        raise ValueError(f"has \\{char}, which is not supported; use \\d \\w \\s \\n \\r \\t, or escape punctuation")
    return char


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 4  # noqa: PLR2004 # more digits are too many anyway
