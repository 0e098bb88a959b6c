"""`wavegate aa`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.progress import track
from rich.table import Table
from rich.text import Text

from wavegate_controller.cli.estimate import DurationType
from wavegate_controller.cli.findings import despite, in_spite
from wavegate_controller.cli.history import Source, asks_prometheus, read_rollout, read_text
from wavegate_controller.cli.rollout import spelled_out
from wavegate_controller.cli.session import Session, signed, speaks_to_controller
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument, parse_text
from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.calibration import DEPENDENT, TWIN
from wavegate_controller.domain.foresight.independence import Overlap, overlap
from wavegate_controller.domain.foresight.outlook import at_least, at_most
from wavegate_controller.domain.foresight.relabelling import HALVES, OTHERS, by_cohorts
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.plan import Plan
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import backtest, replayable
from wavegate_controller.service.traffic import Measured, measure_traffic
from wavegate_controller.terminal import calibration_text, rollout_panel

_FAILED: Final = 5
#: How much traffic is measured at most: raw samples of longer times are many.
_MEASURED: Final = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What a calibration gave.

    Attributes:
        halves: what came of the plan, for each way to halve.
    """

    flag: str
    plan: Plan
    over: timedelta
    measured: Measured
    halves: Sequence[Backtested]
    overlaps: Sequence[Overlap]

    @property
    def rollouts(self) -> int:
        """That came to an end."""
        return sum(run.state is not State.RUNNING for each in self.halves for run in each.runs)

    @property
    def alarms(self) -> int:
        """Though nothing was done to anybody."""
        return sum(each.rollbacks for each in self.halves)

    @property
    def fails(self) -> bool:
        """Whether there are more false alarms than the plan promises, beyond chance, or flags depend on one another."""
        too_many = bool(self.rollouts) and at_least(self.alarms, self.rollouts) > self.plan.guardrail.alpha
        return too_many or any(each.chi_square > DEPENDENT for each in self.overlaps)


