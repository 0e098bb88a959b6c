"""Only tables that are new, and empty."""

from sqlalchemy import text

NEW = ("account", "browser_session", "login_link", "login_failure", "credential")


def before(connection):
    """Nothing of what is stored is touched."""


def after(connection):
    assert [connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in NEW] == [0] * len(NEW)
