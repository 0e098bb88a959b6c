"""An environment that was there acts as it did."""

from sqlalchemy import text


def before(connection):
    connection.execute(
        text(
            "INSERT INTO environment (name, description, created_at)"
            " VALUES ('lab', 'to try', '2026-01-01 12:00:00.000000')"
        )
    )


def after(connection):
    found = connection.execute(text("SELECT name, description, dry_run FROM environment WHERE name = 'lab'")).all()
    assert [(name, description, bool(dry_run)) for name, description, dry_run in found] == [("lab", "to try", False)]
