"""Compare all gates together.

REASON: gates that compare share one test with one alpha, counted by cohort, and a decision can be recomputed. The plan
says once what its gates said each, counts without cohorts are dropped (the test of a running rollout begins anew), and
a decision keeps the wave and the evidence that it was made on.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "7d1e5a90b3c4"
down_revision = "c4f2d86b1e07"
branch_labels = None
depends_on = None

# "pre": runs before the code that needs it (adds). "post": runs once no code needs the old form (removes).
phase = "post"


def upgrade() -> None:
    with op.batch_alter_table("decision") as decision:
        decision.add_column(sa.Column("wave_before", sa.Integer(), nullable=True))
        decision.add_column(sa.Column("wave_since", sa.DateTime(timezone=True), nullable=True))
        decision.add_column(sa.Column("evidence_since", sa.DateTime(timezone=True), nullable=True))
        decision.add_column(sa.Column("pause_reason_before", sa.String(), nullable=True))
    op.execute("DELETE FROM measurement WHERE kind = 'counts'")
    rewrite_plans(shared)


def downgrade() -> None:
    rewrite_plans(single)
    op.execute("DELETE FROM measurement WHERE kind = 'counts'")
    with op.batch_alter_table("decision") as decision:
        for name in ("pause_reason_before", "evidence_since", "wave_since", "wave_before"):
            decision.drop_column(name)


def rewrite_plans(change: Any) -> None:
    rollout = sa.table("rollout", sa.column("id", sa.String), sa.column("plan", sa.JSON))
    for rollout_id, plan in op.get_bind().execute(sa.select(rollout.c.id, rollout.c.plan)).all():
        changed = change(json.loads(plan) if isinstance(plan, str) else plan)
        op.get_bind().execute(sa.update(rollout).where(rollout.c.id == rollout_id).values(plan=changed))


def shared(plan: dict[str, Any]) -> dict[str, Any]:
    """One alpha for all: the smallest that a gate had; waves must be as long as the longest-winded gate wanted."""
    said: dict[str, list[Any]] = {"alpha": [], "min_requests": []}
    for gate in plan["gates"]:
        if gate["type"] == "error_rate":
            gate.pop("stale_after", None)
            for name, values in said.items():
                if name in gate:
                    values.append(gate.pop(name))
    guardrail = {}
    if said["alpha"]:
        # Never above what leaves room for suspicion.
        guardrail["alpha"] = min(*said["alpha"], 0.4)
    if said["min_requests"]:
        guardrail["min_requests"] = max(said["min_requests"])
    return {**plan, "guardrail": guardrail}


def single(plan: dict[str, Any]) -> dict[str, Any]:
    """What was shared goes back to each gate; what the gates learned since is lost, and values are not compared."""
    shared = plan.pop("guardrail", {})
    gates = [gate for gate in plan["gates"] if gate["type"] != "value"]
    for gate in gates:
        if gate["type"] != "error_rate":
            continue
        for name in ("early_harm", "final_margin", "gate_absolute_margin", "weight", "rollback_only"):
            gate.pop(name, None)
        for name in ("absolute_margin", "ceiling"):
            if gate.get(name) is None:
                gate.pop(name, None)
        gate |= {name: shared[name] for name in ("alpha", "min_requests") if name in shared}
    for wave in plan["waves"]:
        for name in ("target", "suspicion_limit", "maximum"):
            wave.pop(name, None)
    return {**plan, "gates": gates or [{"type": "error_rate"}]}
