"""For the tests of apps: a client with fixed answers, which remembers how every trial ended.

Needs no controller and no test framework, starts no thread, and shows its counts nowhere.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from wavegate.client import Client, Trial
from wavegate.client.attributes import NO_ATTRIBUTES, both
from wavegate.client.counters import DEFAULT_CAPS, Arm, BadKind, Counters, ValueKind
from wavegate.evaluation import Flag, Ruleset
from wavegate.evaluation.matching import Attributes

__all__ = ["Feedback", "FixedClient", "Outcome", "Variant", "fixed", "override"]


class Variant(NamedTuple):
    """A variant with its name, where the name matters to the code that is tested."""

    name: str
    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one trial ended, as it was counted. How long it took is no part of what makes two equal."""

    flag_key: str
    targeting_key: str | None
    variant: str
    #: Why it was bad: `error`, `slow`, `fallback`, `thumbs_down`, `custom`; None if it was good.
    bad: str | None = None
    #: What was added up: `cost_usd`, `tokens`, `custom`.
    values: Mapping[str, float] = field(default_factory=dict)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What a person said about their variant."""

    flag_key: str
    targeting_key: str | None
    variant: str
    thumbs_up: bool
    comment: str | None = None


class FixedClient(Client):
    """A client whose flags serve everybody what the test says; flags it does not name are unknown.

    `outcomes` are the trials that ended, in that order, and `feedbacks` what people said. What the
    real client does not count, such as a trial of an unknown flag, is not among them. Values have no caps.
    """

    def __init__(self, flags: Mapping[str, Any] | None = None) -> None:
        self.outcomes: list[Outcome] = []
        self.feedbacks: list[Feedback] = []
        self._replaced: list[tuple[Client, dict[str, Any]]] = []
        self._set_up(Counters(), dict.fromkeys(DEFAULT_CAPS, math.inf), _ruleset({}, 0), made=None)
        self.serve(flags or {})

    def serve(self, flags: Mapping[str, Any]) -> None:
        """From now on these flags serve these values, or a `Variant`; the others stay as they are.

        Raises:
            InvalidRuleset: a value is nothing that a variant can be.
        """
        ruleset = self._snapshot.ruleset or _ruleset({}, 0)
        changed = {key: _flag(key, served) for key, served in flags.items()}
        self._offer(_ruleset({**ruleset.flags, **changed}, ruleset.revision + 1), rollback_allowed=False)

    def trial(
        self,
        flag_key: str,
        targeting_key: str | None,
        attributes: Attributes = NO_ATTRIBUTES,
        /,
        *,
        default: Any = None,
        slow_after: float | None = None,
        **named: Any,
    ) -> Trial:
        """As the client's; its end is remembered."""
        trial = super().trial(flag_key, targeting_key, attributes, default=default, slow_after=slow_after, **named)
        if trial._arm is not None:  # noqa: SLF001 # one distribution, one design
            trial._arm = _Remembering(trial._arm, targeting_key, self.outcomes)  # noqa: SLF001 # as above
        return trial

    def feedback(
        self,
        flag_key: str,
        targeting_key: str | None,
        attributes: Attributes = NO_ATTRIBUTES,
        /,
        *,
        thumbs_up: bool,
        comment: str | None = None,
        **named: Any,
    ) -> None:
        """As the client's; it is remembered."""
        super().feedback(flag_key, targeting_key, attributes, thumbs_up=thumbs_up, comment=comment, **named)
        variant = self._ask(flag_key, targeting_key, both(attributes, named))[0].details.variant
        if variant is not None:
            self.feedbacks.append(
                Feedback(
                    flag_key=flag_key,
                    targeting_key=targeting_key,
                    variant=variant,
                    thumbs_up=thumbs_up,
                    comment=comment,
                )
            )

    def replace(self, client: Client) -> None:
        """Answers in place of a client that the app has already made, until `restore`."""
        own = vars(client)
        self._replaced.append((client, {name: own[name] for name in _ANSWERING if name in own}))
        own.update({name: getattr(self, name) for name in _ANSWERING})

    def restore(self) -> None:
        """Lets the clients that were replaced answer again."""
        while self._replaced:
            client, before = self._replaced.pop()
            for name in _ANSWERING:
                vars(client).pop(name, None)
            vars(client).update(before)


#: What an app asks a client. Not `trials`: functions it has decorated ask for a `trial` at each call.
_ANSWERING: Final = ("is_enabled", "value", "details", "trial", "feedback", "wait_ready")


def fixed(flags: Mapping[str, Any] | None = None) -> FixedClient:
    """A client whose flags serve these values to everybody.

    gate = fixed({"ai-summaries": True, "answer-model": {"model": "small"}})
    """
    return FixedClient(flags)


@contextmanager
def override(client: Client, flags: Mapping[str, Any] | None = None) -> Iterator[FixedClient]:
    """Within the block a client that the app has already made answers like a `FixedClient`, which is given out."""
    stand_in = FixedClient(flags)
    stand_in.replace(client)
    try:
        yield stand_in
    finally:
        stand_in.restore()


class _Remembering(Arm):
    """Counts as the arm does, and remembers."""

    __slots__ = ("_arm", "_outcomes", "_targeting_key")

    def __init__(self, arm: Arm, targeting_key: str | None, outcomes: list[Outcome]) -> None:
        super().__init__(arm.flag, arm.variant, arm.users)
        self._arm = arm
        self._targeting_key = targeting_key
        self._outcomes = outcomes

    def count(self, cohort: int, kind: BadKind | None, seconds: float, values: Iterable[tuple[str, float]]) -> None:
        values = list(values)
        self._arm.count(cohort, kind, seconds, values)
        self._outcomes.append(
            Outcome(
                flag_key=self.flag,
                targeting_key=self._targeting_key,
                variant=self.variant,
                bad=None if kind is None else str(kind),
                values={str(name): amount for name, amount in values if name != ValueKind.SECONDS},
                seconds=seconds,
            )
        )


def _flag(key: str, served: Any) -> Flag:
    name, value = served if isinstance(served, Variant) else (_name(served), served)
    return Flag(key=key, variants={name: value}, default_variant=name)


def _name(value: object) -> str:
    """Booleans have the usual names; another value has none of its own."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "fixed"


def _ruleset(flags: Mapping[str, Flag], revision: int) -> Ruleset:
    return Ruleset(environment="test", revision=revision, flags=flags)
