"""What an A/A rollout shows: both arms get the same value, so whatever tells them apart is chance, or broken."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.foresight.independence import Overlap
from wavegate_controller.domain.foresight.outlook import at_least, at_most
from wavegate_controller.domain.guardrail.exposure import MISMATCH, log_mismatch
from wavegate_controller.domain.rollout import Rollout

#: Behind the name of the stable variant: its twin, which plays the candidate.
TWIN: Final = "-aa"
#: Above it, one pair of flags in a thousand that are independent.
DEPENDENT: Final = 10.8


def is_aa(flag: Flag, rollout: Rollout) -> bool:
    """Whether candidate and stable are the same value by two names."""
    both = (rollout.candidate, rollout.stable)
    return all(name in flag.variants for name in both) and len({_exactly(flag.variants[name]) for name in both}) == 1


def _exactly(value: Any) -> str:
    """So that 1 and true, which are equal in Python, are not."""
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arms:
    """How many there were in the wave, of users or of requests."""

    candidate: int
    stable: int

    @property
    def share(self) -> float | None:
        """The candidate's; None before there was anybody."""
        together = self.candidate + self.stable
        return self.candidate / together if together else None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCalibration:
    """One gate that compares.

    Attributes:
        design_effect: by how much outcomes come in clumps; None where it is not known yet.
        evidence: as odds, that the candidate is worse, though it is the same.
    """

    gate: str
    design_effect: float | None
    evidence: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What is known of an A/A rollout.

    Attributes:
        planned: share of the users that its wave gives the candidate; None before it began.
        users: that each arm met for the first time in this wave; None where the metrics server does not say.
        requests: of each arm in this wave.
        overlaps: with the other flags that have a rollout under way.
        ended: A/A rollouts of the environment that have ended, this one included once it has.
        alarms: how many of those breached a gate.
        promised: the plan's alpha.
    """

    rollout: Rollout
    planned: float | None
    users: Arms | None
    requests: Arms
    gates: Sequence[GateCalibration]
    overlaps: Sequence[Overlap]
    ended: int
    alarms: int
    promised: float

    @property
    def mismatch(self) -> float | None:
        """Evidence, as odds, that users are not split as planned; None where nobody can say."""
        if self.users is None or self.planned is None or not 0 < self.planned < 1:
            return None
        together = self.users.candidate + self.users.stable
        return math.exp(min(log_mismatch(self.users.candidate, together, self.planned), math.log(1e12)))

    @property
    def alarm_rate(self) -> tuple[float, float] | None:
        """Between which the rate of false alarms lies, with 95 % on each side; None before one has ended."""
        return (at_least(self.alarms, self.ended), at_most(self.alarms, self.ended)) if self.ended else None

    @property
    def fails(self) -> Sequence[str]:
        """What is not as it should be, beyond chance, a sentence each."""
        found = []
        if self.mismatch is not None and self.mismatch >= MISMATCH:
            found.append("users are not split as planned, so that no comparison is one")
        found.extend(
            f"its users are not split independently of those of flag {each.other}"
            for each in self.overlaps
            if each.chi_square > DEPENDENT
        )
        if self.alarm_rate is not None and self.alarm_rate[0] > self.promised:
            found.append("there are more false alarms than the plan promises")
        return found


def gates_of(verdicts: Sequence[Mapping[str, Any]], rollout: Rollout) -> tuple[Sequence[GateCalibration], Arms]:
    """The gates that compare and the requests of the wave, from the documents of a decision's verdicts."""
    compared = {gate.name for gate in rollout.plan.compared}
    figures = [(each["gate"], each["figures"]) for each in verdicts if each["gate"] in compared]
    gates = [
        GateCalibration(gate=gate, design_effect=given.get("design_effect"), evidence=given.get("regression"))
        for gate, given in figures
    ]
    first = figures[0][1] if figures else {}
    requests = Arms(candidate=int(first.get("candidate_requests", 0)), stable=int(first.get("stable_requests", 0)))
    return gates, requests
