"""Rows of the older tables stay, and nobody waits."""

import runpy
from pathlib import Path

from sqlalchemy import text

older = runpy.run_path(str(Path(__file__).with_name("3b8c52e7a9d0.py")))

before = older["before"]


def after(connection):
    assert connection.execute(text("SELECT key FROM flag")).all() == [("ai-summaries",)]
    assert connection.execute(text("SELECT * FROM device_login")).all() == []
