"""`wavegate estimate`."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.progress import track
from rich.table import Table
from rich.text import Text

from wavegate_controller.cli.history import Source, asks_prometheus, read_rollout
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument
from wavegate_controller.documents.duration import format_duration, parse_duration
from wavegate_controller.documents.outlooks import outlook_to_document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.foresight.outlook import Outlook, Spell, WaveOutlook, outlook
from wavegate_controller.domain.foresight.rehearsal import End, rehearse
from wavegate_controller.domain.foresight.traffic import Expected, Traffic
from wavegate_controller.domain.gates import ComparedGate
from wavegate_controller.domain.plan import Plan, Wave
from wavegate_controller.service.traffic import measure_traffic

#: With more of the rehearsals undecided the plan is said not to fit, also by the exit code.
UNFIT: Final = 5
_BAR: Final = 40


class DurationType(click.ParamType[timedelta]):
    """A duration as Prometheus writes it."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """From "1h30m"."""
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r} is not {error}", param, ctx)


@click.command
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="A rollout document, YAML or JSON; - for stdin.")
@click.option("--flag", metavar="KEY", help="Instead of a file: the flag, with the default plan.")
@click.option("--over", type=DurationType(), default="1h", show_default=True, help="How far back traffic is counted.")
@click.option("--traffic", type=float, metavar="PER_SECOND", help="Requests a second, instead of what is counted.")
@click.option(
    "--base",
    multiple=True,
    metavar="GATE=RATE",
    help="Share of bad outcomes, or mean value, instead of what is counted.",
)
@click.option(
    "--clumping", type=float, metavar="TIMES", help="By how much bad outcomes come in clumps; 1 for not at all."
)
@click.option(
    "--users", type=float, metavar="A_DAY", help="Distinct users a day, to be told how many each wave reaches."
)
@click.option("--waves", metavar="PERCENTS", help="Other waves than the plan's, such as 10,50,100.")
@click.option("--bake", type=DurationType(), help="Another least time in each wave.")
@click.option("--margin", type=float, metavar="SHARE", help="Another final_margin for all gates, such as 0.5 for 50 %.")
@click.option("--runs", type=click.IntRange(10, 10_000), default=100, show_default=True, help="How many rehearsals.")
@click.option("--seed", default="wavegate", show_default=True, help="The same seed gives the same numbers.")
@asks_prometheus
def estimate(  # noqa: PLR0913 - one argument for each option
    *,
    source: Source,
    file: TextIO | None,
    flag: str | None,
    over: timedelta,
    traffic: float | None,
    base: Sequence[str],
    clumping: float | None,
    users: float | None,
    waves: str | None,
    bake: timedelta | None,
    margin: float | None,
    runs: int,
    seed: str,
    as_json: bool,
) -> None:
    """How long each wave will take at this traffic, and what it will be able to see.

    The rollout is rehearsed many times by the code that will decide, with a candidate as good as stable. Ends with 5
    when the traffic is too small for the plan.
    """
    document, plan = read_rollout(file, flag)
    plan = _changed(plan, waves=waves, bake=bake, margin=margin)
    policy = plan.policy
    if policy is None:
        least = sum((wave.bake for wave in plan.waves), timedelta(0))
        raise Invalid(
            "gates",
            f"compares nothing, so that each wave takes as long as it takes, {least} in all at least",
            "a gate that compares",
        )
    expected, told = _traffic(source, document, plan, over=over, traffic=traffic, base=base)
    expected = replace(
        expected,
        users=users,
        metrics={
            name: each if clumping is None or each.spread else replace(each, clumping=clumping)
            for name, each in expected.metrics.items()
        },
    )
    for metric in policy.metrics:
        expected.of(metric)
    chance = random.Random(seed)  # noqa: S311 - nobody's secret
    numbers = track(range(runs), "Rehearsing", console=Console(stderr=True), transient=True, disable=as_json)
    found = outlook(policy, expected, [rehearse(policy, expected, chance) for _ in numbers])
    if as_json:
        click.echo(json.dumps(outlook_to_document(document.flag, expected, found), indent=2, ensure_ascii=False))
    else:
        Console(highlight=False).print(_shown(document.flag, expected, told, found, plan))
    if found.advice:
        raise click.exceptions.Exit(UNFIT)


def _changed(plan: Plan, *, waves: str | None, bake: timedelta | None, margin: float | None) -> Plan:
    """The plan, were it otherwise."""
    if waves is not None:
        try:
            shares = [float(share) for share in waves.split(",")]
        except ValueError:
            raise click.BadParameter(f"{waves!r}: give percents, such as 10,50,100", param_hint="--waves") from None
        template = plan.waves[0]
        plan = replace(plan, waves=tuple(replace(template, weight=round(share * 1000)) for share in shares))
    if bake is not None:
        # The other times follow the bake, unless the plan says them itself.
        plan = replace(plan, waves=tuple(_baking(wave, bake) for wave in plan.waves))
    if margin is not None:
        gates = tuple(
            replace(gate, final_margin=margin) if isinstance(gate, ComparedGate) else gate for gate in plan.gates
        )
        plan = replace(plan, gates=gates)
    return plan


def _baking(wave: Wave, bake: timedelta) -> Wave:
    return replace(wave, bake=bake)


def _traffic(
    source: Source,
    document: RolloutDocument,
    plan: Plan,
    *,
    over: timedelta,
    traffic: float | None,
    base: Sequence[str],
) -> tuple[Traffic, str]:
    """What is expected, and where it is from. No server is asked where everything was said."""
    given = dict(_base(each, plan) for each in base)
    if traffic is not None and all(gate.name in given for gate in plan.compared):
        return Traffic(requests_per_second=traffic, metrics=given), "as given"
    history, now = source.history(), SystemClock().now()
    measured = measure_traffic(
        history,
        plan,
        document.flag,
        stable=document.stable,
        at=now,
        over=over,
        elsewhere=source.elsewhere(history, at=now, over=over),
    )
    told = f"counted in {measured.requests:,} requests of the last {format_duration(measured.over)}"
    if traffic is not None or given:
        told += ", but for what is given"
    expected = measured.traffic.with_metrics(given)
    return expected if traffic is None else replace(expected, requests_per_second=traffic), told


def _base(text: str, plan: Plan) -> tuple[str, Expected]:
    name, _, number = text.partition("=")
    known = [gate.name for gate in plan.compared]
    if name not in known:
        raise click.BadParameter(
            f"{name!r} is no gate that compares; there are {', '.join(known)}", param_hint="--base"
        )
    try:
        mean, _, spread = number.partition("±")
        return name, Expected(mean=float(mean), spread=float(spread or 0))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: give a number, such as {name}=0.01; of a value with its spread, such as 0.02±1.5",
            param_hint="--base",
        ) from None


def _shown(flag: str, traffic: Traffic, told: str, found: Outlook, plan: Plan) -> RenderableType:
    rates = ", ".join(f"{name} {each.mean:.4g}{_notes(each)}" for name, each in traffic.metrics.items())
    lines: list[RenderableType] = [
        Text.assemble((flag, "bold"), f": {traffic.requests_per_second:,.4g} requests a second; {rates} ({told})"),
        Text(
            f"{found.rehearsals} rehearsals with a candidate as good as stable, gates that do not compare left out\n",
            "dim",
        ),
        _table(found),
        Text(),
        *_chart(found),
        Text(),
        *_ends(found),
    ]
    if any(wave.approval != "auto" for wave in plan.waves):
        lines.append(Text("Waiting for approvals comes on top."))
    if plan.final_bake is not None:
        lines.append(Text(f"The bake after the last wave, {format_duration(plan.final_bake)}, comes on top."))
    if plan.freeze_windows:
        lines.append(Text("Freeze windows come on top."))
    if any(not isinstance(gate, ComparedGate) for gate in plan.gates):
        others = ", ".join(gate.name for gate in plan.gates if not isinstance(gate, ComparedGate))
        lines.append(Text(f"Taken to pass: {others}."))
    lines.extend(Text(sentence, "yellow") for sentence in found.advice)
    return Group(*lines)


def _notes(expected: Expected) -> str:
    if expected.spread:
        return f" ± {expected.spread:.0%}"
    return f", in clumps of {expected.clumping:.1f}" if expected.clumping > 1.05 else ""  # noqa: PLR2004 - rounds to more than 1.0


def _table(found: Outlook) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("users", "takes", "4 of 5 within", "passes by"):
        table.add_column(name, no_wrap=True)
    for name in ("candidate requests", "rolls back from", "after requests"):
        table.add_column(name, justify="right")
    for wave in found.waves:
        table.add_row(
            _users(wave),
            _time(wave.takes.middle) if wave.takes else "does not end",
            _between(wave.takes),
            (wave.because or "-").replace("_", " ") + ("" if wave.passed > 0.995 else f" ({wave.passed:.0%} pass)"),  # noqa: PLR2004 - rounds to less than all
            f"{wave.candidate_requests:,.0f}",
            "-" if wave.visible is None else f"+{wave.visible:.0%}",
            "-" if wave.visible_requests is None else f"{wave.visible_requests:,.0f}",
        )
    return table


def _users(wave: WaveOutlook) -> str:
    share = f"{wave.share * 100:g} %"
    return share if wave.users is None else f"{share}, {wave.users:,.0f} a day"


def _chart(found: Outlook) -> list[Text]:
    """The waves on one line of time: solid up to the middle, then up to what only a tenth goes beyond."""
    if found.total is None:
        return []
    whole = sum((wave.takes.high for wave in found.waves if wave.takes), timedelta(0))
    lines, before = [], timedelta(0)
    for wave in found.waves:
        if wave.takes is None:
            break
        begin, middle, high = (
            round(_BAR * (each / whole)) for each in (before, before + wave.takes.middle, before + wave.takes.high)
        )
        line = Text(f"{wave.share * 100:>5g} % ")
        line.append(" " * begin)
        line.append("█" * max(1, middle - begin), "cyan")
        line.append("░" * max(0, high - middle), "dim")
        lines.append(line)
        before += wave.takes.middle
    return lines


def _ends(found: Outlook) -> list[Text]:
    lines = []
    if found.total:
        lines.append(
            Text(f"From start to 100 %: {_time(found.total.middle)}, 4 of 5 within {_between(found.total)}.", "bold")
        )
    wrong, most = found.wrong_rollback
    lines.append(
        Text(
            f"Rolled back although harmless: {wrong:.1%} of the rehearsals, so {most:.1%} at most; the plan promises "
            f"{found.promised:.0%} at most."
        )
    )
    open_ = {
        End.INCONCLUSIVE: "the last gate stayed shut for its maximum time",
        End.HELD: "a wave did not end in a month",
    }
    lines.extend(
        Text(f"{found.ends[end]} of {found.rehearsals}: {said}.") for end, said in open_.items() if found.ends[end]
    )
    return lines


def _between(spell: Spell | None) -> str:
    return "-" if spell is None else f"{_time(spell.low)} - {_time(spell.high)}"


def _time(time: timedelta) -> str:
    minutes = time.total_seconds() / 60
    if minutes < 120:  # noqa: PLR2004 - two hours
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 2880 else f"{minutes / 1440:.1f} days"  # noqa: PLR2004 - two days
