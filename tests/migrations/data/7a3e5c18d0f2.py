"""A flag that was there is drilled by one person at a time."""

import runpy
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

older = runpy.run_path(str(Path(__file__).with_name("3b8c52e7a9d0.py")))

before = older["before"]


def after(connection):
    ((environment, key),) = connection.execute(text("SELECT environment, key FROM flag")).all()
    begin = text("INSERT INTO drill (environment, flag_key, is_over, document, version) VALUES (:e, :k, :o, '{}', 1)")
    row = {"e": environment, "k": key, "o": False}
    connection.execute(begin, row)

    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(begin, row)
