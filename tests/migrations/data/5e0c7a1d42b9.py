"""A rollout that is under way is claimed by nobody, and code that knows no claims may go on to add others."""

import json
import runpy
from pathlib import Path

from sqlalchemy import text

ROWS = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]
OLDER = [("flag", ROWS["flag"]), ("rollout", ROWS["rollout"]), ("decision", ROWS["decision"])]


def add(connection, table, row):
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def before(connection):
    for table, row in OLDER:
        add(connection, table, row)


def after(connection):
    add(connection, "rollout", ROWS["rollout"] | {"id": "ai-summaries:2"})

    rollouts = connection.execute(text("SELECT id, plan, version, claimed_by, claim_term FROM rollout ORDER BY id"))
    assert [(*row[:1], as_text(row.plan), *row[2:]) for row in rollouts] == [
        ("ai-summaries:1", as_text(ROWS["rollout"]["plan"]), 2, None, 0),
        ("ai-summaries:2", as_text(ROWS["rollout"]["plan"]), 2, None, 0),
    ]
    assert connection.execute(text("SELECT * FROM lease")).all() == []


def as_text(plan):
    return json.dumps(json.loads(plan) if isinstance(plan, str) else plan)
