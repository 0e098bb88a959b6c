"""What is new about rollouts, in one line each: moves, and changes of the reason that holds them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import VerdictKind

#: Holds that come and go with every wave; only the others are worth a line.
_USUAL: Final = frozenset({DecisionReason.BAKING, DecisionReason.NOT_ENOUGH_DATA})


class News:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._moved: dict[str, int] = {}
        self._held: dict[str, str] = {}

    def of(self, rollouts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
        """What the rollouts' documents say that was not told before."""
        for rollout in rollouts:
            flag, moved, latest = rollout["flag"], rollout["moved_by"], rollout["latest_decision"]
            if moved and self._moved.get(flag) != moved["id"]:
                self._moved[flag] = moved["id"]
                self._held.pop(flag, None)
                yield f"{flag}: {moved['event'].replace('_', ' ')}, now {moved['percent']:g} % ({_why(moved)})"
            if latest and latest["event"] == Event.TICK:
                before, self._held[flag] = self._held.get(flag), latest["reason"]
                if latest["reason"] not in _USUAL and latest["reason"] != before:
                    yield f"{flag}: holds at {rollout['percent']:g} % ({_why(latest)})"
                elif before == DecisionReason.CANNOT_MEASURE != latest["reason"]:
                    yield f"{flag}: can be measured again"


def _why(decision: Mapping[str, Any]) -> str:
    """The reason; with its verdict where there is more to know than that all is well."""
    match decision["reason"]:
        case DecisionReason.REQUESTED:
            return f"by {decision['actor']}"
        case DecisionReason.BREACH | DecisionReason.CANNOT_MEASURE as reason:
            guilty = next(
                verdict
                for verdict in decision["verdicts"]
                if verdict["kind"] in (VerdictKind.BREACH, VerdictKind.CANNOT_MEASURE)
            )
            return f"{reason}: {guilty['gate']}, {guilty['reason']}"
        case reason:
            return str(reason)
