"""The stages of an AI feature, as a machine over a flag: none is skipped, and each is left by a signed decision.

    discovery -> proof_of_concept -> pilot -> production_ready -> scale

What a stage asks for is written into its part of the passport. `missing` says what it still lacks, in words that name
the field; `go` is refused until there is nothing, and `override` is how an admin goes on all the same: it is a decision
like the others, keeps what was missing, and is never taken out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from wavegate.evaluation import AllOf, Comparison, Condition, Operator, Pilot
from wavegate_controller.domain.errors import Conflict, ControllerError, Invalid
from wavegate_controller.domain.flag import Flag

FEWEST_PEOPLE: Final = 5
MOST_PEOPLE: Final = 20
#: The same share as a rollout's gate of errors has where it says nothing.
PILOT_CEILING: Final = 0.25
#: For how long a drill proves that the way back works.
DRILL_HOLDS: Final = timedelta(days=30)
#: Instances of apps that must have been seen, so that one may fail.
FEWEST_INSTANCES: Final = 2
_BETWEEN_SEVERAL: Final = ",;|\n"


class Stage(StrEnum):
    """Where a feature stands, in the order in which it goes through them."""

    DISCOVERY = "discovery"
    PROOF_OF_CONCEPT = "proof_of_concept"
    PILOT = "pilot"
    PRODUCTION_READY = "production_ready"
    SCALE = "scale"

    @property
    def place(self) -> int:
        """From 0 on."""
        return _ORDER[self]


_ORDER: Final = {stage: place for place, stage in enumerate(Stage)}
_STAGES: Final = tuple(Stage)


class Outcome(StrEnum):
    """How a stage is left."""

    GO = "go"
    #: The feature ends here; it can only be taken up again by going back.
    NO_GO = "no_go"
    BACK = "back"
    #: An admin goes on without what the stage asks for.
    OVERRIDE = "override"


class Assessment(StrEnum):
    """What a proof of concept has shown."""

    FEASIBLE = "feasible"
    NOT_FEASIBLE = "not_feasible"
    UNCLEAR = "unclear"


class ReadinessItem(StrEnum):
    """The checklist of production readiness."""

    INFRASTRUCTURE = "infrastructure"
    MONITORING = "monitoring"
    SECURITY = "security"
    INTEGRATIONS = "integrations"
    DOCUMENTATION = "documentation"
    TRAINING = "training"
    SUPPORT = "support"
    ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True, slots=True)
class Discovery:
    """Why it is done at all; every field is asked for."""

    problem: str = ""
    business_owner: str = ""
    sponsor: str = ""
    success_metric: str = ""
    target: str = ""
    data: str = ""
    data_quality: str = ""
    budget: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProofOfConcept:
    """Whether it can be done."""

    question: str = ""
    result: str = ""
    assessment: Assessment | None = None
    left_out: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PilotStage:
    """Who tries it first.

    Attributes:
        people: targeting keys.
        department: the one that they work in, as apps give it in the attribute.
        region: likewise.
        variant: what they get; the flag's only other variant by default.
        must_change: what the pilot has shown; each becomes a requirement of production readiness.
        ceiling: share of bad outcomes beyond which it is stopped; None for no such watch.
        half: only every second one gets it, so that there is somebody alike to compare with.
    """

    people: tuple[str, ...] = ()
    department: str = ""
    region: str = ""
    department_attribute: str = "department"
    region_attribute: str = "region"
    variant: str | None = None
    must_change: tuple[str, ...] = ()
    ceiling: float | None = PILOT_CEILING
    half: bool = False

    def __post_init__(self) -> None:
        if self.ceiling is not None and not 0 < self.ceiling < 1:
            raise Invalid("ceiling", f"{self.ceiling:g} is no share", "more than 0 and less than 1, or null for none")
        if not all(each.strip() for each in self.people):
            raise Invalid("people", "names nobody in one place", "a targeting key for each")
        if len(set(self.people)) < len(self.people):
            raise Invalid("people", "names somebody twice", "each person once")
        if self.people and not FEWEST_PEOPLE <= len(self.people) <= MOST_PEOPLE:
            raise Invalid("people", f"names {len(self.people)} people", f"{FEWEST_PEOPLE} to {MOST_PEOPLE}")
        for name in ("department", "region"):
            if any(mark in getattr(self, name) for mark in _BETWEEN_SEVERAL):
                raise Invalid(name, f"{getattr(self, name)!r} names more than one", f"one {name}")

    @property
    def condition(self) -> Condition:
        """Who of the people it is for: those who leave the department or the region leave the pilot."""
        wanted = ((self.department_attribute, self.department), (self.region_attribute, self.region))
        return AllOf(
            conditions=tuple(
                Comparison(attribute=attribute, operator=Operator.EQUALS, value=value) for attribute, value in wanted
            )
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One line of the checklist.

    Attributes:
        evidence: links, names of files, or notes that show it.
        acknowledged_by: who said that they own it, by their own sign-in.
    """

    owner: str = ""
    due: date | None = None
    is_done: bool = False
    evidence: tuple[str, ...] = ()
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Whether it can be run.

    Attributes:
        apps: names of the apps that are to have it, as they call themselves.
        met: requirement of the pilot to how it was met.
    """

    items: Mapping[ReadinessItem, Item] = field(default_factory=dict)
    apps: tuple[str, ...] = ()
    met: Mapping[str, str] = field(default_factory=dict)

    def item(self, item: ReadinessItem) -> Item:
        """That line; an empty one where nobody wrote it."""
        return self.items.get(item, Item())


class Check(StrEnum):
    """What Wavegate sees of an item by itself."""

    GREEN = "green"
    RED = "red"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A live check of an item of the checklist.

    Attributes:
        detail: what was seen, or how to mend it.
    """

    check: Check
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """What a stage still asks for."""

    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageDecision:
    """How a stage was left, and by whom.

    Attributes:
        stage: the one that was left.
        to: the one that was entered; the same for a no-go.
        missing: what was not there when an admin went on all the same.
        evidence: what Wavegate saw at that moment, and what may look different ever after.
    """

    stage: Stage
    outcome: Outcome
    to: Stage
    by: str
    at: datetime
    reason: str
    missing: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Passport:
    """Where a feature stands, what each stage asked for, and how it came here.

    Attributes:
        since: when it entered its stage.
        has_ended: whether the last decision was a no-go.
        version: counts the changes; a writer must name the version it read.
    """

    flag_key: str
    environment: str
    created_at: datetime
    updated_at: datetime
    since: datetime
    stage: Stage = Stage.DISCOVERY
    has_ended: bool = False
    discovery: Discovery = field(default_factory=Discovery)
    proof_of_concept: ProofOfConcept = field(default_factory=ProofOfConcept)
    pilot: PilotStage = field(default_factory=PilotStage)
    production_ready: Readiness = field(default_factory=Readiness)
    decisions: tuple[StageDecision, ...] = ()
    version: int = 1

    @property
    def may_scale(self) -> bool:
        """Whether percentages of users may have it."""
        return self.stage is Stage.SCALE and not self.has_ended

    @property
    def stands_on_checks(self) -> bool:
        """Whether it came to scale by a go, for which every check was green; an override went on without them."""
        return self.may_scale and bool(self.decisions) and self.decisions[-1].outcome is Outcome.GO

    @property
    def overrides(self) -> tuple[StageDecision, ...]:
        """Every time an admin went on without what a stage asks for."""
        return tuple(each for each in self.decisions if each.outcome is Outcome.OVERRIDE)


