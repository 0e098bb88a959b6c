"""Asking the webhooks of a rollout's plan, each only while its word may move the rollout, and never waiting for one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wavegate_controller.domain.gates import WebhookGate
from wavegate_controller.domain.looks import is_due
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.rollout import Rollout
from wavegate_controller.service.services import Services


def ask_webhooks(services: Services, rollout: Rollout, *, now: datetime) -> tuple[Measurement, ...]:
    """What those said whose answers have come; whose answer has not come yet is looked for at the next look."""
    gates = [gate for gate in rollout.plan.gates if isinstance(gate, WebhookGate)]
    if not gates or rollout.wave_since is None:
        return ()
    with services.store.transaction() as work:
        earlier = work.evidence.since(rollout.id, rollout.wave_since)
    measured = []
    for gate in gates:
        if not is_due(gate, earlier, rollout=rollout, now=now):
            continue
        key = f"{rollout.id} {rollout.wave_since.isoformat()} {gate.name}"
        asked = services.webhooks.ask(key, gate.url, question(gate, rollout, now=now), timeout=gate.timeout, now=now)
        if asked is not None:
            measured.append(Measurement(gate=gate.name, at=now, query=gate.url, answer=asked))
    return tuple(measured)


def question(gate: WebhookGate, rollout: Rollout, *, now: datetime) -> Mapping[str, Any]:
    """The body of a question: which rollout, which wave, which gate."""
    wave = rollout.current_wave
    return {
        "gate": gate.name,
        "rollout": rollout.id,
        "flag": rollout.flag_key,
        "environment": rollout.environment,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "state": rollout.state.value,
        "wave": {
            "number": (rollout.wave or 0) + 1,
            "of": len(rollout.plan.waves),
            "percent": None if wave is None else percent(wave.weight),
            "since": rollout.wave_since and rollout.wave_since.isoformat(),
        },
        "asked_at": now.isoformat(),
    }
