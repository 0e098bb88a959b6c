"""`wavegate doctor`."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from wavegate_controller.cli.session import token_for
from wavegate_controller.clock import SystemClock
from wavegate_controller.config import Config, load
from wavegate_controller.domain.errors import ControllerError, Invalid
from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable
from wavegate_controller.service.metrics_check import Finding, examine
from wavegate_controller.store import SqlStore, migrate, open_engine

_MARKS: Final = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "failed": ("failed ", "bold red")}
_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_LITTLE_SPACE: Final = 1024**3
_NO_SPACE: Final = 100 * 1024**2
_MOST_LATE: Final = timedelta(minutes=1)


@click.command
@click.option(
    "--config",
    "file",
    envvar="WAVEGATE_CONFIG",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Settings as TOML; WAVEGATE_* variables win over it.",
)
@click.option("--url", envvar="WAVEGATE_URL", default=_DEFAULT_URL, show_default=True, help="The controller.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of checks.")
def doctor(file: Path | None, url: str, as_json: bool) -> None:
    """Look at everything that a controller needs, and say what to do about what is wrong.

    To be run where the controller runs, with its settings. Changes nothing. Ends with 1 when a check failed.
    """
    findings = list(_examine(file, url))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for each in findings:
            mark, style = _MARKS[each.state]
            console.print(Text(f"{mark}  ", style) + Text(f"{each.check}: {each.found}"))
            if each.do:
                console.print(Text(f"         {each.do}", "dim"))
    if any(each.state == "failed" for each in findings):
        raise SystemExit(1)


def _examine(file: Path | None, url: str) -> Iterator[Finding]:
    try:
        config = load(os.environ, file)
    except Invalid as refusal:
        yield Finding(check="settings", state="failed", found=str(refusal), do="mend it; docs/configuration.md has all")
        return
    yield Finding(check="settings", state="ok", found="every setting can be used")
    yield from _database(config)
    yield _disk(config)
    yield from _metrics(config)
    yield _controller(url)


def _database(config: Config) -> Iterator[Finding]:
    path = _sqlite_file(config)
    if path is not None and not path.exists():
        do = "`wavegate serve` creates it; if there was one, look at database_url"
        yield Finding(check="database", state="failed", found=f"there is no file {path}", do=do)
        return
    try:
        engine = open_engine(config.database_url)
    except Invalid as refusal:
        do = "start it, or mend database_url; the user needs to read and write"
        yield Finding(check="database", state="failed", found=str(refusal), do=do)
        return
    try:
        yield Finding(check="database", state="ok", found="it answers")
        try:
            migrate.check(engine)
        except Invalid as refusal:
            do = "`wavegate db upgrade`, or start this version's `wavegate serve`"
            yield Finding(check="schema", state="failed", found=str(refusal), do=do)
            return
        yield Finding(check="schema", state="ok", found="it is this version's")
        yield _ticks(SqlStore(engine))
    finally:
        engine.dispose()


def _ticks(store: SqlStore) -> Finding:
    now = SystemClock().now()
    with store.transaction() as work:
        watched = [
            rollout
            for environment in work.environments.list()
            for rollout in work.rollouts.list(environment.name, states=WATCHED)
        ]
    late = [rollout for rollout in watched if rollout.next_look_at and now - rollout.next_look_at > _MOST_LATE]
    if not late:
        return Finding(check="reconciler", state="ok", found=f"no look at any of {len(watched)} rollouts is overdue")
    longest = max(now - rollout.next_look_at for rollout in late if rollout.next_look_at)
    found = (
        f"looks at {len(late)} of {len(watched)} rollouts are overdue, the longest by {longest.total_seconds():.0f} s"
    )
    do = "start a controller that reconciles, or look at wavegate_controller_tick_lag_seconds of the one that runs"
    return Finding(check="reconciler", state="failed", found=found, do=do)


def _disk(config: Config) -> Finding:
    place = _sqlite_file(config) or Path()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB are free at {place.resolve()}"
    if free < _NO_SPACE:
        return Finding(check="disk", state="failed", found=found, do="make room: a full disk stops every decision")
    if free < _LITTLE_SPACE:
        return Finding(check="disk", state="warning", found=found, do="make room soon")
    return Finding(check="disk", state="ok", found=found)


def _metrics(config: Config) -> Iterator[Finding]:
    from wavegate_controller.bootstrap import make_provider  # noqa: PLC0415 # heavy, and help needs none of it

    try:
        provider = make_provider(config)
    except Invalid as refusal:
        yield Finding(check="metrics server", state="failed", found=str(refusal), do="mend the setting")
        return
    if config.scrape_targets:
        found = f"{len(config.scrape_targets)} apps are read instead of a Prometheus"
        yield Finding(check="metrics server", state="ok", found=found, do=provider.notice or "")
        return
    yield from examine(provider, SystemClock().now, found=f"{config.prometheus_url} answers")


def _controller(url: str) -> Finding:
    controller = RemoteController(url, token_for(url))
    if not controller.ready():
        do = "start one with `wavegate serve`, or name another by --url or $WAVEGATE_URL"
        return Finding(check="controller", state="warning", found=f"none is ready at {url}", do=do)
    with suppress(RemoteProblem, RemoteUnreachable, ControllerError):
        status = controller.status()
        found = f"{url} serves revision {status['revision']} of {status['environment']}, version {status['version']}"
        return Finding(check="controller", state="ok", found=found)
    return Finding(
        check="controller",
        state="ok",
        found=f"{url} is ready",
        do="run `wavegate login` or set $WAVEGATE_TOKEN to learn more",
    )


def _sqlite_file(config: Config) -> Path | None:
    scheme, _, path = config.database_url.partition(":///")
    return Path(path) if scheme.partition("+")[0] == "sqlite" and path else None
