"""From flags and rollouts to the ruleset that every SDK evaluates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from wavegate import evaluation
from wavegate.evaluation.deltas import document_hash
from wavegate_controller.domain.catalog import Segment
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.rollout import Rollout, State


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRuleset:
    """One revision as it goes over the wire; it never changes again.

    Attributes:
        revision: rises by one with each change of what users get.
        body: canonical JSON.
        etag: strong validator of the body, without quotes.
    """

    environment: str
    revision: int
    body: bytes
    etag: str
    published_at: datetime


def publish(
    *,
    environment: str,
    revision: int,
    flags: Iterable[Flag],
    serving: Mapping[str, Rollout],
    now: datetime,
    segments: Iterable[Segment] = (),
) -> PublishedRuleset:
    """Compile one revision.

    Args:
        environment: whose flags these are.
        revision: the number after the one in force.
        flags: all flags of the environment; those archived are left out.
        serving: flag key to the rollout that decides its weight: the newest that was ever started.
        now: aware UTC time of the publication.
        segments: all segments of the environment.

    Raises:
        InvalidRuleset: flags and segments do not fit each other.
    """
    ruleset = evaluation.Ruleset(
        environment=environment,
        revision=revision,
        flags={flag.key: _compiled(flag, serving.get(flag.key)) for flag in flags if flag.archived_at is None},
        segments={segment.key: segment.condition for segment in segments},
    )
    body = evaluation.ruleset_to_json(ruleset)
    return PublishedRuleset(
        environment=environment,
        revision=revision,
        body=body,
        etag=document_hash(body),
        published_at=now,
    )


def _compiled(flag: Flag, rollout: Rollout | None) -> evaluation.Flag:
    if rollout is None:
        return flag.compiled(None, as_served=True)
    compiled = evaluation.Rollout(
        stable=rollout.stable,
        candidate=rollout.candidate,
        weight=rollout.weight,
        holdout=evaluation.Holdout(weight=rollout.hold_out) if rollout.hold_out else None,
    )
    return flag.compiled(compiled, with_pilot=_has_pilot(flag, rollout), as_served=True)


def _has_pilot(flag: Flag, rollout: Rollout) -> bool:
    """Back to stable is back to stable for the pilot, too, until a human chooses one anew."""
    if flag.pilot is None:
        return False
    return rollout.state not in (State.ROLLED_BACK, State.CANCELLED) or flag.pilot.since > rollout.updated_at
