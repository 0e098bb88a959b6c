"""`wavegate db`: the schema by hand. `wavegate serve` brings it up to date by itself."""

import click

from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.settings import takes_settings
from wavegate_controller.config import Config
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import OnlyProcess, migrate, open_engine


@click.group
def db() -> None:
    """Bring the database to this version, or check that it is."""


@db.command
@takes_settings
def upgrade(config: Config) -> None:
    """Create the database, or run the migrations that it lacks."""
    engine = open_engine(config.database_url)
    OnlyProcess(engine)
    migrate.upgrade(engine)
    click.echo("the database is up to date")


@db.command
@takes_settings
def check(config: Config) -> None:
    """Exit with 1 unless the database has the schema of this version."""
    engine = open_engine(config.database_url)
    try:
        migrate.check(engine)
    except Invalid as refusal:
        raise Refused(str(refusal)) from None
    click.echo("the database is up to date")
