"""`wavegate db`: the database by hand. `wavegate serve` brings it up to date by itself, as far as is safe."""

from contextlib import closing
from pathlib import Path

import click

from wavegate_controller.cli.failure import Refused
from wavegate_controller.cli.settings import takes_settings
from wavegate_controller.config import Config
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import OnlyProcess, migrate, open_engine
from wavegate_controller.store.backup import backup as copy_database
from wavegate_controller.store.sealing import new_key


@click.group
def db() -> None:
    """Bring the database to this version, check that it is, or copy it."""


@db.command
@click.option(
    "--pre", "only_pre", flag_value=True, default=False, help="Only what processes of the older version can live with."
)
@click.option("--post", "only_pre", flag_value=False, help="All, once no process of the older version runs [default].")
@takes_settings
def upgrade(config: Config, *, only_pre: bool) -> None:
    """Create the database, or run the migrations that it lacks."""
    engine = open_engine(config.database_url)
    with closing(OnlyProcess(engine)):
        waiting = migrate.upgrade(engine, only_pre=only_pre)
    if waiting:
        click.echo(f"{len(waiting)} migrations wait until no older process runs: then `wavegate db upgrade --post`")
    else:
        click.echo("the database is up to date")


@db.command("new-key")
def make_key() -> None:
    """Make a key for `encryption_keys`."""
    click.echo(new_key())


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


@db.command
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@takes_settings
def backup(config: Config, *, target: Path) -> None:
    """Copy the database to the file TARGET while it is in use."""
    copy_database(open_engine(config.database_url), target)
    click.echo(f"{target} holds the database as it was just now, without the key that its secrets are sealed with")
