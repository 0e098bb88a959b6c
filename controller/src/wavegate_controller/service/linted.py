"""Lint wherever a plan enters: within seconds, and no rollout starts in spite of an error without a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event, Thread
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.foresight.findings import Finding, suppress
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.domain.gates import ManualGate
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.ports import MetricHistory
from wavegate_controller.service.linting import Lint, cannot_look, seen_in_text
from wavegate_controller.service.services import Services

#: Somebody waits for it. What was not looked at by then is a warning.
_LONGEST_SECONDS: Final = 5.0
_BETWEEN_LOOKS: Final = 0.05


class _Over(Exception):
    """Nobody waits any more."""


def look(services: Services, rollouts: Sequence[Rollout]) -> Mapping[str, Sequence[Finding]]:
    """Id of each rollout to what is wrong with its gates, the worst first, what its plan allows last.

    No transaction may be open: the metrics server and the plans' webhooks are asked. Where there is no metrics server
    to ask, only what the text of the gates says is found.
    """
    firsts = [_in_first_wave(services, each) for each in rollouts]
    looked = {} if services.history is None else _asked(services, services.history, firsts)
    return {each.id: suppress(_of(each, looked), each.plan.allowances) for each in firsts}


def look_at(services: Services, rollout: Rollout, *, by: Principal) -> Sequence[Finding]:
    """What is wrong with the gates of a rollout that is there.

    Raises:
        Forbidden: they may not: other people's webhooks are asked.
    """
    by.require(Permission.EDIT, rollout.environment)
    return look(services, [rollout])[rollout.id]


def look_before_start(services: Services, rollout_id: str, *, by: Principal) -> tuple[Sequence[Finding], int]:
    """The same for a draft, and the version that was looked at; of a rollout that is no draft nothing is looked at.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not.
    """
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
    found = look_at(services, rollout, by=by) if rollout.state is State.DRAFT else ()
    return found, rollout.version


def _in_first_wave(services: Services, rollout: Rollout) -> Rollout:
    now = services.clock.now()
    first = supposed(rollout.flag_key, rollout.plan, stable=rollout.stable, candidate=rollout.candidate, at=now)
    return replace(first, id=rollout.id, environment=rollout.environment)


def _of(rollout: Rollout, looked: Mapping[str, Mapping[str, Sequence[Finding]]]) -> list[Finding]:
    """What was found gate by gate, and what the text says of those that were not reached in time."""
    gates = looked.get(rollout.id)
    found: list[Finding] = []
    for gate in rollout.plan.gates:
        if gates is not None and gate.name in gates:
            found += gates[gate.name]
            continue
        found += seen_in_text(gate, rollout)
        if gates is not None and not isinstance(gate, ManualGate):
            found.append(cannot_look(gate, f"there was no answer within {_LONGEST_SECONDS:g} s"))
    return found


def _asked(
    services: Services, history: MetricHistory, rollouts: Sequence[Rollout]
) -> Mapping[str, Mapping[str, Sequence[Finding]]]:
    """Rollout to gate to findings, as far as they came in time; in a thread, so that nobody waits for who hangs."""
    over = Event()
    with services.store.transaction() as work:
        environments = frozenset(each.name for each in work.environments.list())
    looked: dict[str, dict[str, Sequence[Finding]]] = {each.id: {} for each in rollouts}
    failures: list[Exception] = []
    now = services.clock.now()

    def pause() -> None:
        if over.wait(_BETWEEN_LOOKS):
            raise _Over

    def run() -> None:
        try:
            for rollout in rollouts:
                lint = Lint(
                    history=history,
                    webhooks=services.webhooks,
                    rollout=rollout,
                    now=now,
                    pause=pause,
                    elsewhere=environments - {rollout.environment},
                )
                for gate, found in lint.findings():
                    looked[rollout.id][gate] = found
                    if over.is_set():
                        return
        except _Over:
            return
        except Exception as failure:  # noqa: BLE001 - raised again by whoever waits
            failures.append(failure)

    thread = Thread(target=run, name="lint", daemon=True)
    thread.start()
    thread.join(_LONGEST_SECONDS)
    over.set()
    if failures:
        raise failures[0]
    return {rollout_id: dict(gates) for rollout_id, gates in looked.items()}