class Unmet(ControllerError):
    """A stage asks for more than there is.

    Attributes:
        missing: all of it.
    """

    def __init__(self, key: str, stage: Stage, missing: Sequence[Missing]) -> None:
        listed = "; ".join(map(str, missing))
        super().__init__(f"flag {key!r} cannot leave {stage}, which asks for more: {listed}")
        self.missing = tuple(missing)


def missing(passport: Passport, findings: Mapping[ReadinessItem, Finding]) -> tuple[Missing, ...]:
    """What its stage still asks for, before it can be left with a go.

    Args:
        passport: it.
        findings: what Wavegate sees of the checklist's items; needed for production readiness alone.
    """
    match passport.stage:
        case Stage.DISCOVERY:
            return _empty(passport.discovery, Discovery.__dataclass_fields__)
        case Stage.PROOF_OF_CONCEPT:
            return (*_empty(passport.proof_of_concept, ("question", "result", "left_out")), *_infeasible(passport))
        case Stage.PILOT:
            return _of_the_pilot(passport.pilot)
        case Stage.PRODUCTION_READY:
            return (*_of_the_checklist(passport.production_ready, findings), *_requirements(passport))
        case Stage.SCALE:
            return ()


def write(passport: Passport, part: Discovery | ProofOfConcept | PilotStage | Readiness, *, now: datetime) -> Passport:
    """The passport with that part in place of the one it had.

    Parts of stages that were left with a go are what the decision was made on: they stay.

    Raises:
        Conflict: the stage is behind it, or the feature has ended.
    """
    stage = _STAGE_OF[type(part)]
    _check_alive(passport)
    if stage.place < passport.stage.place:
        raise Conflict(f"flag {passport.flag_key!r} has left {stage}; what was decided on stays as it was, or go back")
    changed: Any = {stage.value: part}
    return replace(passport, **changed, updated_at=now, version=passport.version + 1)