@click.group(invoke_without_command=True)
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="A rollout document, YAML or JSON; - for stdin.")
@click.option("--flag", metavar="KEY", help="Instead of a file: the flag, with the default plan.")
@click.option("--over", type=DurationType(), default="7d", show_default=True, help="How far back.")
@click.option("--step", type=DurationType(), default="1m", show_default=True, help="Time between two looks.")
@click.option("--stable", metavar="VARIANT", help="Whose users are halved.  [default: the document's, or off]")
@click.option("--beside", metavar="FLAG", multiple=True, help="Another flag, whose split must be independent.")
@asks_prometheus
def aa(
    *,
    source: Source,
    file: TextIO | None,
    flag: str | None,
    over: timedelta,
    step: timedelta,
    stable: str | None,
    beside: Sequence[str],
    as_json: bool,
) -> None:
    """Calibrate a plan on traffic without a candidate: does it raise no more false alarms than it promises?

    Half of stable's users play the candidate, told apart by their cohorts, in four ways; rollouts follow one another
    over the time. Ends with 5 where there are more false alarms than promised, beyond chance. `start` has the plan run
    on real traffic instead, between two variants of one value, and `report` says what that shows.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    document, plan = read_rollout(file, flag)
    plan, variant, now = replayable(plan), stable or document.stable or "off", SystemClock().now()
    if not plan.compared:
        raise Invalid("gates", "compares nothing, so that it promises nothing", "a gate that compares")
    history, begin = source.history(), (now - over).replace(microsecond=0)
    elsewhere, lately = source.elsewhere(history, at=now, over=over), min(over, _MEASURED)
    measured = measure_traffic(history, plan, document.flag, stable=variant, at=now, over=lately, elsewhere=elsewhere)
    looks = [begin + number * step for number in range(over // step)]
    halves = []
    for half in track(range(HALVES), "Halving", console=Console(stderr=True), transient=True, disable=as_json):
        past = Past(history, looks, step=step, relabel=by_cohorts(variant, half=half))
        into = Backtested(name=f"half {half + 1}", plan=plan, begin=begin, until=begin)
        rollout = draft(document.flag, plan, candidate=variant, stable=OTHERS, at=begin)
        backtest(past, rollout, into, repeat=True, elsewhere=elsewhere)
        halves.append(into)
    overlaps = [overlap(document.flag, other) for other in beside]
    found = _Found(flag=document.flag, plan=plan, over=over, measured=measured, halves=halves, overlaps=overlaps)
    if as_json:
        click.echo(json.dumps(_document(found), indent=2))
    else:
        Console(highlight=False).print(_shown(found))
    if found.fails:
        raise click.exceptions.Exit(_FAILED)


@aa.command
@click.argument("flag")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="A rollout document whose plan it takes.")
@click.option("--template", metavar="NAME", help="Instead of a file: a plan that the environment keeps by name.")
@despite
@signed
@speaks_to_controller
def start(
    session: Session,
    *,
    flag: str,
    file: TextIO | None,
    template: str | None,
    despite_lint: str,
    name: str | None,
    comment: str,
) -> None:
    """Start a rollout between two variants of one value.

    On real traffic. What everybody is served now gets a twin, a variant of the same value, whose users are counted
    apart.
    """
    if file is not None and template is not None:
        raise click.UsageError("give either -f or --template")
    plan = {} if template is None else {"template": template}
    if file is not None:
        document = spelled_out(parse_text(RolloutDocument, read_text(file)))
        plan = {name: value for name, value in document.items() if name in ("plan", "template")}
    actor, why = session.signature(name), comment or f"A/A of {flag}: nobody is served anything new"
    twin = _twin(session, flag, actor=actor, comment=why)
    created = session.controller.create_rollout({"flag": flag, "candidate": twin} | plan, actor=actor)
    started = session.controller.act(created["id"], Event.START, actor=actor, comment=why, **in_spite(despite_lint))
    session.show(started, rollout_panel(started, now=SystemClock().now()))


@aa.command
@click.argument("reference")
@speaks_to_controller
def report(session: Session, reference: str) -> None:
    """What an A/A rollout shows of plan, split and counters.

    Ends with 5 where something is not as it should be, beyond chance.
    """
    document = session.controller.calibration(reference)
    session.show(document, calibration_text(document))
    if document["fails"]:
        raise click.exceptions.Exit(_FAILED)


def _twin(session: Session, key: str, *, actor: str | None, comment: str) -> str:
    """Another variant of the value that everybody is served; made where there is none."""
    flag = session.controller.flag(key)
    served = flag["default_variant"]
    for rollout in session.controller.rollouts(key):
        if rollout["started_at"]:
            served = rollout["candidate" if rollout["state"] == State.COMPLETED else "stable"]
            break
    variants = flag["variants"]
    value = json.dumps(variants[served], sort_keys=True)
    for variant, other in variants.items():
        if variant != served and json.dumps(other, sort_keys=True) == value:
            return str(variant)
    twin = f"{served}{TWIN}"
    change = {"variants": variants | {twin: variants[served]}, "comment": comment}
    session.controller.change_flag(key, change, actor=actor)
    return twin


def _shown(found: _Found) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for name in ("gate", "rate of stable", "design effect"):
        table.add_column(name)
    for name, each in found.measured.traffic.metrics.items():
        varies = f"spread {each.spread:.0%}" if each.spread else f"{each.clumping:.2f}"
        table.add_row(name, f"{each.mean:.4g}", varies)
    return Group(
        Text(
            f"{found.flag}: {found.measured.traffic.requests_per_second:,.4g} requests a second in the last "
            f"{format_duration(found.measured.over)}"
        ),
        table,
        Text(),
        *(
            Text(
                f"{each.name}: {len(each.runs)} rollouts, {each.rollbacks} rolled back, "
                f"without data at {each.silent:.1%} of the looks"
            )
            for each in found.halves
        ),
        Text(_verdict(found), "bold red" if found.fails else "bold"),
        *(Text(_beside(found.flag, each)) for each in found.overlaps),
    )


def _beside(flag: str, each: Overlap) -> str:
    word = "independent" if each.chi_square <= DEPENDENT else "NOT independent"
    return (
        f"beside {each.other}: {each.share:.1%} of the half that has {flag} has it, too, "
        f"chi-square {each.chi_square:.1f}: {word}"
    )


def _verdict(found: _Found) -> str:
    if not found.rollouts:
        return "No rollout came to an end in this time: take a longer one, or a plan with shorter waves."
    rate, most = found.alarms / found.rollouts, at_most(found.alarms, found.rollouts)
    alarms = f"{found.alarms} of {found.rollouts} rollouts in {format_duration(found.over)}"
    promised = f"the plan promises {found.plan.guardrail.alpha:.0%} at most"
    return f"False alarms: {alarms} ({rate:.1%}, at most {most:.1%}); {promised}."


def _document(found: _Found) -> dict[str, Any]:
    return {
        "flag": found.flag,
        "requests_per_second": found.measured.traffic.requests_per_second,
        "gates": {
            name: {"mean": each.mean, "design_effect": each.clumping, "spread": each.spread}
            for name, each in found.measured.traffic.metrics.items()
        },
        "rollouts": found.rollouts,
        "false_alarms": found.alarms,
        "at_most": at_most(found.alarms, found.rollouts) if found.rollouts else None,
        "promised": found.plan.guardrail.alpha,
        "share_without_data": max((each.silent for each in found.halves), default=0.0),
        "beside": {each.other: {"share": each.share, "chi_square": each.chi_square} for each in found.overlaps},
        "fails": found.fails,
    }
