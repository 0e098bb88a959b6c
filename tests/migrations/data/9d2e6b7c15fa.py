"""A decision that was there was made without a review, and stays as it is."""

import runpy
from pathlib import Path

from sqlalchemy import text

ROWS = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]


def before(connection):
    for table in ("flag", "rollout", "decision"):
        row = ROWS[table]
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    decision = connection.execute(text("SELECT * FROM decision")).mappings().one()

    assert decision.items() >= ROWS["decision"].items()
    assert decision["review"] is None
