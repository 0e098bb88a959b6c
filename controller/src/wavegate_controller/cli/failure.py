"""How a command ends that could not do what it was asked for: one sentence and an exit code."""

import click


class Refused(click.ClickException):
    """The controller said no."""

    exit_code = 1


class Misused(click.ClickException):
    """An option, a setting or a file makes no sense; click's own code for wrong usage."""

    exit_code = 2


class Unreachable(click.ClickException):
    """No controller answers."""

    exit_code = 3


class Broken(click.ClickException):
    """The audit is not what was written."""

    exit_code = 4
