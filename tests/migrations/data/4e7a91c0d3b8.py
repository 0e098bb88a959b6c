"""Nothing was said before; what is said afterwards is kept once."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

SAID = text(
    "INSERT INTO feedback (environment, key, flag_key, variant, thumbs_up, comment, source, at, is_erased)"
    " VALUES ('production', 'id:1', 'ai-summaries', 'on', true, '', 'server', '2026-01-01 12:00:00.000000', false)"
)


def before(connection):
    pass


def after(connection):
    assert connection.execute(text("SELECT count(*) FROM feedback")).scalar() == 0

    connection.execute(SAID)
    with pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(SAID)
