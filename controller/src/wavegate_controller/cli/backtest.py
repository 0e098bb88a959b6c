"""`wavegate backtest`."""

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from signal import SIGINT, default_int_handler, signal
from threading import current_thread, main_thread
from types import FrameType
from typing import Final, TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from wavegate_controller.cli.estimate import DurationType
from wavegate_controller.cli.history import Source, asks_prometheus, read_rollout
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import CalendarDocument, RolloutDocument, parse_text, plan_to_document
from wavegate_controller.documents.backtests import (
    backtest_to_document,
    begin_of,
    progress_from_text,
    progress_to_text,
)
from wavegate_controller.documents.duration import format_duration, parse_duration
from wavegate_controller.documents.freeze import freeze_window_to_document
from wavegate_controller.domain.errors import HistoryLost, Invalid
from wavegate_controller.domain.foresight.relabelling import OTHERS, Relabel, by_cohorts, by_label
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.foresight.then import Then
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import Rollout, State
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import backtest as replay_plan
from wavegate_controller.service.backtest import looks_left, replayable

_UNEXPECTED: Final = 5
_INTERRUPTED: Final = 130
#: Looks of one backtest; more would be a day's work.
_MOST_LOOKS: Final = 500_000
_SHOWN_RUNS: Final = 12
#: Data that begin so much later than the time that was asked for are said to.
_LATE: Final = timedelta(hours=1)
#: So do data that end so much earlier: twice what the server itself looks back.
_STOPPED: Final = timedelta(minutes=10)


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