def decide(
    passport: Passport,
    outcome: Outcome,
    *,
    by: str,
    reason: str,
    now: datetime,
    to: Stage | None = None,
    lacking: Sequence[Missing] = (),
    evidence: Sequence[str] = (),
) -> Passport:
    """Leave the stage, or refuse.

    Args:
        passport: it.
        outcome: how.
        by: who signs.
        reason: why; required.
        now: aware UTC time.
        to: for a way back the stage to go back to, for an override the one to go on to; else not given.
        lacking: what `missing` says.
        evidence: what is seen of the stage now, kept with the decision.

    Raises:
        Invalid: there is no reason, or the stage is not one to go to.
        Unmet: it is a go, and something is lacking.
        Conflict: there is no such way from here.
    """
    if not reason.strip():
        raise Invalid("reason", "is empty, but a stage is left with a reason", "why, in a sentence")
    if outcome is not Outcome.BACK:
        _check_alive(passport)
    there = _destination(passport, outcome, to)
    if outcome is Outcome.GO and lacking:
        raise Unmet(passport.flag_key, passport.stage, lacking)
    decision = StageDecision(
        stage=passport.stage,
        outcome=outcome,
        to=there,
        by=by,
        at=now,
        reason=reason.strip(),
        missing=tuple(map(str, lacking)) if outcome is Outcome.OVERRIDE else (),
        evidence=tuple(evidence),
    )
    return replace(
        passport,
        stage=there,
        since=passport.since if there is passport.stage and outcome is Outcome.NO_GO else now,
        has_ended=outcome is Outcome.NO_GO,
        decisions=(*passport.decisions, decision),
        updated_at=now,
        version=passport.version + 1,
    )


def beyond_pilot(flag: Flag, passport: Passport | None, *, before: Flag | None = None) -> str | None:
    """Why a flag would give something new to more than a pilot; None if it does not.

    Before a feature may scale, the only ways to what is not the default variant are names: the pilot of its stage, and
    lists for those who build it, together never more than a pilot has people.

    Args:
        flag: as it would be.
        passport: where it stands; None for one that has none, and so stands at the beginning.
        before: as it is, if there is one.
    """
    for number, rule in enumerate(flag.rules):
        if rule.serve != flag.default_variant:
            return f"rules[{number}] serves more than the default variant"
    named = {key for variant, keys in flag.allow.items() if variant != flag.default_variant for key in keys}
    pilot = flag.pilot.people if flag.pilot else None
    if pilot is not None and (problem := _no_pilot_of(pilot, passport)):
        return f"pilot {problem}"
    named |= set(pilot.keys) if pilot else set()
    if len(named) > MOST_PEOPLE:
        return f"allow and pilot name {len(named)} people, more than {MOST_PEOPLE}"
    if before is not None and flag.variants[flag.default_variant] != before.variants[before.default_variant]:
        return "default_variant, which everybody gets, would be another value"
    return None


