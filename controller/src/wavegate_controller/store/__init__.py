"""Where everything is kept: a relational database, SQLite or PostgreSQL. The only package that knows SQL."""

from wavegate_controller.store.alone import OnlyProcess
from wavegate_controller.store.engine import open_engine
from wavegate_controller.store.unit_of_work import SqlStore

__all__ = ["OnlyProcess", "SqlStore", "open_engine"]
