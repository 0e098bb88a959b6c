"""How Alembic runs the scripts beside it: on the connection of `store.migrate`, or by hand on `-x database_url=...`."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection

from wavegate_controller.store.engine import open_engine
from wavegate_controller.store.tables import UTCDateTime, metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite alters tables only by building them anew; on other databases the batch is a plain ALTER.
        render_as_batch=True,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """A script stays as it is while the code goes on, so a type of ours is written as what the database sees."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = open_engine(context.get_x_argument(as_dictionary=True).get("database_url", "sqlite:///wavegate.db"))
    with engine.begin() as opened:
        run(opened)
    engine.dispose()
