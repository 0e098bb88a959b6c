"""The stages of features over HTTP."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.reading import Act, Query
from wavegate_controller.documents.flags import flag_to_document
from wavegate_controller.documents.passports import (
    DiscoveryDocument,
    PartDocument,
    PilotStageDocument,
    ProofOfConceptDocument,
    ReadinessDocument,
    passport_to_document,
)
from wavegate_controller.documents.reading import examples
from wavegate_controller.documents.stages import (
    PassportShown,
    PilotLeftShown,
    PortfolioShown,
    StageDocumentShown,
    StageName,
)
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict, StaleVersion
from wavegate_controller.domain.passport import Missing, Outcome, ReadinessItem, Stage, Unmet
from wavegate_controller.service import passports as service
from wavegate_controller.service.passports import PassportView, Portfolio
from wavegate_controller.service.services import Services

passports: Final = Operations("stages", "From discovery to scale: where each feature stands, and what it lacks.")


class Part(Act):
    """What every part of a passport is signed with."""

    version: int | None = Field(default=None, ge=0, description="Of the passport that was read, 0 for none.")


class StageQuery(Query):
    """Which stage."""

    stage: StageName | None = Field(default=None, description="By default the present one.")


class SignedDiscovery(DiscoveryDocument, Part):
    """The part of discovery, signed."""


class SignedProofOfConcept(ProofOfConceptDocument, Part):
    """The part of the proof of concept, signed."""


class SignedPilotStage(PilotStageDocument, Part):
    """The part of the pilot, signed."""


class SignedReadiness(ReadinessDocument, Part):
    """The part of production readiness, signed."""


class Leave(Act):
    """How a stage is left, signed."""

    model_config = examples({"outcome": "go", "reason": "188 of 200 were complete", "actor": "ada"})

    outcome: Outcome = Field(strict=False, description="A go takes an approver, an override an admin.")
    reason: str = Field(description="Why.")
    to: Stage | None = Field(default=None, strict=False, description="For a way back or an override, where to.")
    version: int | None = Field(default=None, ge=0, description="Of the passport that was read, 0 for none.")


class Acknowledge(Act):
    """Whose item it is, signed."""

    model_config = examples({"item": "support", "actor": "ada"})

    item: ReadinessItem = Field(strict=False, description="Of the checklist.")


class LeavePilot(Act):
    """Who leaves the pilot, signed."""

    model_config = examples({"targeting_key": "cleo", "actor": "ada"})

    targeting_key: str = Field(min_length=1, description="Who does not want to take part.")


@passports.get("/passports", "List the features by stage", answer=PortfolioShown)
def show_portfolio(services: Services, by: Principal, query: Query) -> ResponseReturnValue:  # noqa: ARG001 - the environment
    """Which stage each is in, for how long, what blocks it, and where features end."""
    return _portfolio(service.portfolio(services, by=by))


@passports.get("/flags/{key}/passport", "Show where a feature stands", answer=PassportShown)
def show_passport(services: Services, by: Principal, key: str) -> ResponseReturnValue:
    """With all that its stages asked for, what the present one lacks, and every decision."""
    return _shown(service.get_passport(services, key, by=by))


@passports.get("/flags/{key}/passport/document", "Show what a stage has to show", answer=StageDocumentShown)
def show_stage_document(services: Services, by: Principal, key: str, query: StageQuery) -> ResponseReturnValue:
    """As Markdown, for people outside of Wavegate."""
    stage = None if query.stage is None else Stage(query.stage)
    return {"flag": key, "markdown": service.stage_document(services, key, stage, by=by)}


@passports.put(
    "/flags/{key}/passport/discovery",
    "Write the part of discovery",
    answer=PassportShown,
    problems=[Conflict, StaleVersion],
)
def write_discovery(services: Services, by: Principal, key: str, body: SignedDiscovery) -> ResponseReturnValue:
    """As a whole."""
    return _write(services, by, key, Stage.DISCOVERY, DiscoveryDocument, body)


@passports.put(
    "/flags/{key}/passport/proof_of_concept",
    "Write the part of the proof of concept",
    answer=PassportShown,
    problems=[Conflict, StaleVersion],
)
def write_proof_of_concept(
    services: Services, by: Principal, key: str, body: SignedProofOfConcept
) -> ResponseReturnValue:
    """As a whole."""
    return _write(services, by, key, Stage.PROOF_OF_CONCEPT, ProofOfConceptDocument, body)


@passports.put(
    "/flags/{key}/passport/pilot",
    "Write the part of the pilot",
    answer=PassportShown,
    problems=[Conflict, StaleVersion],
)
def write_pilot(services: Services, by: Principal, key: str, body: SignedPilotStage) -> ResponseReturnValue:
    """As a whole. In the pilot's stage its people are served at once."""
    return _write(services, by, key, Stage.PILOT, PilotStageDocument, body)


