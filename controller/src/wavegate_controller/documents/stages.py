"""Where features stand, as the API shows it."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from wavegate_controller.documents.passports import PassportDocument
from wavegate_controller.documents.shown import Shown, ShownPilot
from wavegate_controller.domain.passport import Check, ReadinessItem, Stage

StageName = Literal["discovery", "proof_of_concept", "pilot", "production_ready", "scale"]


class MissingShown(Shown):
    """What a stage still asks for."""

    field: str = Field(description="Its path in the passport.")
    problem: str


class FindingShown(Shown):
    """What Wavegate sees of an item of the checklist by itself."""

    item: ReadinessItem
    check: Check
    detail: str


class PassportShown(Shown):
    """Where a feature stands."""

    passport: PassportDocument
    held: bool = Field(description="Whether stages count for this flag.")
    begun: bool = Field(description="Whether it is written down; else it is what every flag begins with.")
    missing: list[MissingShown] = Field(description="What its stage asks for before a go.")
    findings: list[FindingShown]
    version: int = Field(description="Of the passport; 0 while it is not begun.")


class FeatureShown(Shown):
    """A feature among others."""

    flag: str
    stage: Stage
    since: datetime
    days: float = Field(description="For how long it has been in its stage.")
    has_ended: bool
    overridden: bool = Field(description="Whether an admin went on without what a stage asks for.")
    missing: list[MissingShown]
    blocks: list[str] = Field(
        description="What is in its way, the first first: what its rollout waits for, what is missing or red."
    )


class StageCountShown(Shown):
    """How many features came how far."""

    stage: Stage
    reached: int = Field(description="How many have entered it.")
    ended: int = Field(description="How many ended in it.")
    went_on: float | None = Field(description="How many entered the next one, of so many; null where nobody could.")


class PortfolioShown(Shown):
    """All features of an environment by stage."""

    features: list[FeatureShown] = Field(description="Those furthest first, within a stage the one that waits longest.")
    outside: list[str] = Field(description="Flags that stages do not count for.")
    stages: list[StageCountShown]


class StageDocumentShown(Shown):
    """What a stage has to show."""

    flag: str
    markdown: str


class PilotLeftShown(Shown):
    """The pilot after somebody left it."""

    flag: str
    pilot: ShownPilot | None
