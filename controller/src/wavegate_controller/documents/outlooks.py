"""Outlooks, findings, forecasts and what came of dry runs as documents."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from wavegate_controller.domain.forecast import Forecast
from wavegate_controller.domain.foresight.calibration import Arms, Calibration
from wavegate_controller.domain.foresight.dry_run import Compared, counted
from wavegate_controller.domain.foresight.findings import Finding
from wavegate_controller.domain.foresight.outlook import Outlook, Spell, WaveOutlook
from wavegate_controller.domain.foresight.traffic import Traffic
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.domain.transitions import Event


def outlook_to_document(flag: str, traffic: Traffic, found: Outlook) -> dict[str, Any]:
    """All that an estimate says; times in seconds."""
    return {
        "flag": flag,
        "traffic": {
            "requests_per_second": traffic.requests_per_second,
            "users": traffic.users,
            "metrics": {
                name: {"mean": each.mean, "spread": each.spread, "clumping": each.clumping}
                for name, each in traffic.metrics.items()
            },
        },
        "waves": [_wave(each) for each in found.waves],
        "total": _spell(found.total),
        "rehearsals": found.rehearsals,
        "ends": {end.value: number for end, number in found.ends.items()},
        "wrong_rollback": {
            "found": found.wrong_rollback[0],
            "at_most": found.wrong_rollback[1],
            "promised": found.promised,
        },
        "advice": list(found.advice),
    }


def calibration_to_document(found: Calibration) -> dict[str, Any]:
    """What an A/A rollout shows."""
    low, high = found.alarm_rate or (None, None)
    return {
        "rollout": found.rollout.id,
        "state": found.rollout.state.value,
        "planned_share": found.planned,
        "users": None if found.users is None else _arms(found.users),
        "requests": _arms(found.requests),
        "sample_ratio_evidence": found.mismatch,
        "gates": [asdict(each) for each in found.gates],
        "beside": [{"flag": each.other, "share": each.share, "chi_square": each.chi_square} for each in found.overlaps],
        "alarms": {
            "ended": found.ended,
            "false_alarms": found.alarms,
            "at_least": low,
            "at_most": high,
            "promised": found.promised,
        },
        "fails": list(found.fails),
    }


def _arms(arms: Arms) -> dict[str, Any]:
    return {"candidate": arms.candidate, "stable": arms.stable, "share": arms.share}


def findings_to_documents(subject: str, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What lint found in the gates of a rollout, or of an object of a configuration."""
    return [
        {
            "subject": subject,
            "gate": each.gate,
            "rule": each.rule.value,
            "severity": each.severity.value,
            "found": each.found,
            "why": each.why,
            "mend": each.mend,
            "suppressed": each.suppressed,
        }
        for each in findings
    ]


def forecast_to_document(rollout: Rollout, found: Forecast | None) -> dict[str, Any]:
    """An hour of the next wave."""
    return {
        "rollout": rollout.id,
        "percent": found and found.percent,
        "requests": found and found.requests,
        "next_requests": found and found.next_requests,
        "low_requests": found and found.low_requests,
        "high_requests": found and found.high_requests,
        "users": found and found.users and asdict(found.users),
        "extras": [
            {
                "gate": each.gate,
                "what": each.what,
                "now": each.now,
                "next": each.next,
                "low": each.low,
                "high": each.high,
                "budget": each.budget,
                "over": each.over,
                "burn": each.burn and asdict(each.burn),
            }
            for each in (found.extras if found else ())
        ],
    }


def _wave(wave: WaveOutlook) -> dict[str, Any]:
    return {
        "number": wave.number,
        "percent": wave.share * 100,
        "takes": _spell(wave.takes),
        "because": wave.because and wave.because.value,
        "passed": wave.passed,
        "candidate_requests": round(wave.candidate_requests),
        "stable_requests": round(wave.stable_requests),
        "users": None if wave.users is None else round(wave.users),
        "visible_regression": wave.visible,
        "visible_after_requests": None if wave.visible_requests is None else round(wave.visible_requests),
    }


def _spell(spell: Spell | None) -> dict[str, float] | None:
    if spell is None:
        return None
    return {name: _seconds(getattr(spell, name)) for name in ("low", "middle", "high")}


def _seconds(time: timedelta) -> float:
    return time.total_seconds()


def comparison_to_document(rollout_id: str, compared: Sequence[Compared]) -> dict[str, Any]:
    """What a dry run would have done, beside what was done."""
    return {
        "rollout": rollout_id,
        "outcomes": {outcome.value: number for outcome, number in counted(compared).items()},
        "compared": [_compared(each) for each in compared],
    }


def _compared(each: Compared) -> dict[str, Any]:
    first = each.wish or each.act
    wave = None if first is None else first.wave_before
    return {
        "outcome": each.outcome.value,
        "wave": None if wave is None else wave + 1,
        "would": None if each.wish is None else _move(each.wish, each.would or each.wish.event),
        "did": None if each.act is None else _move(each.act, each.act.event),
        "lag_seconds": None if each.lag is None else each.lag.total_seconds(),
    }


def _move(record: DecisionRecord, event: Event) -> dict[str, Any]:
    return {
        "decision": record.id,
        "at": record.at.isoformat(),
        "event": event.value,
        "actor": record.actor,
        "reason": record.reason.value,
        "sentence": record.sentence,
        "comment": record.comment,
    }
