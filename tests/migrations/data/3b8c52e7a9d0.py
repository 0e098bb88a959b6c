"""Rows of the older tables stay; the chain is empty, has a head, and takes no change but an entry more."""

import runpy
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

OLDER = runpy.run_path(str(Path(__file__).with_name("98556ca12baf.py")))["ROWS"]


def before(connection):
    for table in ("flag", "ruleset"):
        row = OLDER[table]
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)


def after(connection):
    assert connection.execute(text("SELECT key FROM flag")).all() == [("ai-summaries",)]
    assert connection.execute(text("SELECT sequence, hash FROM audit_head")).all() == [(0, "0" * 64)]
    assert connection.execute(text("SELECT * FROM audit")).all() == []
    for statement in ("DELETE FROM audit_head", "UPDATE audit_head SET hash = 'x'"):
        with pytest.raises(DBAPIError, match="append-only"), connection.begin_nested():
            connection.execute(text(statement))