@passports.put(
    "/flags/{key}/passport/production_ready",
    "Write the checklist of production readiness",
    answer=PassportShown,
    problems=[Conflict, StaleVersion],
)
def write_readiness(services: Services, by: Principal, key: str, body: SignedReadiness) -> ResponseReturnValue:
    """As a whole."""
    return _write(services, by, key, Stage.PRODUCTION_READY, ReadinessDocument, body)


@passports.post(
    "/flags/{key}/passport/decisions",
    "Leave a stage",
    answer=PassportShown,
    problems=[Conflict, StaleVersion, Unmet],
    permission=Permission.APPROVE,
)
def decide_stage(services: Services, by: Principal, key: str, body: Leave) -> ResponseReturnValue:
    """Go, no-go, back, or an admin's override. A go is refused until nothing is missing, and says what is."""
    decided = service.decide(
        services, key, body.outcome, by=by, reason=body.reason, to=body.to, expected_version=body.version
    )
    return _shown(decided)


@passports.post(
    "/flags/{key}/passport/acknowledgements",
    "Say that one owns an item of the checklist",
    answer=PassportShown,
    problems=[Conflict, StaleVersion],
    permission=Permission.READ,
)
def acknowledge_item(services: Services, by: Principal, key: str, body: Acknowledge) -> ResponseReturnValue:
    """Only its owner can."""
    return _shown(service.acknowledge(services, key, body.item, by=by))


@passports.post("/flags/{key}/pilot/leave", "Take somebody out of the pilot", answer=PilotLeftShown)
def leave_pilot(services: Services, by: Principal, key: str, body: LeavePilot) -> ResponseReturnValue:
    """At once. May be repeated."""
    flag = service.leave_pilot(services, key, body.targeting_key, by=by, comment=body.comment)
    return {"flag": flag.key, "pilot": flag_to_document(flag)["pilot"]}


def _write(
    services: Services, by: Principal, key: str, stage: Stage, model: type[PartDocument], body: Any
) -> ResponseReturnValue:
    part = model.model_construct(**{name: getattr(body, name) for name in model.model_fields})
    written = service.write_part(services, key, stage, part, by=by, comment=body.comment, expected_version=body.version)
    return _shown(written)


def _shown(view: PassportView) -> dict[str, Any]:
    return {
        "passport": passport_to_document(view.passport),
        "held": view.is_held,
        "begun": view.is_begun,
        "missing": _missing(view.missing),
        "findings": [
            {"item": item, "check": found.check, "detail": found.detail} for item, found in view.findings.items()
        ],
        "version": view.passport.version if view.is_begun else 0,
    }


def _portfolio(found: Portfolio) -> dict[str, Any]:
    return {
        "features": [
            {
                "flag": view.passport.flag_key,
                "stage": view.passport.stage,
                "since": view.passport.since.isoformat(),
                "days": round(found.age(view) / timedelta(days=1), 2),
                "has_ended": view.passport.has_ended,
                "overridden": bool(view.passport.overrides),
                "missing": _missing(view.missing),
                "blocks": list(found.blocks(view)),
            }
            for view in found.views
        ],
        "outside": list(found.outside),
        "stages": [
            {
                "stage": stage,
                "reached": found.reached[stage],
                "ended": found.ended[stage],
                "went_on": found.conversion(stage),
            }
            for stage in Stage
        ],
    }


def _missing(missing: Sequence[Missing]) -> list[dict[str, str]]:
    return [{"field": each.field, "problem": each.problem} for each in missing]
