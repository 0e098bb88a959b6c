"""What a backtest found, as a document."""

from datetime import datetime
from typing import Any

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.replayed import Backtested, Move, Run
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event


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


def run_from_document(document: dict[str, Any]) -> Run:
    """The rollout that was written down.

    Raises:
        Invalid: it is no such document.
    """
    try:
        return Run(
            begin=datetime.fromisoformat(document["began"]),
            end=datetime.fromisoformat(document["ended"]),
            state=State(document["state"]),
            looks=document["looks"],
            silent=document["silent"],
            holds=document["holds"],
            moves=tuple(
                Move(
                    at=datetime.fromisoformat(move["at"]),
                    event=Event(move["event"]),
                    reason=move["reason"],
                    sentence=move["sentence"],
                    percent=move["percent"],
                )
                for move in document["moves"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid("resume", f"holds no rollouts: {error!r}", "a file that a backtest wrote") from None
