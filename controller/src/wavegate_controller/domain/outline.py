"""A flag in a few words: enough to group a thousand of them by, and to find one."""

from dataclasses import dataclass

from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.rollout import WATCHED, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A flag and where it stands.

    Attributes:
        state: of its newest rollout; None where it has none.
        reason: of that rollout's newest decision; None where it has none.
    """

    key: str
    description: str
    enabled: bool
    state: State | None = None
    reason: DecisionReason | None = None

    @property
    def standing(self) -> str:
        """The one word for where it stands: its rollout's state, or what is more urgent than that."""
        if not self.enabled:
            return "stopped"
        if self.state is None:
            return "none"
        if self.state in WATCHED and self.reason is DecisionReason.CANNOT_MEASURE:
            return "cannot_measure"
        return self.state.value
