"""Rows of every table stay, without approvals, pins, targeting and circumstances, and can be read by the code."""

import json
import runpy
from pathlib import Path

from sqlalchemy import text

OLDER = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]
ROWS = OLDER | {"measurement": {name: value for name, value in OLDER["measurement"].items() if name != "query"}}
ROWS.pop("counter_cursor")


def before(connection):
    for table, row in ROWS.items():
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    flag = connection.execute(text("SELECT * FROM flag")).mappings().one()
    assert flag.items() >= ROWS["flag"].items()
    assert [flag[name] for name in ("prerequisites", "targeting", "stopped", "archived_at")] == [None] * 4

    rollout = connection.execute(text("SELECT * FROM rollout")).mappings().one()
    assert rollout.items() >= ROWS["rollout"].items()
    assert json.loads(rollout["approvals"]) == []
    assert (rollout["pin"], rollout["final_bake_since"], rollout["unwatched"], rollout["template"]) == (
        None,
        None,
        0,
        None,
    )

    assert connection.scalar(text("SELECT circumstances FROM decision")) is None
