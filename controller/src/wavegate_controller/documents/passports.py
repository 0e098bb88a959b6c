"""The passport of a feature as documents: a part for each stage, and all of it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field

from wavegate_controller.documents.reading import Document, examples, parse
from wavegate_controller.domain.passport import (
    PILOT_CEILING,
    Assessment,
    Discovery,
    Item,
    Outcome,
    Passport,
    PilotStage,
    ProofOfConcept,
    Readiness,
    ReadinessItem,
    Stage,
    StageDecision,
)

_TEXT: Final = 10_000


class DiscoveryDocument(Document):
    """Why it is done at all."""

    model_config = examples(
        {
            "problem": "Agents read for four minutes before they answer.",
            "business_owner": "Mia Berg",
            "sponsor": "Head of support",
            "success_metric": "median reading time",
            "target": "under two minutes",
            "data": "tickets of two years",
            "data_quality": "English and German good, others thin",
            "budget": "40,000 EUR to 100 %",
        }
    )

    problem: str = Field(default="", max_length=_TEXT, description="What is bad today, and for whom.")
    business_owner: str = Field(default="", max_length=_TEXT, description="Who answers for it.")
    sponsor: str = Field(default="", max_length=_TEXT, description="Who pays for it and clears the way.")
    success_metric: str = Field(default="", max_length=_TEXT, description="By what its success is measured.")
    target: str = Field(default="", max_length=_TEXT, description="What that metric is to reach.")
    data: str = Field(default="", max_length=_TEXT, description="Which data it stands on.")
    data_quality: str = Field(default="", max_length=_TEXT, description="How good they are.")
    budget: str = Field(default="", max_length=_TEXT, description="For the whole path, not only for the pilot.")

    def to_domain(self) -> Discovery:
        """The part."""
        return Discovery(**self.model_dump())


class ProofOfConceptDocument(Document):
    """Whether it can be done."""

    model_config = examples(
        {
            "question": "Can the small model summarise a ticket so that nothing that matters is lost?",
            "result": "188 of 200 were judged complete.",
            "assessment": "feasible",
            "left_out": "attachments, languages but English and German",
        }
    )

    question: str = Field(default="", max_length=_TEXT, description="What was to be found out.")
    result: str = Field(default="", max_length=_TEXT, description="What was found.")
    assessment: Assessment | None = Field(default=None, strict=False, description="Only what is feasible goes on.")
    left_out: str = Field(default="", max_length=_TEXT, description="What was left out on purpose.")

    def to_domain(self) -> ProofOfConcept:
        """The part."""
        return ProofOfConcept(**self.model_dump())


class PilotStageDocument(Document):
    """Who tries it first: 5 to 20 people of one department in one region."""

    model_config = examples(
        {
            "people": ["ann", "bob", "cleo", "dan", "eve"],
            "department": "support",
            "region": "nordics",
            "must_change": ["Names must not be shortened."],
        }
    )

    people: list[str] = Field(default_factory=list, description="Their targeting keys.")
    department: str = Field(default="", max_length=_TEXT, description="As apps give it in the attribute.")
    region: str = Field(default="", max_length=_TEXT, description="As apps give it in the attribute.")
    department_attribute: str = Field(default="department", min_length=1, max_length=200)
    region_attribute: str = Field(default="region", min_length=1, max_length=200)
    variant: str | None = Field(default=None, description="What they get; by default the flag's other variant.")
    must_change: list[str] = Field(
        default_factory=list, max_length=100, description="What the pilot has shown: requirements of what follows."
    )
    ceiling: float | None = Field(
        default=PILOT_CEILING,
        allow_inf_nan=False,
        description="Share of bad outcomes beyond which it is stopped; null for no such watch.",
    )
    half: bool = Field(default=False, description="Only every second one gets it; the others are to compare with.")

    def to_domain(self) -> PilotStage:
        """The part.

        Raises:
            Invalid: the people are too many, or somebody is named twice.
        """
        given = self.model_dump() | {"people": tuple(self.people), "must_change": tuple(self.must_change)}
        return PilotStage(**given)


class ItemDocument(Document):
    """One line of the checklist."""

    owner: str = Field(default="", max_length=_TEXT, description="Who sees to it, by the name that they sign in with.")
    due: date | None = Field(default=None, strict=False, description="Until when.")
    is_done: bool = Field(default=False, description="Whether they say that it is done.")
    evidence: list[str] = Field(default_factory=list, max_length=50, description="Links, files or notes that show it.")
    acknowledged_by: str = Field(default="", description="Who said that they own it; written by Wavegate.")
    acknowledged_at: datetime | None = Field(default=None, strict=False, description="When; written by Wavegate.")


class ReadinessDocument(Document):
    """Whether it can be run: eight items, and what the pilot asked for."""

    model_config = examples(
        {
            "items": {
                "security": {"owner": "ada", "is_done": True, "evidence": ["threat model reviewed on 2026-11-20"]}
            },
            "apps": ["shop"],
            "met": {"Names must not be shortened.": "prompt 14, evaluation suite run 220"},
        }
    )

    items: dict[Annotated[ReadinessItem, Field(strict=False)], ItemDocument] = Field(
        default_factory=dict, description="Infrastructure, monitoring, security, and so on."
    )
    apps: list[str] = Field(
        default_factory=list, max_length=100, description="Apps that are to have it, by their names."
    )
    met: dict[str, str] = Field(default_factory=dict, description="Requirement of the pilot to how it was met.")

    def to_domain(self) -> Readiness:
        """The part."""
        items = {
            name: Item(**each.model_dump() | {"evidence": tuple(each.evidence)}) for name, each in self.items.items()
        }
        return Readiness(items=items, apps=tuple(self.apps), met=self.met)


PartDocument: TypeAlias = DiscoveryDocument | ProofOfConceptDocument | PilotStageDocument | ReadinessDocument
#: The document of each stage that has one.
PARTS: Final[Mapping[Stage, type[PartDocument]]] = {
    Stage.DISCOVERY: DiscoveryDocument,
    Stage.PROOF_OF_CONCEPT: ProofOfConceptDocument,
    Stage.PILOT: PilotStageDocument,
    Stage.PRODUCTION_READY: ReadinessDocument,
}


class StageDecisionDocument(Document, strict=False):
    """How a stage was left."""

    stage: Stage
    outcome: Outcome
    to: Stage
    by: str
    at: datetime
    reason: str
    missing: list[str] = Field(default_factory=list, description="What was not there when an admin went on.")
    evidence: list[str] = Field(default_factory=list, description="What Wavegate saw of the stage at that moment.")

    def to_domain(self) -> StageDecision:
        """The decision."""
        return StageDecision(**self.model_dump() | {"missing": tuple(self.missing), "evidence": tuple(self.evidence)})


class PassportDocument(Document):
    """Where a feature stands, what each stage asked for, and how it came here."""

    flag: str
    environment: str
    stage: Stage = Field(strict=False)
    since: datetime = Field(strict=False, description="When it entered its stage.")
    has_ended: bool = Field(description="Whether the last decision was a no-go.")
    discovery: DiscoveryDocument
    proof_of_concept: ProofOfConceptDocument
    pilot: PilotStageDocument
    production_ready: ReadinessDocument
    decisions: list[StageDecisionDocument] = Field(description="The oldest first; none is ever taken out.")
    created_at: datetime = Field(strict=False)
    updated_at: datetime = Field(strict=False)
    version: int

    def to_domain(self) -> Passport:
        """The passport."""
        return Passport(
            flag_key=self.flag,
            environment=self.environment,
            stage=self.stage,
            since=self.since,
            has_ended=self.has_ended,
            discovery=self.discovery.to_domain(),
            proof_of_concept=self.proof_of_concept.to_domain(),
            pilot=self.pilot.to_domain(),
            production_ready=self.production_ready.to_domain(),
            decisions=tuple(each.to_domain() for each in self.decisions),
            created_at=self.created_at,
            updated_at=self.updated_at,
            version=self.version,
        )


def passport_to_document(passport: Passport) -> dict[str, Any]:
    """The passport as JSON has it."""
    readiness = passport.production_ready
    return {
        "flag": passport.flag_key,
        "environment": passport.environment,
        "stage": passport.stage.value,
        "since": passport.since.isoformat(),
        "has_ended": passport.has_ended,
        "discovery": _fields(passport.discovery),
        "proof_of_concept": _fields(passport.proof_of_concept),
        "pilot": _fields(passport.pilot),
        "production_ready": {
            "items": {name.value: _fields(item) for name, item in readiness.items.items()},
            "apps": list(readiness.apps),
            "met": dict(readiness.met),
        },
        "decisions": [_fields(each) for each in passport.decisions],
        "created_at": passport.created_at.isoformat(),
        "updated_at": passport.updated_at.isoformat(),
        "version": passport.version,
    }


def passport_from_document(document: object) -> Passport:
    """The passport that `passport_to_document` wrote down."""
    return parse(PassportDocument, document).to_domain()


def part_to_document(passport: Passport, stage: Stage) -> dict[str, Any]:
    """One stage's part."""
    part: dict[str, Any] = passport_to_document(passport)[stage.value]
    return part


def _fields(part: Any) -> dict[str, Any]:
    return {name: _plain(getattr(part, name)) for name in part.__dataclass_fields__}


def _plain(value: object) -> object:
    match value:
        case tuple():
            return list(value)
        case datetime() | date():
            return value.isoformat()
        case Assessment() | Stage() | Outcome():
            return value.value
        case _:
            return value
