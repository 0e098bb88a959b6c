"""Rollouts over HTTP."""

from typing import Any, Final

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.reading import Act, Judged, Query, SignedRollout, read_body, read_query
from wavegate_controller.api.signing import actor
from wavegate_controller.documents import decision_to_document, rollout_to_document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.transitions import REQUESTS, Event
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.service import queries, rollouts
from wavegate_controller.service.queries import RolloutView
from wavegate_controller.service.services import Services

_LARGEST_ID: Final = 2**63 - 1


class RolloutsQuery(Query):
    """Which rollouts."""

    flag: str | None = None


class DecisionsQuery(Query):
    """Which decisions."""

    limit: int = Field(default=50, ge=1, le=500)
    before: int | None = Field(default=None, ge=1, le=_LARGEST_ID)
    moves_only: bool = False


def make_rollouts(services: Services) -> Blueprint:
    """The paths beneath /rollouts."""
    blueprint = Blueprint("rollouts", __name__, url_prefix="/rollouts")

    @blueprint.get("")
    def overview() -> ResponseReturnValue:
        query = read_query(RolloutsQuery)
        return {"items": [rollout_shown(view) for view in queries.rollouts(services, flag_key=query.flag)]}

    @blueprint.post("")
    def create() -> ResponseReturnValue:
        document = read_body(SignedRollout)
        rollout = rollouts.create_rollout(services, document, actor=actor(document.actor))
        location = url_for(".show", reference=rollout.id)
        return rollout_shown(queries.rollout_view(services, rollout.id)), 201, {"Location": location}

    @blueprint.get("/<reference>")
    def show(reference: str) -> ResponseReturnValue:
        read_query(Query)
        return rollout_shown(queries.rollout_view(services, reference))

    @blueprint.post("/<reference>/judgements")
    def judge(reference: str) -> ResponseReturnValue:
        judged = read_body(Judged)
        name = actor(judged.actor)
        rollout = queries.rollout_view(services, reference).rollout
        rollouts.judge_wave(
            services,
            rollout.id,
            judged.gate,
            VerdictKind(judged.verdict),
            actor=name,
            comment=judged.comment,
            wave=judged.wave,
        )
        return rollout_shown(queries.rollout_view(services, rollout.id))

    @blueprint.post("/<reference>/<event>")
    def act(reference: str, event: str) -> ResponseReturnValue:
        request = _event(event)
        signed = read_body(Act)
        name = actor(signed.actor)
        rollout = queries.rollout_view(services, reference).rollout
        rollouts.act(services, rollout.id, request, actor=name, comment=signed.comment)
        return rollout_shown(queries.rollout_view(services, rollout.id))

    @blueprint.get("/<reference>/decisions")
    def decisions(reference: str) -> ResponseReturnValue:
        query = read_query(DecisionsQuery)
        rollout = queries.rollout_view(services, reference).rollout
        records = queries.history(
            services, rollout.id, limit=query.limit, before=query.before, moves_only=query.moves_only
        )
        return {"items": [decision_to_document(record) for record in records]}

    return blueprint


def rollout_shown(view: RolloutView) -> dict[str, Any]:
    """The document of a rollout as it was read."""
    return rollout_to_document(
        view.rollout,
        latest=view.latest,
        moved=view.moved,
        flag_enabled=view.flag_enabled,
        guardrail=view.guardrail,
    )


def _event(name: str) -> Event:
    if name not in REQUESTS:
        raise Invalid("event", f"{name!r} cannot be asked for", "one of " + ", ".join(sorted(REQUESTS)))
    return Event(name)
