"""The flags and users that every contestant gets, the same ones in every process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SHARE: Final = 25  # percent
USERS: Final = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One condition on one attribute; who meets it has the flag, whatever the rollout says."""

    attribute: str
    operator: str  # in, equals, above
    operand: Any


#: In the order in which they are looked at. The operators are those that every contestant has.
RULES: Final = (
    Rule(attribute="country", operator="in", operand=["NO", "SE"]),
    Rule(attribute="plan", operator="equals", operand="enterprise"),
    Rule(attribute="days", operator="above", operand=1000),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    key: str
    rules: Sequence[Rule] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    key: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """One evaluation to be made: is this flag on for this user?"""

    flag: str
    user: User


def make_flags(count: int, *, rules: bool) -> list[Flag]:
    return [Flag(key=f"feature-{number:04}", rules=RULES if rules else ()) for number in range(count)]


def make_questions(flags: Sequence[Flag], count: int = USERS, *, rules: bool) -> list[Question]:
    """Each about another user, the flags in turn. No user meets a rule: all three are looked at, then the rollout."""
    return [
        Question(
            flags[number % len(flags)].key,
            User(key=f"user-{number:06}", attributes=_unremarkable(number) if rules else {}),
        )
        for number in range(count)
    ]


def make_probes(flags: Sequence[Flag], each: int = 40) -> list[Question]:
    """Users who meet one rule each: all of them must have the flag."""
    meeting: list[dict[str, Any]] = [{"country": "SE"}, {"plan": "enterprise"}, {"days": 1001}]
    return [
        Question(
            flags[number % len(flags)].key,
            User(key=f"probe-{number:06}", attributes=_unremarkable(number) | meeting[number % len(meeting)]),
        )
        for number in range(each * len(meeting))
    ]


def _unremarkable(number: int) -> dict[str, Any]:
    return _UNREMARKABLE[number % len(_UNREMARKABLE)]


# A few, shared: what is measured is the evaluation, not how long the memory of 100,000 dicts takes to arrive.
_UNREMARKABLE: Final = [
    {"country": country, "plan": plan, "days": days}
    for country in ("DE", "FR", "US", "JP", "BR")
    for plan in ("free", "team", "business")
    for days in (1, 30, 250, 999)
]
