"""Flags and rulesets of two environments; both must be rows afterwards, each as old as what is oldest in it."""

import runpy
from pathlib import Path

from sqlalchemy import text

ROWS = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]
FLAG = ROWS["flag"] | {"created_at": "2026-11-20 12:00:00.000000"}
RULESETS = [
    ROWS["ruleset"] | {"published_at": "2026-11-21 12:00:00.000000"},
    ROWS["ruleset"] | {"environment": "staging", "published_at": "2026-11-19 12:00:00.000000"},
]


def before(connection):
    for table, row in [("flag", FLAG), *(("ruleset", each) for each in RULESETS)]:
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    environments = connection.execute(text("SELECT name, created_at FROM environment ORDER BY name")).all()

    assert environments == [
        (FLAG["environment"], FLAG["created_at"]),
        ("staging", "2026-11-19 12:00:00.000000"),
    ]
