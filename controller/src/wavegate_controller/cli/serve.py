"""`wavegate serve`."""

import os

import click

from wavegate_controller import bootstrap
from wavegate_controller.cli.settings import takes_settings
from wavegate_controller.config import PREFIX, Config


def _open(_context: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        os.environ[f"{PREFIX}OPEN"] = "true"


@click.command
@click.option(
    "--open",
    is_flag=True,
    expose_value=False,
    callback=_open,
    help="To try it out on this machine: whoever reaches it may do everything under any name, and apps need no key.",
)
@click.option("--role", metavar="ROLES", help="Some of control,data,reconcile; less than all with PostgreSQL.")
@takes_settings
def serve(config: Config) -> None:
    """Run a controller until it gets SIGTERM or SIGINT."""
    bootstrap.serve(config)
