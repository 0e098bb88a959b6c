"""A plan beside the data there are now: what its gates would say, what is wrong with them, how long it will take."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from wavegate_controller.documents import RolloutDocument
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.findings import Finding
from wavegate_controller.domain.foresight.outlook import Outlook, outlook
from wavegate_controller.domain.foresight.rehearsal import rehearse
from wavegate_controller.domain.foresight.supposed import supposed
from wavegate_controller.domain.gates import ThresholdGate
from wavegate_controller.domain.measurement import Answer, Broken
from wavegate_controller.domain.rollout import Rollout, check_variants
from wavegate_controller.service.linted import look
from wavegate_controller.service.measure import threshold_query
from wavegate_controller.service.services import Services
from wavegate_controller.service.traffic import measure_traffic

#: How far back traffic is counted, and how often the rollout is rehearsed: a page is waited for.
_OVER: Final = timedelta(hours=1)
_REHEARSALS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """A plan, and what there is to say of it before it begins.

    Attributes:
        rollout: that the plan would be in its first wave.
        values: of each threshold gate, what its query gives now.
        queries: of each threshold gate, filled in for this flag.
        findings: of the lint.
        only_text: why they go by the text of the gates alone; empty where the metrics server was asked.
        expected: how long each wave will take; None where nothing compares, or nothing is counted yet.
        why_not: why there is nothing expected.
    """

    rollout: Rollout
    values: Mapping[str, Answer] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    only_text: str = ""
    expected: Outlook | None = None
    why_not: str = ""


def preview(services: Services, document: RolloutDocument, *, by: Principal) -> Preview:
    """Look at a plan; nothing is written down.

    Raises:
        Invalid: a field is wrong.
        NotFound: there is no such flag.
        Forbidden: they may not.
    """
    by.require(Permission.EDIT, services.environment)
    plan, now = document.plan_to_domain(), services.clock.now()
    with services.store.transaction() as work:
        flag = work.flags.get(services.environment, document.flag)
        elsewhere = frozenset(each.name for each in work.environments.list()) - {services.environment}
    stable = document.stable or flag.default_variant
    check_variants(flag, stable=stable, candidate=document.candidate)
    rollout = replace(
        supposed(flag.key, plan, stable=stable, candidate=document.candidate, at=now), environment=services.environment
    )
    queries = {gate.name: threshold_query(gate, rollout) for gate in plan.gates if isinstance(gate, ThresholdGate)}
    if isinstance(down := services.provider.query("vector(1)", at=now), Broken):
        why_not = f"the metrics server cannot be asked: {down.detail}"
        return Preview(
            rollout=rollout,
            queries=queries,
            values=dict.fromkeys(queries, down),
            findings=look(replace(services, history=None), [rollout])[rollout.id],
            only_text=why_not,
            why_not=why_not,
        )
    values = {name: services.provider.query(query, at=now) for name, query in queries.items()}
    expected, why_not = _expected(services, rollout, elsewhere)
    return Preview(
        rollout=rollout,
        values=values,
        queries=queries,
        findings=look(services, [rollout])[rollout.id],
        only_text="" if services.history else "this source of metrics has no past",
        expected=expected,
        why_not=why_not,
    )


def _expected(services: Services, rollout: Rollout, elsewhere: frozenset[str]) -> tuple[Outlook | None, str]:
    policy = rollout.plan.policy
    if policy is None:
        return None, "no gate compares, so that each wave takes as long as it takes"
    now = services.clock.now()
    try:
        measured = measure_traffic(
            services.provider,
            rollout.plan,
            rollout.flag_key,
            stable=rollout.stable,
            at=now,
            over=_OVER,
            elsewhere=elsewhere,
        )
    except Invalid as refusal:
        return None, f"the {refusal.field} {refusal.problem}"
    chance = random.Random(rollout.flag_key)  # noqa: S311 - nobody's secret
    return outlook(
        policy, measured.traffic, [rehearse(policy, measured.traffic, chance) for _ in range(_REHEARSALS)]
    ), ""
