"""What commands have that look at the metrics server themselves: its address, a rollout document, their options."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.config import Config, load
from wavegate_controller.documents import RolloutDocument, parse, parse_text
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken
from wavegate_controller.domain.plan import Plan
from wavegate_controller.ports import MetricHistory

#: Each process that serves apps shows it for each environment.
_NAMES_ENVIRONMENTS: Final = "wavegate_connected_clients"

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the metrics server is, by the controller's own settings; connected to when first asked for."""

    prometheus: str | None
    config: Path | None
    environment: str | None = None

    def settings(self) -> Config:
        """The controller's settings, with the server that was named.

        Raises:
            Invalid: a setting cannot be used.
        """
        variables = dict(os.environ)
        if self.prometheus:
            variables["WAVEGATE_PROMETHEUS_URL"] = self.prometheus
        return load(variables, self.config)

    def history(self) -> MetricHistory:
        """The metrics server.

        Raises:
            Invalid: a setting cannot be used, or names a source without a past.
        """
        from wavegate_controller.bootstrap import make_history  # noqa: PLC0415 # numbers alone need no server

        return make_history(self.settings())

    def elsewhere(self, history: MetricHistory, *, at: datetime, over: timedelta) -> frozenset[str]:
        """Other environments of the controllers that the metrics server knew in that time.

        What a controller counted itself for them is left out, as its reconciler does; it knows their names from its
        database, and here its own metrics tell them.

        Raises:
            Invalid: there are several, and the one that was named is none of them.
        """
        query = f"group by (environment) (present_over_time({_NAMES_ENVIRONMENTS}[{format_duration(over)}]))"
        found = history.vector(query, at=at)
        if isinstance(found, Broken):
            # The question for the counts will say so.
            return frozenset()
        names = {each.labels.get("environment", "") for each in found}
        mine = self.environment or self.settings().environment
        if mine not in names and len(names) > 1:
            known = ", ".join(sorted(names))
            raise Invalid("environment", f"{mine!r} is none of those that are counted for", f"one of {known}")
        return frozenset(names - {mine}) if mine in names else frozenset()


def asks_prometheus(command: Callable[..., None]) -> Callable[..., None]:
    """Add --prometheus, --config and --json, hand in the source, and refuse by one sentence what makes no sense."""

    @click.option("--prometheus", metavar="URL", help="The metrics server.  [default: the settings' prometheus_url]")
    @click.option(
        "--config",
        envvar="WAVEGATE_CONFIG",
        type=click.Path(path_type=Path),
        help="The controller's settings, for the server and its credentials.",
    )
    @click.option("--environment", metavar="NAME", help="Whose counts.  [default: the settings' environment]")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def wrapped(prometheus: str | None, config: Path | None, environment: str | None, **arguments: Any) -> None:
        try:
            command(source=Source(prometheus=prometheus, config=config, environment=environment), **arguments)
        except Invalid as refusal:
            raise Misused(str(refusal)) from None

    return wrapped


def read_rollout(file: TextIO | None, flag: str | None) -> tuple[RolloutDocument, Plan]:
    """The rollout of a document, or the default one of a flag.

    Raises:
        Invalid: naming the field.
    """
    if (file is None) == (flag is None):
        raise click.UsageError("say which rollout: either -f FILE or --flag KEY")
    if file is None:
        document = parse(RolloutDocument, {"flag": flag})
        return document, document.plan_to_domain()
    return parse_rollout(read_text(file))


def read_text(file: TextIO) -> str:
    """What a document says."""
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise Misused(f"{file.name} is not UTF-8 text: {error}") from None


def parse_rollout(text: str) -> tuple[RolloutDocument, Plan]:
    """The rollout of a document with a plan of its own.

    Raises:
        Invalid: naming the field.
    """
    document = parse_text(RolloutDocument, text)
    if document.template is not None:
        raise Invalid("template", "is known to a controller, which is not asked here", "the plan itself")
    return document, document.plan_to_domain()
