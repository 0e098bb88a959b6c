"""The settings of commands that are a controller, or stand in its place."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.config import PREFIX, Config, load
from wavegate_controller.domain.errors import Invalid


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add --config, hand in the settings, and refuse by one sentence those that cannot be used.

    Options that are named like a setting are that setting, and win over file and environment; the others are handed in.
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
    def wrapped(file: Path | None, **options: Any) -> None:
        settings = {name: options.pop(name) for name in Config.model_fields.keys() & options.keys()}
        given = {f"{PREFIX}{name.upper()}": value for name, value in settings.items() if value is not None}
        try:
            command(load(os.environ | given, file), **options)
        except Invalid as refusal:
            raise Misused(str(refusal)) from None

    return wrapped
