"""The settings of commands that are a controller, or stand in its place."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.config import PREFIX, Config, load
from wavegate_controller.domain.errors import Invalid


def takes_settings(command: Callable[[Config], None]) -> Callable[..., None]:
    """Add --config, hand in the settings, and refuse by one sentence those that cannot be used.

    What other options the command has are settings of the same name, which win over file and environment.
    """

    @click.option(
        "--config",
        "file",
        envvar="WAVEGATE_CONFIG",
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="Settings as TOML; WAVEGATE_* variables win over it.",
    )
    @wraps(command)
    def wrapped(file: Path | None, **options: str | None) -> None:
        given = {f"{PREFIX}{name.upper()}": value for name, value in options.items() if value is not None}
        try:
            command(load(os.environ | given, file))
        except Invalid as refusal:
            raise Misused(str(refusal)) from None

    return wrapped
