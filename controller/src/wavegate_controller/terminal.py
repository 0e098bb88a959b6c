"""Rollouts on a terminal: rich renderables made of API documents and nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.domain.decision import DecisionReason
from wavegate_controller.domain.guardrail import MetricKind
from wavegate_controller.domain.rollout import WATCHED, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.domain.verdict import WARNINGS, VerdictKind

Document = Mapping[str, Any]

#: Colour helps, words decide: wherever a style stands for something, its word or sign stands beside it.
_STATE_STYLE: Final[Mapping[str, str]] = {
    State.DRAFT: "dim",
    State.RUNNING: "cyan",
    State.AWAITING_APPROVAL: "yellow",
    State.PAUSED: "yellow",
    State.COMPLETED: "green",
    State.ROLLED_BACK: "red",
    State.CANCELLED: "dim",
}
_VERDICT_SIGN: Final[Mapping[str, tuple[str, str]]] = {
    VerdictKind.PASS: ("✓", "green"),
    VerdictKind.BREACH: ("✗", "bold red"),
    VerdictKind.NOT_ENOUGH_DATA: ("…", "yellow"),
    VerdictKind.CANNOT_MEASURE: ("?", "magenta"),
}
#: Measured, and in doubt: louder than a mere lack of data.
_WARNING_SIGN: Final = ("!", "bold yellow")
_TAKEN_BACK: Final = frozenset({State.ROLLED_BACK, State.CANCELLED})
#: A design effect that stands for none: too few cohorts have been seen.
_NOT_KNOWN: Final = 1e6


def rollouts_table(documents: Iterable[Document]) -> RenderableType:
    """Two lines for each rollout: where it is and why."""
    table = plain_table("rollout", "users")
    table.add_column("why", ratio=1)
    for document in documents:
        table.add_row(
            Text("\n").join([_text(document["id"], "bold"), Text.assemble(_state(document), _dry(document))]),
            Text("\n").join([_exposure(document), wave_track(document)]),
            _cut(_why(document)),
        )
    return table if table.row_count else Text("no rollouts; `wavegate rollout create --help` shows how to make one")


def calibration_text(document: Document) -> RenderableType:
    """What an A/A rollout shows, each number beside what it should be."""
    planned, users, requests = document["planned_share"], document["users"], document["requests"]
    table = plain_table("of this wave", "candidate", "stable", "share", "planned")
    for what, arms in (("users", users), ("requests", requests)):
        if arms is None:
            table.add_row(what, "not counted", "", "", "")
            continue
        share = "-" if arms["share"] is None else f"{arms['share']:.1%}"
        should = f"{planned:.1%}" if what == "users" and planned is not None else ""
        table.add_row(what, f"{arms['candidate']:,}", f"{arms['stable']:,}", share, should)
    gates = plain_table("gate", "design effect", "evidence for worse")
    for each in document["gates"]:
        effect, evidence = (each[name] for name in ("design_effect", "evidence"))
        gates.add_row(
            _text(each["gate"]),
            "not known yet" if effect is None or effect > _NOT_KNOWN else f"{effect:.2f}",
            "-" if evidence is None else f"{evidence:.3g} : 1",
        )
    alarms, ratio = document["alarms"], document["sample_ratio_evidence"]
    told = f"of {alarms['ended']} A/A rollouts that ended here, gates stopped {alarms['false_alarms']}"
    if alarms["ended"]:
        told += f": a rate from {alarms['at_least']:.1%} to {alarms['at_most']:.1%}"
    return Group(
        _text(f"{document['rollout']}, an A/A rollout, {document['state'].replace('_', ' ')}", "bold"),
        table,
        _text(
            "sample ratio: " + ("nobody can say" if ratio is None else f"evidence {ratio:.3g} : 1 for a broken split")
        ),
        Text(),
        gates,
        Text(),
        *(
            _text(f"beside {each['flag']}: {each['share']:.1%} have both, chi-square {each['chi_square']:.1f}")
            for each in document["beside"]
        ),
        _text(f"false alarms: {told}; the plan promises {alarms['promised']:.0%} at most"),
        *(_text(f"✗ {each}", "bold red") for each in document["fails"]),
    )


def forecast_table(document: Document) -> RenderableType:
    """What the next wave adds beside stable, an hour."""
    if document["percent"] is None:
        return Text("nothing to go by: no wave follows, or nothing was counted in this one yet")
    table = plain_table("", "an hour now", "an hour then", "95 % within", "budget")
    table.add_row(
        "requests",
        _number(document["requests"]),
        _number(document["next_requests"]),
        _within(document["low_requests"], document["high_requests"]),
        "",
    )
    for each in document["extras"]:
        within = _within(each["low"], each["high"])
        budget = "" if each["budget"] is None else f"{each['budget']:,.4g}{', may go over it' if each['over'] else ''}"
        table.add_row(
            f"more {each['what']} ({each['gate']})",
            f"{each['now']:,.4g}",
            f"{each['next']:,.4g}",
            within,
            _text(budget, "yellow" if each["over"] else ""),
        )
    head = Text(f"{document['rollout']}: at {document['percent']:g} % of the users")
    return Group(head, table, *_users(document), *_burns(document))


def _users(document: Document) -> Iterable[RenderableType]:
    if users := document["users"]:
        within = _within(users["low"], users["high"])
        yield Text(f"users: {_number(users['seen'])} so far, {_number(users['more'])} more then ({within})")


def _burns(document: Document) -> Iterable[RenderableType]:
    """How fast the error budget of each objective goes."""
    for each in document["extras"]:
        if burn := each["burn"]:
            within = _within(burn["low"], burn["high"])
            yield _text(
                f"{each['gate']}: uses up the error budget of {burn['objective']:.6g} at {burn['next']:.3g} times the "
                f"speed at which it lasts{f' ({within})' if within else ''}; with stable alone at {burn['stable']:.3g}",
                "yellow" if burn["next"] > 1 else "",
            )


def _number(value: float) -> str:
    return f"{value:,.4g}"


def _within(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


_OUTCOMES: Final = {
    "agreed": ("agreed", "green"),
    "later": ("people later", "yellow"),
    "earlier": ("people earlier", "yellow"),
    "missed": ("missed by the dry run", "bold red"),
    "false_alarm": ("false alarm", "bold red"),
    "open": ("nobody has acted yet", "cyan"),
}


def comparison_table(document: Document) -> RenderableType:
    """What a dry run would have done beside what was done, and how they lie to each other."""
    table = plain_table("wave", "outcome", "the dry run", "was done")
    table.add_column("why", ratio=1, overflow="fold")
    for each in document["compared"]:
        would, did = each["would"], each["did"]
        said, style = _OUTCOMES[each["outcome"]]
        table.add_row(
            "" if each["wave"] is None else f"{each['wave']}",
            Text(said, style),
            "would hold" if would is None else f"would {_command(would['event'])}, {_clock(would['at'])}",
            "nothing" if did is None else f"{_command(did['event'])}, {_clock(did['at'])}",
            _text((would or did)["sentence"]),
        )
    if not table.row_count:
        return Text("nothing to compare: the dry run has noted nothing, and nobody has moved it")
    counted = ", ".join(f"{_OUTCOMES[name][0]} {number}" for name, number in document["outcomes"].items() if number)
    return Group(Text(f"{document['rollout']}: {counted}"), table)


def rollout_panel(
    document: Document, *, decisions: Sequence[Document] = (), now: datetime | None = None
) -> RenderableType:
    """Everything about one rollout.

    Args:
        document: of the rollout.
        decisions: to list beneath it, newest first.
        now: to say how long ago something was; without it only times are shown.
    """
    parts: list[RenderableType] = [*_position(document, now), Text(), *_gates(document), Text()]
    if document.get("guardrail"):
        parts += [*comparison(document["guardrail"]), Text()]
    parts.append(_next(document, now))
    if decisions:
        parts += [Text(), decisions_table(decisions)]
    title = Text.assemble(_text(document["id"], "bold"), " · ", _state(document), _dry(document))
    style = _STATE_STYLE[document["state"]]
    return Panel(Group(*parts), title=title, title_align="left", border_style=style, padding=(0, 1))


def explanation_panel(document: Document) -> RenderableType:
    """A decision made again: what was said, what the evidence says, and each number beside its limit."""
    decision = document["decision"]
    parts: list[RenderableType] = [
        _text(
            f"{decision['rollout']} at {_clock(decision['at'])}: {_command(decision['event'])} by {decision['actor']}"
        ),
        Padding(_text(_reasoned(decision), "dim"), (0, 0, 0, 2)),
        Text(),
    ]
    agrees = {
        None: ("· a person decided, or nothing was kept to make it again from", "dim"),
        True: ("✓ made again from the evidence: the same, bit by bit", "green"),
        False: ("✗ made again from the evidence: NOT the same", "bold red"),
    }
    parts.append(Text(*agrees[document["agrees"]]))
    if document["agrees"] is False:
        again = document["again"]
        parts.append(Padding(_text(f"{_command(again['event'])}: {_reasoned(again)}"), (0, 0, 0, 2)))
    if guardrail := document["guardrail"]:
        parts += [Text(), *comparison(guardrail)]
    elif decision["verdicts"]:
        parts += [
            Text(),
            *(_text(f"{each['gate']}  {each['kind']}: {each['sentence']}") for each in decision["verdicts"]),
        ]
    return Panel(Group(*parts), title=f"decision {decision['id']}", title_align="left", padding=(0, 1))


def comparison(guardrail: Document) -> Iterable[RenderableType]:
    """Candidate beside stable, for each gate that compares: rates, interval, evidence, and what is yet to come."""
    odds = f"{guardrail['evidence']:.3g} : 1 against 'no worse', breach at {guardrail['evidence_limit']:g} : 1"
    yield Text.assemble(
        ("candidate beside stable  ", "bold"), f"{guardrail['outcome']} · {guardrail['reason']} · {odds}"
    )
    for metric in guardrail["metrics"]:
        yield Text.assemble(("  ", ""), (metric["name"], "bold"), "  ", "; ".join(_compared(metric, guardrail)))


def _compared(metric: Document, guardrail: Document) -> Iterable[str]:
    counts = metric["in_wave"]
    if not counts["candidate_requests"] and not counts["stable_requests"]:
        yield "no requests of either in this wave yet"
        return
    for arm in ("candidate", "stable"):
        yield f"{arm} {_rate(metric, counts[f'{arm}_requests'], counts[f'{arm}_amount'] * metric['unit'])}"
    if interval := metric["interval"]:
        high = "any" if interval["high"] is None else f"{interval['high']:.3g}"
        yield f"{interval['low']:.3g} to {high} times stable's ({interval['level']:.0%} at all times)"
    if metric["design_effect"] is None and metric["kind"] == MetricKind.SHARE:
        yield f"no evidence yet: only {metric['live_cohorts']} cohorts of users have traffic in both arms"
        return
    yield f"evidence {metric['regression']:.3g} : 1 of harm"
    shown, margin = ("final", "final_margin") if metric["final"] is not None else ("early", "early_margin")
    yield (
        f"{metric[shown]:.3g} : 1 for at most {metric[margin]:.0%} worse, gate opens at {guardrail['gate_limit']:g} : 1"
    )
    if metric["design_effect"] is not None:
        yield f"design effect {metric['design_effect']:.3g}"
    forecast = metric["forecast"] or {}
    if forecast.get("bad_outcomes") is not None:
        yield f"the gate needs about {forecast['bad_outcomes']} bad outcomes"
    if forecast:
        remaining = forecast["remaining_seconds"]
        yield "no end in sight at this traffic" if remaining is None else f"may open in {_seconds(remaining)}"


def _rate(metric: Document, requests: int, amount: float) -> str:
    if not requests:
        return "no requests"
    if metric["kind"] == MetricKind.SHARE:
        return f"{amount / requests:.3%} bad ({amount:.6g} of {requests} requests)"
    return f"{amount / requests:.4g} a request ({amount:.6g} of {requests})"


def decisions_table(documents: Iterable[Document]) -> RenderableType:
    """What happened, in the order given."""
    table = plain_table("id", "at (UTC)", "event", "users", "by")
    table.add_column("why", ratio=1, overflow="fold")
    for document in documents:
        held = document["event"] == Event.TICK
        table.add_row(
            Text(f"{document['id']}", "dim"),
            Text(f"{_time(document['at']):%m-%d %H:%M:%S}"),
            Text("hold", "dim") if held else Text(_command(document["event"]), _STATE_STYLE[document["state"]]),
            Text(f"{document['percent']:g} %"),
            _text(document["actor"]),
            _text(_reasoned(document)),
        )
    return table if table.row_count else Text("nothing has happened yet")


def flags_table(documents: Iterable[Document]) -> RenderableType:
    """One line for each flag and its newest rollout."""
    table = plain_table("flag", "enabled", "default")
    table.add_column("newest rollout", ratio=1)
    for document in documents:
        rollout = document["rollout"]
        table.add_row(
            _text(document["key"], "bold"),
            Text("yes") if document["enabled"] else Text("NO", "bold red"),
            _text(document["default_variant"]),
            Text("none", "dim")
            if rollout is None
            else _cut(Text("  ").join([_state(rollout), Text(f"{rollout['percent']:g} %"), wave_track(rollout)])),
        )
    return table if table.row_count else Text("no flags; `wavegate flag create KEY` makes one")


def stale_table(report: Document) -> RenderableType:
    """Flags that have done their work, and why."""
    table = plain_table("flag", "since")
    table.add_column("why", ratio=1)
    for flag in report["items"]:
        for reason in flag["reasons"]:
            table.add_row(_text(flag["flag"], "bold"), reason["since"][:10], _text(reason["sentence"]))
    parts: list[RenderableType] = [table if table.row_count else Text("no stale flags")]
    if report["notice"]:
        parts.append(_text(f"nobody could say which flags are evaluated: {report['notice']}", "dim"))
    return Group(*parts)


def segments_table(documents: Iterable[Document]) -> RenderableType:
    """Segments with their conditions."""
    table = plain_table("segment", "version")
    table.add_column("condition", ratio=1)
    for document in documents:
        condition = json.dumps(document["condition"], ensure_ascii=False)
        table.add_row(_text(document["key"], "bold"), str(document["version"]), _text(condition))
    return table if table.row_count else Text("no segments; `wavegate segment save --help` shows how to make one")


def templates_table(documents: Iterable[Document]) -> RenderableType:
    """Templates with their waves."""
    table = plain_table("template", "waves")
    table.add_column("for", ratio=1)
    for document in documents:
        waves = ", ".join(f"{wave['percent']:g} %" for wave in document["plan"]["waves"])
        name = f"{document['name']}@{document['version']}"
        table.add_row(_text(name, "bold"), waves, _text(document["description"]))
    return table if table.row_count else Text("no templates; `wavegate template save --help` shows how to make one")


def freeze_table(calendar: Document) -> RenderableType:
    """Freeze windows."""
    table = plain_table("window", "from", "to", "time zone")
    for window in calendar["freeze_windows"]:
        table.add_row(_text(window["name"], "bold"), window["from"], window["to"], _text(window["time_zone"]))
    return table if table.row_count else Text("no freeze windows: exposure may rise at any time")


def revisions_table(documents: Iterable[Document]) -> RenderableType:
    """One line for each revision."""
    table = plain_table("revision", "published")
    table.add_column("how far it came", ratio=1)
    for document in documents:
        style = "green" if document["delivered"] == document["of"] else "yellow"
        table.add_row(
            Text(str(document["revision"]), "bold"), _clock(document["since"]), _text(document["sentence"], style)
        )
    return table if table.row_count else Text("no revision was published yet")


def clients_table(documents: Iterable[Document]) -> RenderableType:
    """One line for each connected client."""
    table = plain_table("instance", "app", "sdk", "revision", "for")
    table.add_column("gets changes", ratio=1)
    for document in documents:
        table.add_row(
            _text(document["instance"]),
            _text(document["app"] or "-"),
            _text(document["sdk"]),
            Text("-" if document["revision"] is None else str(document["revision"]), "bold"),
            Text("-" if document["revision"] is None else f"{document['held_seconds']:,.0f} s"),
            Text("pushed") if document["streaming"] else Text("by asking", "yellow"),
        )
    return table if table.row_count else Text("no app is connected")


def presets_table(documents: Iterable[Document]) -> RenderableType:
    """One line for each preset and source."""
    table = plain_table("preset", "source", "needs", "takes")
    table.add_column("watches", ratio=1, overflow="fold")
    for document in documents:
        table.add_row(
            Text(document["preset"], "bold"),
            Text(document["source"]),
            Text(", ".join(document["needs"]) or "-"),
            Text(", ".join(document["takes"]) or "-"),
            Text(document["summary"]),
        )
    return table


def wave_track(document: Document) -> Text:
    """The plan's waves as a track: behind us drawn through, the one we are in between brackets.

    A rollout that was taken back stands before its first wave, and a cross marks the wave it had reached.
    """
    reached = document["wave"]["number"] if document["wave"] else 0
    taken_back = document["state"] in _TAKEN_BACK
    style = _STATE_STYLE[document["state"]]
    track = Text()
    if taken_back:
        track.append("[0]", f"bold {style}").append(" ─ ", "dim")
    for number, wave in enumerate(document["plan"]["waves"], start=1):
        name = f"{wave['percent']:g}"
        passed = number <= reached and not taken_back
        if number > 1:
            track.append(" ━ " if passed else " ─ ", style if passed else "dim")
        if number == reached:
            track.append(f"{name}✗" if taken_back else f"[{name}]", f"bold {style}")
        else:
            track.append(name, style if passed else "dim")
    return track


def plain_table(*columns: str) -> Table:
    """Columns without lines, as in all our lists."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, max_width=32)
    return table