class _Ended(Exception):
    """Somebody wants what there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """The command's options.

    Attributes:
        then: what holds the rollout beside its evidence.
        now: when it was asked.
    """

    source: Source
    begin: datetime | timedelta
    end: datetime | timedelta
    step: timedelta | None
    repeat: bool
    shadow: bool
    split: str | None
    stable: str | None
    resume: Path | None
    then: Then
    now: datetime

    @property
    def kept(self) -> str | None:
        """Where the replay was left before; None where it begins."""
        return None if self.resume is None or not self.resume.exists() else self.resume.read_text(encoding="utf-8")


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
@click.option("--from", "begin", type=_Moment(), required=True, help="Since when: a time, or how long ago: 14d.")
@click.option("--to", "end", type=_Moment(), default="0s", show_default="now", help="Until when.")
@click.option("--step", type=DurationType(), help="Time between two looks.  [default: the plan's interval]")
@click.option("--repeat", is_flag=True, help="Start another rollout where one has ended: how often would it have?")
@click.option("--shadow", is_flag=True, help="No candidate yet: half of stable's cohorts play its part.")
@click.option("--split", metavar="LABEL=CANDIDATE/STABLE", help="Another label tells the two apart: version=2.1/2.0.")
@click.option("--stable", metavar="VARIANT", help="The variant that is replaced.  [default: the document's, or off]")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with charts, one file.")
@click.option("--calendar", type=click.File(encoding="utf-8"), help="The environment's freeze windows, as a file.")
@click.option(
    "--resume", type=click.Path(path_type=Path, dir_okay=False), help="Keep where it is in this file, and go on there."
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
    calendar: TextIO | None,
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
    asked = _Asked(
        source=source,
        begin=begin,
        end=end,
        step=step,
        repeat=repeat,
        shadow=shadow,
        split=split,
        stable=stable,
        resume=resume,
        then=Then()
        if calendar is None
        else Then(windows=parse_text(CalendarDocument, calendar.read()).windows_to_domain()),
        now=SystemClock().now(),
    )
    found: list[Backtested] = []
    said: list[str] = []
    interrupted = False
    documents: Sequence[TextIO | None] = files or [None]
    for file in documents:
        name = Path(file.name).name if file is not None and len(files) > 1 else "the plan"
        document, plan = read_rollout(file, flag)
        interrupted = _replay(asked, name, document, replayable(plan), found, said)
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


def _time(asked: _Asked, plan: Plan, said: list[str]) -> _Time:
    now, step = asked.now, asked.step or plan.interval
    since, until = (now - each if isinstance(each, timedelta) else each for each in (asked.begin, asked.end))
    if asked.kept is not None:
        since = begin_of(asked.kept)
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
    asked: _Asked, name: str, document: RolloutDocument, plan: Plan, found: list[Backtested], said: list[str]
) -> bool:
    """Replay with a bar; whether somebody ended it."""
    time, old = _time(asked, plan, said), asked.stable or document.stable or "off"
    relabel = _relabel(shadow=asked.shadow, split=asked.split, variant=old)
    candidate, replaced = (document.candidate, old) if relabel is None else (old, OTHERS)
    rollout = draft(document.flag, plan, candidate=candidate, stable=replaced, at=time.begin)
    into = Backtested(name=name, plan=plan, begin=time.begin, until=time.begin)
    found.append(into)
    question = _question(rollout, asked, time)
    if asked.kept is not None:
        progress_from_text(asked.kept, into, question, rollout)
    looks = looks_left(time.looks, into)
    if len(looks) < 2 or (into.runs and into.stand is None and not asked.repeat):  # noqa: PLR2004 - a start and a look
        return False

    def keep() -> None:
        if asked.resume is not None:
            # As a whole or not at all: a file that is half written resumes nothing.
            fresh = asked.resume.with_name(f"{asked.resume.name}.new")
            fresh.write_text(progress_to_text(into, question), encoding="utf-8")
            fresh.replace(asked.resume)

    history = asked.source.history()
    elsewhere = asked.source.elsewhere(history, at=time.end, over=time.end - time.begin)
    past = Past(history, looks, step=time.step, relabel=relabel, goes_on=into.stand is not None)
    # Millions of samples come and go, and none of them in a circle: looking for circles takes a fifth of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)
    try:
        with _bar(name, time) as seen, _ends_between_looks() as check:

            def looked(at: datetime) -> None:
                seen(at)
                check()

            replay_plan(
                past,
                rollout,
                into,
                repeat=asked.repeat,
                elsewhere=elsewhere,
                then=asked.then,
                seen=looked,
                finished=keep,
            )
        keep()
    except HistoryLost as lost:
        keep()
        said.append(f"The past could not be had any further at {lost}")
    except _Ended:
        keep()
        said.append(_interrupted(asked, into))
        return True
    except KeyboardInterrupt:
        # In the middle of a look, which is neither done nor not: what was kept before is gone on with.
        said.append(_interrupted(asked, into))
        return True
    finally:
        said.extend(_holes(into, document.flag, time))
    return False


def _question(rollout: Rollout, asked: _Asked, time: _Time) -> str:
    """What is asked, in a few letters: only the same may be gone on with."""
    parts = [
        rollout.flag_key,
        rollout.candidate,
        rollout.stable,
        plan_to_document(rollout.plan),
        time.step.total_seconds(),
        asked.shadow,
        asked.split,
        asked.repeat,
        list(map(freeze_window_to_document, asked.then.windows)),
    ]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _interrupted(asked: _Asked, into: Backtested) -> str:
    goes_on = "" if asked.resume is None else f" The same command with --resume {asked.resume} goes on."
    return f"Interrupted at {into.until:%Y-%m-%d %H:%M} UTC: this is what there is.{goes_on}"


@contextmanager
def _ends_between_looks() -> Iterator[Callable[[], None]]:
    """Ctrl-C ends the replay behind the look that it meets; a second one at once."""
    asked = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            default_int_handler(number, frame)
        asked = True

    def check() -> None:
        if asked:
            raise _Ended

    if current_thread() is not main_thread():
        yield check  # signals are not for it
        return
    before = signal(SIGINT, interrupted)
    try:
        yield check
    finally:
        signal(SIGINT, before)


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
    for what, trouble in into.troubles.items():
        looks = f"at {trouble.looks:,} look{'s' if trouble.looks > 1 else ''}"
        yield f"From {trouble.first:%Y-%m-%d %H:%M} to {trouble.last:%Y-%m-%d %H:%M} UTC, {looks}: {what}"
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
    if into.until - into.last_data > _STOPPED:
        yield (
            f"There is nothing after {into.last_data:%Y-%m-%d %H:%M} UTC: was the metric renamed, was the app gone, "
            "or does the clock here run ahead of the server's?"
        )


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
