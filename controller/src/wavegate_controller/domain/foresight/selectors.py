"""What a PromQL expression selects, as far as that can be seen without its server: enough to warn, never to refuse."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<comment>\#[^\n]*)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?[a-zA-Z0-9]*)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[^\s])""",
    re.VERBOSE,
)
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION: Final = re.compile(r"(\d+)(ms|[smhdwy])")
#: Followed by a list of labels.
_LABEL_LISTS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "start", "end"})
#: Functions whose argument is a counter's range.
COUNTING: Final = frozenset({"rate", "irate", "increase", "resets"})
#: Functions for which a counter is as good as any number.
_INDIFFERENT: Final = frozenset(
    {"absent", "absent_over_time", "present_over_time", "count", "count_over_time", "changes", "timestamp", "group"}
)
#: Ends of the names of counters.
_COUNTER_NAMES: Final = ("_total", "_count", "_sum", "_bucket")
_NAMES_OF_COUNTERS_ALONE: Final = ("_total", "_bucket")

Token = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """One vector selector of an expression.

    Attributes:
        name: of the metric; empty where a matcher says it.
        matchers: label, operator, value.
        range: None for an instant selector.
        within: the functions around it, the outermost first.
    """

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()
    range: timedelta | None = None
    within: tuple[str, ...] = ()

    @property
    def promql(self) -> str:
        """As an instant selector."""
        return self.without()

    def without(self, *labels: str) -> str:
        """As an instant selector that does not ask for these labels."""
        asked = ",".join(
            f'{label}{sign}"{_escaped(value)}"' for label, sign, value in self.matchers if label not in labels
        )
        return f"{self.name}{{{asked}}}" if asked else self.name or "{}"

    @property
    def looks_like_a_counter(self) -> bool:
        """By its name."""
        return self.name.endswith(_COUNTER_NAMES)

    @property
    def is_counter_by_name(self) -> bool:
        """Whether its name says so and nothing else: gauges are called `_count` and `_sum`, too."""
        return self.name.endswith(_NAMES_OF_COUNTERS_ALONE)

    @property
    def counted(self) -> str | None:
        """The function that makes a rate of it; None without one."""
        return next((each for each in reversed(self.within) if each in COUNTING), None)

    @property
    def is_only_seen(self) -> bool:
        """Whether nobody asks for its value."""
        return not _INDIFFERENT.isdisjoint(self.within)


def selectors(promql: str) -> tuple[Selector, ...]:
    """All selectors of an expression, in its order."""
    return tuple(_read(_tokens(promql)))


def has_alternatives(promql: str) -> bool:
    """Whether it may give a number although one of its selectors matches nothing: `failed or vector(0)`."""
    return any(kind == "name" and text.lower() == "or" for kind, text in _tokens(promql))


def divides_by_a_query(promql: str) -> bool:
    """Whether a part of it is divided by something that may be 0, with nothing to keep it from being so."""
    tokens = _tokens(promql)
    guarded = any(
        (kind, text) == ("name", "clamp_min")
        or (kind == "sign" and text in (">", "!=") and tokens[index + 1 : index + 2] == [("number", "0")])
        for index, (kind, text) in enumerate(tokens)
    )
    divided = any(
        (kind, text) == ("sign", "/") and tokens[index + 1 : index + 2] and tokens[index + 1][0] != "number"
        for index, (kind, text) in enumerate(tokens)
    )
    return divided and not guarded


def _tokens(promql: str) -> list[Token]:
    return [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(promql) if match.lastgroup != "comment"]


def _read(tokens: list[Token]) -> Iterator[Selector]:
    around: list[str] = []
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if kind == "name" and text in _LABEL_LISTS:
            place = _skip(tokens, place + 1, ")") if following == "(" else place + 1
        elif kind == "name" and (text.lower() in _WORDS or following in _LABEL_LISTS):
            place += 1
        elif kind == "name" and following == "(":
            around.append(text)
            place += 2
        elif kind == "name" or text == "{":
            selector, place = _selector(tokens, place, tuple(each for each in around if each))
            yield selector
        elif text == "(":
            around.append("")
            place += 1
        elif text == ")":
            if around:
                around.pop()
            place += 1
        elif text == "[":  # of a subquery
            place = _skip(tokens, place, "]")
        else:
            place += 1


def _selector(tokens: list[Token], place: int, within: tuple[str, ...]) -> tuple[Selector, int]:
    name = ""
    if tokens[place][0] == "name":
        name, place = tokens[place][1], place + 1
    matchers: list[tuple[str, str, str]] = []
    if place < len(tokens) and tokens[place][1] == "{":
        end = _skip(tokens, place, "}")
        inside = tokens[place + 1 : end - 1]
        for index, (kind, text) in enumerate(inside[:-2]):
            if kind == "name" and inside[index + 2][0] == "string":
                matchers.append((text, inside[index + 1][1], _unquoted(inside[index + 2][1])))
        place = end
    span = None
    if place < len(tokens) and tokens[place][1] == "[":
        end = _skip(tokens, place, "]")
        span = _duration(tokens[place + 1][1] if place + 1 < len(tokens) else "")
        place = end
    return Selector(name=name, matchers=tuple(matchers), range=span, within=within), place


def _skip(tokens: list[Token], place: int, closing: str) -> int:
    """The place behind the next closing sign."""
    while place < len(tokens) and tokens[place] != ("sign", closing):
        place += 1
    return place + 1


def _duration(text: str) -> timedelta | None:
    parts = _DURATION.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text[1:-1])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
