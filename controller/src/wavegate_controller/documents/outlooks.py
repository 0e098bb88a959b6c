"""Outlooks and forecasts as documents."""

from datetime import timedelta
from typing import Any

from wavegate_controller.domain.forecast import Forecast
from wavegate_controller.domain.foresight.outlook import Outlook, Spell, WaveOutlook
from wavegate_controller.domain.foresight.traffic import Traffic
from wavegate_controller.domain.rollout import Rollout


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


def forecast_to_document(rollout: Rollout, found: Forecast | None) -> dict[str, Any]:
    """An hour of the next wave."""
    return {
        "rollout": rollout.id,
        "percent": found and found.percent,
        "requests": found and found.requests,
        "next_requests": found and found.next_requests,
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