def _cut(text: Text) -> Text:
    """To what its column has left: said on the text, since a column that may not wrap would starve its neighbours."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _state(document: Document) -> Text:
    paused = f" ({document['pause_reason'].replace('_', ' ')})" if document["pause_reason"] else ""
    return Text(document["state"].replace("_", " ") + paused, _STATE_STYLE[document["state"]])


def _exposure(document: Document) -> Text:
    wave = document["wave"]
    return Text.assemble(
        (f"{document['percent']:g} %", "bold"), (f"  wave {wave['number']} of {wave['of']}" if wave else "", "dim")
    )


def _why(document: Document) -> Text:
    if not document["flag_enabled"]:
        return Text("flag disabled\nserves its default variant to everybody", "bold red")
    latest = document["latest_decision"]
    if latest is None:
        return Text("waits for start", "dim")
    return Text("\n").join([Text(latest["reason"]), _text(latest["sentence"], "dim")])


def _position(document: Document, now: datetime | None) -> Iterable[RenderableType]:
    if not document["flag_enabled"]:
        yield Text("The flag is disabled: everybody gets its default variant, whatever stands below.", "bold red")
    if whose := document.get("dry_run"):
        ends = (
            f"`wavegate environment set {document['environment']} --no-dry-run`"
            if whose == "environment"
            else f"`wavegate rollout dry-run {document['id']} --off -m WHY`"
        )
        yield _text(f"Dry run of the {whose}: only people move it. Ends by {ends}.", "bold magenta")
    variants = f" of users get {document['candidate']!r} instead of {document['stable']!r}"
    if document.get("aa"):  # an older controller does not say
        yield Text("A/A: both variants have the same value, so nobody is served anything new.", "cyan")
    held_out = f", but {document['hold_out']:g} % of all are held out" if document["hold_out"] else ""
    yield Text.assemble((f"{document['percent']:g} %", "bold"), variants, held_out)
    wave = document["wave"]
    place = f"   wave {wave['number']} of {wave['of']}" if wave else ""
    if wave and wave["final_bake_since"] and document["state"] in WATCHED:
        place += ", in the bake after it"
    yield Text.assemble(wave_track(document), (place, "dim"))
    if delivery := document.get("delivery"):
        style = "dim" if delivery["delivered"] == delivery["of"] else "yellow"
        yield _text(f"revision {delivery['revision']}: {delivery['sentence']}", style)
    yield from _held_by_people(document)
    moved = document["moved_by"]
    if moved is None:
        yield _text(f"written down by {document['created_by']} at {_clock(document['created_at'], now)}")
        return
    yield _text(f"since {_clock(moved['at'], now)}: {_command(moved['event'])} by {moved['actor']}")
    asked = moved["reason"] == DecisionReason.REQUESTED
    if why := moved["comment"] if asked else _reasoned(moved):
        yield Padding(_text(why, "dim"), (0, 0, 0, 2))


def _dry(document: Document) -> Text:
    return Text(" · dry run", "bold magenta") if document.get("dry_run") else Text()


def _held_by_people(document: Document) -> Iterable[RenderableType]:
    """Whose pin holds it, and who has approved so far."""
    if pin := document["pin"]:
        breached = f"; gates breached since {_clock(pin['breached_at'])}" if pin["breached_at"] else ""
        yield _text(f"pinned by {pin['by']}: {pin['reason']}{breached}", "bold red" if breached else "bold yellow")
    if approvals := document["approvals"]:
        given = ", ".join(each["by"] for each in approvals["given"]) or "nobody yet"
        yield _text(f"approved by {len(approvals['given'])} of {approvals['needed']}: {given}", "bold")


def _gates(document: Document) -> Iterable[RenderableType]:
    yield Text("gates", "bold")
    latest = document["latest_decision"]
    verdicts = {verdict["gate"]: verdict for verdict in latest["verdicts"]} if latest else {}
    for gate in document["plan"]["gates"]:
        verdict = verdicts.get(gate["name"])
        if verdict is None:
            yield Text.assemble(("· ", "dim"), gate["name"], ("  not looked at yet", "dim"))
            continue
        sign, style = _WARNING_SIGN if verdict["reason"] in WARNINGS else _VERDICT_SIGN[verdict["kind"]]
        yield Text.assemble(
            (f"{sign} ", style),
            (gate["name"], "bold"),
            "  ",
            (verdict["kind"], style),
            f" · {verdict['reason']}",
            (f" · {_against_limit(verdict)}", "dim"),
        )
        yield Padding(_text(verdict["sentence"]), (0, 0, 0, 2))


def _against_limit(verdict: Document) -> str:
    figures = verdict["figures"]
    value = "no value" if verdict["value"] is None else f"value {verdict['value']:.4g}"
    said = value if verdict["limit"] is None else f"{value}, limit {verdict['limit']:.4g}"
    if "warn" in figures:
        said += f", warning {figures['warn']:.4g}"
    if "low" in figures and "high" in figures:
        said += f", interval {figures['low']:.3g} to {figures['high']:.3g}"
    if "silent_seconds" in figures:
        said += f", silent for {_seconds(figures['silent_seconds'])}"
    if "silent_limit_seconds" in figures:
        said += f" of {_seconds(figures['silent_limit_seconds'])}"
    return said


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))


def _next(document: Document, now: datetime | None) -> RenderableType:
    """Why it stays where it is and until when, and what may be asked of it."""
    lines = Table.grid(padding=(0, 1))
    lines.add_column(no_wrap=True, style="bold")
    lines.add_column()
    if document["state"] in WATCHED:
        latest = document["latest_decision"]
        if latest and latest["event"] == Event.TICK:
            lines.add_row("holds", _text(_reasoned(latest)))
        lines.add_row("until", _until(document, now))
    possible = ", ".join(map(_command, document["possible"]))
    lines.add_row("possible", possible or "nothing: this state is final")
    return lines


def _until(document: Document, now: datetime | None) -> str:
    baked_at = document["wave"]["baked_at"]
    until = "a person acts"
    if document["state"] == State.RUNNING:
        baked = now is not None and _time(baked_at) <= now
        until = "all gates pass" if baked else f"all gates pass, at {_clock(baked_at)} at the earliest"
    look = document["next_look_at"]
    return f"{until}; next look at {_clock(look)}" if look else until


def _reasoned(decision: Document) -> str:
    return f"{decision['reason']}: {decision['sentence']}"


def _command(event: str) -> str:
    """The event as the command line spells it."""
    return event.replace("_", "-")


def _clock(at: str, now: datetime | None = None) -> str:
    """A time in UTC, as everywhere in the product; with the day and how long ago where `now` is known."""
    time = _time(at)
    if now is None:
        return f"{time:%H:%M:%S} UTC"
    day = "" if time.date() == now.astimezone(UTC).date() else f"{time:%Y-%m-%d} "
    ago = format_duration(timedelta(seconds=max(0, round((now - time).total_seconds()))))
    return f"{day}{time:%H:%M:%S} UTC ({ago} ago)"


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)


def _text(said: str, style: str = "") -> Text:
    """What people and servers said: never read as markup, and no control sequence reaches the terminal."""
    return Text("".join(char if char.isprintable() else " " for char in said), style)
