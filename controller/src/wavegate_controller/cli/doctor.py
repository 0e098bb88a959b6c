"""`wavegate doctor`."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import click
from rich.console import Console
from rich.text import Text

from wavegate_controller.cli.session import token_for
from wavegate_controller.clock import SystemClock
from wavegate_controller.config import Config, load
from wavegate_controller.domain.errors import ControllerError, Invalid
from wavegate_controller.domain.measurement import Answer, Broken, Value
from wavegate_controller.domain.rollout import WATCHED
from wavegate_controller.ports import MetricProvider
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable
from wavegate_controller.store import SqlStore, migrate, open_engine

_MARKS: Final = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "failed": ("failed ", "bold red")}
_DEFAULT_URL: Final = "http://127.0.0.1:8080"
_LITTLE_SPACE: Final = 1024**3
_NO_SPACE: Final = 100 * 1024**2
_MOST_SKEW: Final = 5.0
_MOST_STALE: Final = 120.0
_MOST_LATE: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        do: what to do about it; empty where nothing is to be done.
    """

    check: str
    state: Literal["ok", "warning", "failed"]
    found: str
    do: str = ""


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
    answer = _ask(provider, "vector(1)")
    if not isinstance(answer, Value):
        found = answer.detail if isinstance(answer, Broken) else "it gives no answer"
        do = "start it, or mend prometheus_url and its credentials; until then every gate holds"
        yield Finding(check="metrics server", state="failed", found=found, do=do)
        return
    yield Finding(check="metrics server", state="ok", found=f"{config.prometheus_url} answers")
    yield _skew(provider)
    yield _counted(
        provider,
        check="own metrics",
        query="count(wavegate_controller_tick_seconds_count)",
        found="controllers are scraped",
        do="let the metrics server scrape the controllers at /metrics; without it, nobody sees them fail",
    )
    yield _counted(
        provider,
        check="apps",
        query="count(wavegate_ruleset_revision)",
        found="processes with the SDK are scraped",
        do="let the metrics server scrape the apps, or let them post their counts (docs/prometheus.md)",
    )


def _skew(provider: MetricProvider) -> Finding:
    """Samples are stamped by the metrics server's clock; one from our future, or none for long, tells on a clock."""
    answer = _ask(provider, "max(timestamp(up))", ahead=timedelta(minutes=4))
    check = "time"
    if not isinstance(answer, Value):
        do = "let the metrics server scrape something: it has no samples of the last minutes"
        return Finding(check=check, state="warning", found="the clocks cannot be compared", do=do)
    ahead = answer.value - SystemClock().now().timestamp()
    if ahead > _MOST_SKEW:
        found = f"the metrics server's clock is {ahead:.0f} s ahead of this machine's"
        return Finding(check=check, state="failed", found=found, do="let both follow NTP: evidence would be misdated")
    if -ahead > _MOST_STALE:
        found = f"the newest sample is {-ahead:.0f} s old by this machine's clock"
        do = "look whether scrapes have stopped, or this machine's clock is ahead; let both follow NTP"
        return Finding(check=check, state="failed", found=found, do=do)
    return Finding(check=check, state="ok", found=f"the newest sample is {max(0.0, -ahead):.0f} s old")


def _counted(provider: MetricProvider, *, check: str, query: str, found: str, do: str) -> Finding:
    answer = _ask(provider, query)
    if isinstance(answer, Value) and answer.value > 0:
        return Finding(check=check, state="ok", found=f"{answer.value:.0f} {found}")
    return Finding(check=check, state="warning", found=f"no {found}", do=do)


def _ask(provider: MetricProvider, query: str, *, ahead: timedelta = timedelta(0)) -> Answer:
    return provider.query(query, at=SystemClock().now() + ahead)


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
