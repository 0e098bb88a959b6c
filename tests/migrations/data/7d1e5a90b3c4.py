"""A rollout whose gates compare in the old form, with old counts; its plan must be readable and lose no other row."""

import json
import runpy
from pathlib import Path

from sqlalchemy import text

from wavegate_controller.documents import PlanDocument, parse

ROWS = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]
OTHER = {name: value for name, value in ROWS["measurement"].items() if name != "query"}
COUNTS = OTHER | {"id": 2, "gate": "errors", "kind": "counts", "payload": '{"candidate": [5, 1], "stable": [9, 0]}'}
COMPARING = {"margin": 0.5, "absolute_margin": 0.01, "ceiling": 0.3, "stale_after": "5s", "on_no_data": None}
PLAN = {
    "waves": [{"percent": 10.0, "bake": "1h", "approval": "auto"}],
    "gates": [
        {"type": "error_rate", "name": "errors", "kinds": ["error"], "alpha": 0.01, "min_requests": 20} | COMPARING,
        {"type": "error_rate", "name": "slow", "kinds": ["slow"], "alpha": 0.05, "min_requests": 80} | COMPARING,
        {"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 1.0},
    ],
    "interval": "15s",
}
OLDER = [
    ("flag", ROWS["flag"]),
    ("rollout", ROWS["rollout"] | {"plan": json.dumps(PLAN)}),
    ("measurement", OTHER),
    ("measurement", COUNTS),
    ("decision", ROWS["decision"]),
]


def before(connection):
    for table, row in OLDER:
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    document = json.loads(connection.scalar(text("SELECT plan FROM rollout")))
    plan = parse(PlanDocument, document).to_domain()

    assert (plan.guardrail.alpha, plan.guardrail.min_requests) == (0.01, 80)
    assert [(gate.name, gate.margin, gate.ceiling) for gate in plan.compared] == [
        ("errors", 0.5, 0.3),
        ("slow", 0.5, 0.3),
    ]
    assert document["gates"][2] == PLAN["gates"][2]
    assert connection.execute(text("SELECT * FROM measurement")).mappings().all() == [OTHER]
    new = ("wave_before", "wave_since", "evidence_since", "pause_reason_before")
    decision = connection.execute(text("SELECT * FROM decision")).mappings().one()
    assert decision == ROWS["decision"] | dict.fromkeys(new)