def _no_pilot_of(pilot: Pilot, passport: Passport | None) -> str | None:
    if passport is None or passport.has_ended or passport.stage.place < Stage.PILOT.place:
        return "comes before its stage"
    if pilot.condition != passport.pilot.condition:
        return "is not for the one department and the one region of its stage"
    if not set(pilot.keys) <= set(passport.pilot.people):
        return "names people who are not those of its stage"
    return None


def _destination(passport: Passport, outcome: Outcome, to: Stage | None) -> Stage:
    place = passport.stage.place
    match outcome:
        case Outcome.GO if passport.stage is Stage.SCALE:
            raise Conflict(f"flag {passport.flag_key!r} is in scale, the last stage: its rollout goes on by its waves")
        case Outcome.GO:
            if to not in (None, _STAGES[place + 1]):
                raise Invalid("to", f"{to} is not the next stage", f"{_STAGES[place + 1]}: no stage is skipped")
            return _STAGES[place + 1]
        case Outcome.NO_GO:
            if to is not None:
                raise Invalid("to", "is given, but with a no-go the feature ends where it is", "nothing")
            return passport.stage
        case Outcome.BACK:
            # What has ended may be taken up where it ended.
            last = place if passport.has_ended else place - 1
            if to is None or to.place > last:
                earlier = ", ".join(_STAGES[: last + 1])
                raise Invalid("to", f"{to or 'nothing'} is no way back from {passport.stage}", earlier or "none is")
            return to
        case Outcome.OVERRIDE:
            later = _STAGES[place + 1 :]
            if to not in later:
                raise Invalid("to", f"{to or 'nothing'} does not come after {passport.stage}", ", ".join(later))
            return to


def _check_alive(passport: Passport) -> None:
    if passport.has_ended:
        ended = passport.decisions[-1]
        raise Conflict(
            f"flag {passport.flag_key!r} ended in {passport.stage} by {ended.by} ({ended.reason}); "
            "go back to a stage to take it up again"
        )


def _empty(part: object, names: Sequence[str] | Mapping[str, object]) -> tuple[Missing, ...]:
    where = _STAGE_OF[type(part)]
    return tuple(
        Missing(field=f"{where}.{name}", problem="is empty") for name in names if not getattr(part, name).strip()
    )


def _infeasible(passport: Passport) -> tuple[Missing, ...]:
    assessment = passport.proof_of_concept.assessment
    if assessment is Assessment.FEASIBLE:
        return ()
    problem = f"is {assessment}, and only what is feasible goes on" if assessment else "is empty"
    return (Missing(field="proof_of_concept.assessment", problem=problem),)


def _of_the_pilot(pilot: PilotStage) -> tuple[Missing, ...]:
    lacking = [*_empty(pilot, ("department", "region"))]
    if len(pilot.people) < FEWEST_PEOPLE:
        problem = f"names {len(pilot.people)} people, of {FEWEST_PEOPLE} to {MOST_PEOPLE}"
        lacking.append(Missing(field="pilot.people", problem=problem))
    return tuple(lacking)


def _of_the_checklist(readiness: Readiness, findings: Mapping[ReadinessItem, Finding]) -> tuple[Missing, ...]:
    lacking = []
    for name in ReadinessItem:
        item, finding, where = readiness.item(name), findings.get(name), f"production_ready.{name}"
        if not item.owner.strip():
            lacking.append(Missing(field=f"{where}.owner", problem="nobody owns it"))
        if finding is not None and finding.check is Check.RED:
            lacking.append(Missing(field=where, problem=finding.detail))
        elif finding is None and not (item.is_done and item.evidence):
            lacking.append(Missing(field=where, problem="is not done, or has no evidence"))
    return tuple(lacking)


def _requirements(passport: Passport) -> tuple[Missing, ...]:
    met = passport.production_ready.met
    return tuple(
        Missing(field="production_ready.met", problem=f"the pilot asked for {text!r}, and nobody says how it was met")
        for text in passport.pilot.must_change
        if not met.get(text, "").strip()
    )


_STAGE_OF: Final[Mapping[type, Stage]] = {
    Discovery: Stage.DISCOVERY,
    ProofOfConcept: Stage.PROOF_OF_CONCEPT,
    PilotStage: Stage.PILOT,
    Readiness: Stage.PRODUCTION_READY,
}
