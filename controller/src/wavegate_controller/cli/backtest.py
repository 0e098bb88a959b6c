"""`wavegate backtest`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from wavegate_controller.cli.estimate import DurationType
from wavegate_controller.cli.failure import Misused
from wavegate_controller.cli.history import Source, asks_prometheus, read_rollout
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents.backtests import backtest_to_document, run_from_document, run_to_document
from wavegate_controller.documents.duration import format_duration, parse_duration
from wavegate_controller.domain.errors import HistoryLost, Invalid
from wavegate_controller.domain.foresight.relabelling import OTHERS, Relabel, by_cohorts, by_label
from wavegate_controller.domain.foresight.replayed import Backtested, Run
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import backtest as replay_plan
from wavegate_controller.service.backtest import replayable

_UNEXPECTED: Final = 5
_INTERRUPTED: Final = 130
#: Looks of one backtest; more would be a day's work.
_MOST_LOOKS: Final = 500_000
_SHOWN_RUNS: Final = 12
#: Data that begin so much later than the time that was asked for are said to.
_LATE: Final = timedelta(hours=1)


class _Moment(click.ParamType[datetime | timedelta]):
    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """From "2026-03-01T09:00Z", in UTC where it says nothing else, or from "7d" ago."""
        if isinstance(value, datetime | timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; such as 2026-03-01T09:00, or 7d for a week ago", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Time:
    """What is replayed: looks at begin and every step after it."""

    begin: datetime
    end: datetime
    step: timedelta

    @property
    def looks(self) -> list[datetime]:
        return [self.begin + number * self.step for number in range((self.end - self.begin) // self.step + 1)]


@click.command
@click.option(
    "-f",
    "--file",
    "files",
    type=click.File(encoding="utf-8"),
    multiple=True,
    help="A rollout document; given several times, the plans stand side by side.",
)
@click.option("--flag", metavar="KEY", help="Instead of a file: the flag, with the default plan.")
@click.option("--from", "begin", type=_Moment(), required=True, help="Since when: a time, or such as 14d ago.")
@click.option("--to", "end", type=_Moment(), default="0s", show_default="now", help="Until when.")
@click.option("--step", type=DurationType(), help="Time between two looks.  [default: the plan's interval]")
@click.option("--repeat", is_flag=True, help="Start another rollout where one has ended: how often would it have?")
@click.option("--shadow", is_flag=True, help="No candidate yet: half of stable's cohorts play its part.")
@click.option("--split", metavar="LABEL=CANDIDATE/STABLE", help="Another label tells the two apart: version=2.1/2.0.")
@click.option("--stable", metavar="VARIANT", help="The variant that is replaced.  [default: the document's, or off]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with charts, one file.")
@click.option(
    "--resume", type=click.Path(path_type=Path, dir_okay=False), help="Keep what is finished here, and go on."
)
@click.option("--expect", type=click.Choice(["rollback", "no-rollback"]), help="Else end with 5; for a pull request.")
@asks_prometheus
def backtest(  # noqa: PLR0913 - one argument for each option
    *,
    source: Source,
    files: Sequence[TextIO],
    flag: str | None,
    begin: datetime | timedelta,
    end: datetime | timedelta,
    step: timedelta | None,
    repeat: bool,
    shadow: bool,
    split: str | None,
    stable: str | None,
    html: Path | None,
    resume: Path | None,
    expect: str | None,
    as_json: bool,
) -> None:
    """Replay a plan over the past: when would it have held, advanced, rolled back?

    Measured, judged and decided as the reconciler does. Ctrl-C ends it and shows what there is.
    """
    if shadow and split:
        raise click.UsageError("--shadow and --split both say who plays the candidate; give one of them")
    if resume and len(files) > 1:
        raise click.UsageError("--resume goes on with one plan")
    now = SystemClock().now()
    found: list[Backtested] = []
    said: list[str] = []
    interrupted = False
    documents: Sequence[TextIO | None] = files or [None]
    for file in documents:
        name = Path(file.name).name if file is not None and len(files) > 1 else "the plan"
        document, plan = read_rollout(file, flag)
        plan, old = replayable(plan), stable or document.stable or "off"
        time = _time(begin, end, step or plan.interval, now=now, said=said)
        relabel = _relabel(shadow=shadow, split=split, variant=old)
        candidate, replaced = (document.candidate, old) if relabel is None else (old, OTHERS)
        rollout = draft(document.flag, plan, candidate=candidate, stable=replaced, at=time.begin)
        into = Backtested(name=name, plan=plan, begin=time.begin, until=time.begin)
        found.append(into)
        interrupted = _replay(source, rollout, time, into, relabel=relabel, repeat=repeat, resume=resume, said=said)
        said.extend(_holes(into, document.flag, time))
        if interrupted:
            break
    if html is not None:
        from wavegate_controller.web.report import backtest_page  # noqa: PLC0415 # few want it, and it is heavy

        html.write_text(backtest_page(found, said), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"plans": [backtest_to_document(each) for each in found], "said": said}, indent=2))
    else:
        Console(highlight=False).print(_shown(found, said))
    if interrupted:
        raise click.exceptions.Exit(_INTERRUPTED)
    rolled_back = any(each.rollbacks for each in found)
    if expect and (expect == "rollback") is not rolled_back:
        raise click.exceptions.Exit(_UNEXPECTED)


def _time(
    begin: datetime | timedelta, end: datetime | timedelta, step: timedelta, *, now: datetime, said: list[str]
) -> _Time:
    since, until = (now - each if isinstance(each, timedelta) else each for each in (begin, end))
    if until > now:
        said.append(f"{until:%Y-%m-%d %H:%M} UTC is still to come: replayed up to now.")
        until = now
    if since >= until:
        raise Invalid("from", f"{since:%Y-%m-%d %H:%M} is not before {until:%Y-%m-%d %H:%M} UTC", "an earlier time")
    if step <= timedelta(0) or (until - since) / step > _MOST_LOOKS:
        raise Invalid("step", f"{format_duration(step)} makes too many looks", f"at most {_MOST_LOOKS:,} in all")
    return _Time(begin=since.replace(microsecond=0), end=until, step=step)


def _relabel(*, shadow: bool, split: str | None, variant: str) -> Relabel | None:
    if shadow:
        return by_cohorts(variant)
    return None if split is None else by_label(split, variant)


def _replay(
    source: Source,
    rollout: Rollout,
    time: _Time,
    into: Backtested,
    *,
    relabel: Relabel | None,
    repeat: bool,
    resume: Path | None,
    said: list[str],
) -> bool:
    """Replay with a bar; whether somebody ended it."""
    times = time.looks
    into.runs.extend(_resumed(resume))
    if into.runs:
        times = [each for each in times if each >= into.runs[-1].end]
        into.until = into.runs[-1].end
        if not repeat:
            return False
    history = source.history()
    elsewhere = source.elsewhere(history, at=time.end, over=time.end - time.begin)
    past = Past(history, times, step=time.step, relabel=relabel)

    def finished() -> None:
        if resume is not None:
            resume.write_text(json.dumps([run_to_document(run) for run in into.runs]), encoding="utf-8")

    try:
        with _bar(into.name, time) as seen:
            replay_plan(past, rollout, into, repeat=repeat, elsewhere=elsewhere, seen=seen, finished=finished)
    except HistoryLost as lost:
        said.append(f"The past could not be had any further at {lost}")
    except KeyboardInterrupt:
        said.append(f"Interrupted at {into.until:%Y-%m-%d %H:%M} UTC: this is what there is.")
        return True
    return False


def _resumed(resume: Path | None) -> list[Run]:
    if resume is None or not resume.exists():
        return []
    try:
        return [run_from_document(each) for each in json.loads(resume.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise Misused(f"{resume} is no file that a backtest wrote: {error}") from None


@contextmanager
def _bar(name: str, time: _Time) -> Iterator[Callable[[datetime], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Replaying {name}", total=(time.end - time.begin).total_seconds())

        def seen(at: datetime) -> None:
            progress.update(task, completed=(at - time.begin).total_seconds())

        yield seen


def _holes(into: Backtested, flag: str, time: _Time) -> Iterator[str]:
    """Where there was nothing to replay, and what that may be."""
    if into.first_data is None or into.last_data is None:
        between = f"between {time.begin:%Y-%m-%d %H:%M} and {into.until:%Y-%m-%d %H:%M} UTC"
        why = "is that outside of what the server keeps, or was the metric named otherwise?"
        yield f"There is no sample for flag {flag} {between}: {why}"
        return
    if into.first_data - time.begin > _LATE:
        yield (
            f"There is nothing before {into.first_data:%Y-%m-%d %H:%M} UTC: older than what the server keeps, "
            "or named otherwise."
        )
    if into.until - into.last_data > _LATE:
        yield f"There is nothing after {into.last_data:%Y-%m-%d %H:%M} UTC: was the metric renamed, or the app gone?"


def _shown(found: Sequence[Backtested], said: Sequence[str]) -> RenderableType:
    parts: list[RenderableType] = []
    if len(found) > 1:
        parts.extend((_side_by_side(found), Text()))
    for each in found:
        if len(found) > 1:
            parts.append(Text(each.name, "bold"))
        parts.extend((*_summary(each), _runs(each), Text()))
    parts.extend(Text(sentence, "yellow") for sentence in said)
    return Group(*parts)


def _summary(each: Backtested) -> Iterator[Text]:
    yield Text.assemble(
        f"{each.begin:%Y-%m-%d %H:%M} to {each.until:%Y-%m-%d %H:%M} UTC: ",
        (f"{len(each.runs)} rollout{'s' if len(each.runs) != 1 else ''}", "bold"),
        f", {sum(run.state is State.COMPLETED for run in each.runs)} completed, ",
        (f"{each.rollbacks} rolled back", "bold red" if each.rollbacks else ""),
        f" ({each.alarms_a_week:.2g} a week)" if each.alarms_a_week is not None and len(each.runs) > 1 else "",
    )
    yield Text(f"without data at {each.silent:.1%} of the looks; {_holds(each)}")
    for name, needed in each.needed.items():
        if needed.limit is not None:
            sign = "above" if needed.gate.operator.wants_low else "below"
            yield Text(f"{name}: limit {needed.gate.limit:g}; {sign} {needed.limit:.4g} it would never have breached")


def _holds(each: Backtested) -> str:
    looks = sum(run.looks for run in each.runs)
    told = [f"{reason.replace('_', ' ')} {number / looks:.0%}" for reason, number in sorted(each.holds.items())]
    return f"held for {', '.join(told)}" if told else "never held"


def _runs(each: Backtested) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("UTC", "would have", "why"):
        table.add_column(name, no_wrap=name != "why")
    shown = [run for run in each.runs if run.rolled_back] if len(each.runs) > _SHOWN_RUNS else each.runs
    for run in shown[:_SHOWN_RUNS]:
        table.add_row(f"{run.begin:%Y-%m-%d %H:%M:%S}", "started", "")
        for move in run.moves:
            bad = move.reason == "breach"
            done = f"{move.event.value.replace('_', ' ')} {move.percent:g} %"
            table.add_row(f"{move.at:%Y-%m-%d %H:%M:%S}", Text(done, "bold red" if bad else ""), move.sentence)
        if not run.moves or run.state is State.RUNNING:
            table.add_row(f"{run.end:%Y-%m-%d %H:%M:%S}", f"still {run.state.value.replace('_', ' ')}", "")
    hidden = len(each.runs) - len(shown[:_SHOWN_RUNS])
    if hidden:
        table.add_row("", f"{hidden} more", "--json has them all")
    return table


def _side_by_side(found: Sequence[Backtested]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("plan", "rollouts", "completed", "rolled back", "a week", "without data", "first done after"):
        table.add_column(name, justify="left" if name == "plan" else "right")
    for each in found:
        done = next((run.end - run.begin for run in each.runs if run.state is State.COMPLETED), None)
        table.add_row(
            each.name,
            str(len(each.runs)),
            str(sum(run.state is State.COMPLETED for run in each.runs)),
            str(each.rollbacks),
            "-" if each.alarms_a_week is None else f"{each.alarms_a_week:.2g}",
            f"{each.silent:.1%}",
            "-" if done is None else format_duration(done),
        )
    return table
