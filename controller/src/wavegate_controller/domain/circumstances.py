"""What holds a rollout that is not in its evidence: the calendar, other flags, its readiness, the flag's own switch."""

from dataclasses import dataclass
from typing import Final

from wavegate_controller.domain.freeze import Frozen
from wavegate_controller.domain.transitions import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """At one moment.

    Attributes:
        frozen: the freeze window that holds, of the plan or of the environment.
        waits_for: what another flag must do first, as a sentence; empty when nothing.
        red_checks: what is seen of production readiness that has turned red, as a sentence; empty when nothing.
        drill: the breach that somebody made up to drill the way back, as a sentence; empty when nobody did.
        stopped: the flag is disabled, so nobody has the candidate, whatever the weight.
        dry_run: whether the rollout, or its whole environment, is in dry run: what would move it is only written down.
        noted: what a dry run has noted last since somebody moved the rollout; the same is not noted twice.
    """

    frozen: Frozen | None = None
    waits_for: str = ""
    red_checks: str = ""
    drill: str = ""
    stopped: bool = False
    dry_run: bool = False
    noted: Event | None = None


#: Nothing is in the way.
CLEAR: Final = Circumstances()
