"""`wavegate serve`."""

import click

from wavegate_controller import bootstrap
from wavegate_controller.cli.settings import takes_settings
from wavegate_controller.config import Config


@click.command
@takes_settings
def serve(config: Config) -> None:
    """Run a controller until it gets SIGTERM or SIGINT."""
    bootstrap.serve(config)
