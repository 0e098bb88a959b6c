"""What a backtest found, as a document; and where it was left, so that it can go on."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from wavegate_controller.domain import guardrail
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested, Run, Stand, Trouble
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.rollout import PauseReason, Rollout, State
from wavegate_controller.domain.tally import Place


def backtest_to_document(found: Backtested) -> dict[str, Any]:
    """All but the tracks, which are for drawing."""
    return {
        "plan": found.name,
        "from": found.begin.isoformat(),
        "until": found.until.isoformat(),
        "first_data": found.first_data and found.first_data.isoformat(),
        "last_data": found.last_data and found.last_data.isoformat(),
        "rollouts": [run_to_document(run) for run in found.runs],
        "rolled_back": found.rollbacks,
        "rolled_back_a_week": found.alarms_a_week,
        "completed": sum(run.state is State.COMPLETED for run in found.runs),
        "holds": dict(found.holds),
        "share_without_data": found.silent,
        "troubles": [
            {
                "what": what,
                "from": each.first.isoformat(),
                "until": each.last.isoformat(),
                "looks": each.looks,
            }
            for what, each in found.troubles.items()
        ],
        "limits": {
            name: {"has": needed.gate.limit, "would_have_needed": needed.limit} for name, needed in found.needed.items()
        },
    }


def run_to_document(run: Run) -> dict[str, Any]:
    """One rollout."""
    return {
        "began": run.begin.isoformat(),
        "ended": run.end.isoformat(),
        "state": run.state.value,
        "looks": run.looks,
        "silent": run.silent,
        "holds": dict(run.holds),
        "moves": [
            {
                "at": move.at.isoformat(),
                "event": move.event.value,
                "reason": move.reason,
                "sentence": move.sentence,
                "percent": move.percent,
            }
            for move in run.moves
        ],
    }


def progress_to_text(found: Backtested, question: str) -> str:
    """All that is needed to go on with the replay another day.

    Args:
        found: so far.
        question: what was asked, so that nothing else is gone on with.
    """
    stand = found.stand
    progress = _Progress(
        question=question,
        begin=found.begin,
        until=found.until,
        first_data=found.first_data,
        last_data=found.last_data,
        runs=tuple(found.runs if stand is None else found.runs[:-1]),
        tracks={
            name: _Track(points=each.points, every=each.every, waiting=each.waiting)
            for name, each in found.tracks.items()
        },
        needed={name: _Needed(limit=each.limit, recent=tuple(each.recent)) for name, each in found.needed.items()},
        troubles=found.troubles,
        stand=None if stand is None else _stand(stand),
    )
    return _PROGRESS.dump_json(progress).decode()


def progress_from_text(text: str, found: Backtested, question: str, draft: Rollout) -> None:
    """Go on where it was left, into what was found.

    Raises:
        Invalid: it is no such text, or of another question.
    """
    try:
        progress = _PROGRESS.validate_json(text)
        if progress.question != question:
            raise Invalid(
                "resume", "belongs to another plan, flag, step or way to split", "the same ones, or another file"
            )
        if progress.stand is not None:
            found.stand = _stand_again(progress.stand, draft)
        for name, track in progress.tracks.items():
            mine = found.tracks[name]
            mine.points, mine.every, mine.waiting = track.points, track.every, track.waiting
        for name, needed in progress.needed.items():
            found.needed[name].limit = needed.limit
            found.needed[name].recent.extend(needed.recent)
    except (ValidationError, KeyError) as error:
        raise Invalid("resume", f"holds no replay: {_first(error)}", "a file that a backtest wrote") from None
    found.begin, found.until = progress.begin, progress.until
    found.first_data, found.last_data = progress.first_data, progress.last_data
    found.runs, found.troubles = list(progress.runs), progress.troubles


def begin_of(text: str) -> datetime:
    """When the replay began that the text keeps.

    Raises:
        Invalid: it is no such text.
    """
    try:
        return _PROGRESS.validate_json(text).begin
    except ValidationError as error:
        raise Invalid("resume", f"holds no replay: {_first(error)}", "a file that a backtest wrote") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Track:
    points: list[tuple[datetime, float | None]]
    every: int
    waiting: list[tuple[datetime, float | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Needed:
    limit: float | None
    recent: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Moved:
    """What a replay changes of a rollout."""

    state: State
    pause_reason: PauseReason | None
    wave: int | None
    started_at: datetime | None
    wave_since: datetime | None
    evidence_since: datetime | None
    next_look_at: datetime | None
    final_bake_since: datetime | None
    unwatched: timedelta
    updated_at: datetime
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stand:
    at: datetime
    rollout: _Moved
    run: Run
    place: Place | None
    counted_at: datetime | None
    state: str | None
    folded_since: datetime | None
    kept_since: datetime | None
    kept: dict[str, tuple[Measurement, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Progress:
    question: str
    begin: datetime
    until: datetime
    first_data: datetime | None
    last_data: datetime | None
    runs: tuple[Run, ...]
    tracks: dict[str, _Track]
    needed: dict[str, _Needed]
    troubles: dict[str, Trouble]
    stand: _Stand | None


_PROGRESS: Final = TypeAdapter(_Progress)


def _stand(stand: Stand) -> _Stand:
    return _Stand(
        at=stand.at,
        rollout=_Moved(**{each.name: getattr(stand.rollout, each.name) for each in fields(_Moved)}),
        run=stand.run,
        place=stand.place,
        counted_at=stand.counted_at,
        state=None if stand.state is None else guardrail.save(stand.state).decode(),
        folded_since=stand.folded_since,
        kept_since=stand.kept_since,
        kept=dict(stand.kept),
    )


def _stand_again(kept: _Stand, draft: Rollout) -> Stand:
    policy = draft.plan.policy
    return Stand(
        at=kept.at,
        rollout=replace(draft, **{each.name: getattr(kept.rollout, each.name) for each in fields(_Moved)}),
        run=kept.run,
        place=kept.place,
        counted_at=kept.counted_at,
        state=None if kept.state is None or policy is None else guardrail.load(policy, kept.state.encode()),
        folded_since=kept.folded_since,
        kept_since=kept.kept_since,
        kept=kept.kept,
    )


def _first(error: ValidationError | KeyError) -> str:
    if isinstance(error, KeyError):
        return f"{error} is no gate of the plan"
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
