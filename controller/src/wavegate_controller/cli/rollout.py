"""`wavegate rollout`."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

import click

from wavegate_controller.cli.failure import Misused
from wavegate_controller.cli.findings import despite, findings_text, in_spite
from wavegate_controller.cli.session import Session, may_override, overriding, signed, speaks_to_controller
from wavegate_controller.cli.watching import watch_all, watch_one
from wavegate_controller.clock import SystemClock
from wavegate_controller.documents import RolloutDocument, parse_text, plan_to_document
from wavegate_controller.documents.markup import to_page
from wavegate_controller.documents.review_texts import review_to_markdown
from wavegate_controller.domain.transitions import Event
from wavegate_controller.remote import Document
from wavegate_controller.terminal import (
    comparison_table,
    decisions_table,
    forecast_table,
    rollout_panel,
    rollouts_table,
)

#: What a person may ask of a rollout, as its help says it.
ACTS: Final = {
    Event.START: "Open the first wave.",
    Event.PROMOTE: "Open the next wave now, whatever the gates say; needs -m.",
    Event.APPROVE: "Sign that the next wave may open; needs -m.",
    Event.REJECT: "Decline the next wave: stay, paused; needs -m.",
    Event.PAUSE: "Stay at this percentage until resumed.",
    Event.RESUME: "Go on; the wave bakes anew.",
    Event.PIN: "Hold it in this or a lower wave, whatever gates say; needs -m.",
    Event.UNPIN: "Let the plan decide again; the wave bakes anew.",
    Event.STEP_BACK: "One wave back, paused.",
    Event.ROLL_BACK: "Everybody back to the stable variant, at once.",
    Event.UNDO: "Take your roll back back; paused where it was.",
    Event.RESTART: "Begin a rolled-back rollout again at its first wave; needs -m.",
    Event.CANCEL: "Give up for good: everybody back to the stable variant.",
}
#: Those that may raise exposure.
_RAISING: Final = frozenset({Event.START, Event.PROMOTE, Event.APPROVE, Event.RESTART, Event.UNDO})
_MOVES_SHOWN: Final = 5


@click.group
def rollout() -> None:
    """Create rollouts, watch them, and act on them.

    REFERENCE is a rollout's id, such as ai-summaries:2, or a flag's key for the newest rollout of that flag.
    """


@rollout.command
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="A rollout document, YAML or JSON; - for stdin.")
@click.option("--flag", metavar="KEY", help="Instead of a file: the flag.")
@click.option("--candidate", metavar="VARIANT", help="The variant to roll out.  [default: on]")
@click.option("--waves", metavar="PERCENTS", help="Such as 10,25,50,100, which is the default.")
@click.option("--bake", metavar="DURATION", help="Least time in each wave, such as 10m.  [default: 15m]")
@click.option("--template", metavar="NAME", help="Instead of waves: a plan that the environment keeps by name.")
@click.option("--start", is_flag=True, help="Start it, too.")
@despite
@signed
@speaks_to_controller
def create(  # noqa: PLR0913 - one argument for each option
    session: Session,
    *,
    file: TextIO | None,
    flag: str | None,
    candidate: str | None,
    waves: str | None,
    bake: str | None,
    template: str | None,
    start: bool,
    despite_lint: str,
    name: str | None,
    comment: str,
) -> None:
    """A new rollout, as a draft."""
    if (file is None) == (flag is None):
        raise click.UsageError("say what to roll out: either -f FILE or --flag KEY")
    if file is not None:
        if candidate or waves or bake or template:
            raise click.UsageError(
                "--candidate, --waves, --bake and --template go with --flag; the file says them itself"
            )
        document = spelled_out(_read(file))
    else:
        if template and (waves or bake):
            raise click.UsageError("--template is a whole plan: leave out --waves and --bake")
        document = _from_options(flag, candidate, waves, bake) | ({"template": template} if template else {})
    actor = session.signature(name)
    created = session.controller.create_rollout(document, actor=actor)
    if start:
        further = in_spite(despite_lint)
        created = session.controller.act(created["id"], Event.START, actor=actor, comment=comment, **further)
    _show(session, created)


@rollout.command
@click.argument("reference")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="A rollout document, as create reads it.")
@click.option("--template", metavar="NAME", help="Instead of a file: a plan that the environment keeps by name.")
@signed
@speaks_to_controller
def change(
    session: Session, *, reference: str, file: TextIO | None, template: str | None, name: str | None, comment: str
) -> None:
    """Give a draft another plan. Refused once it has begun."""
    if (file is None) == (template is None):
        raise click.UsageError("say which plan: either -f FILE or --template NAME")
    before = session.controller.rollout(reference)
    wanted = {"template": template} if file is None else _plan_of(_read(file), before)
    signed_change = wanted | {"comment": comment, "version": before["version"]}
    after = session.controller.change_plan(before["id"], signed_change, actor=session.signature(name))
    session.show(after, rollout_panel(after, now=SystemClock().now()))


def _plan_of(document: RolloutDocument, rollout: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of a rollout document, which must speak of that rollout."""
    for field in document.model_fields_set & {"flag", "candidate", "stable"}:
        if (said := getattr(document, field)) != rollout[field]:
            raise Misused(f"{field} is {said!r} in the file, but {rollout[field]!r} in rollout {rollout['id']}")
    return {name: value for name, value in spelled_out(document).items() if name in ("plan", "template")}


@rollout.command("list")
@click.option("--flag", metavar="KEY", help="Of this flag only.")
@speaks_to_controller
def show_all(session: Session, flag: str | None) -> None:
    """All rollouts, newest first."""
    rollouts = session.controller.rollouts(flag)
    session.show(rollouts, rollouts_table(rollouts))


@rollout.command
@click.argument("reference")
@speaks_to_controller
def status(session: Session, reference: str) -> None:
    """Where a rollout stands, why, and what may be asked of it."""
    document = session.controller.rollout(reference)
    moves = session.controller.decisions(document["id"], limit=_MOVES_SHOWN, moves_only=True)
    session.show(document, rollout_panel(document, decisions=moves, now=SystemClock().now()))
    notice = session.controller.status()["notice"]
    if notice and not session.as_json:
        session.console.print(notice, style="dim")


@rollout.command
@click.argument("reference")
@speaks_to_controller
def lint(session: Session, reference: str) -> None:
    """What the controller finds wrong with a rollout's gates now.

    A draft that has an error in its gates is not started. `wavegate lint` does the same with a file.
    """
    document = session.controller.findings(reference)
    session.show(document, findings_text(document["findings"], document["clean"]))


@rollout.command
@click.argument("reference")
@speaks_to_controller
def forecast(session: Session, reference: str) -> None:
    """What the next wave will cost an hour, going by this one."""
    document = session.controller.forecast(reference)
    session.show(document, forecast_table(document))


@rollout.command
@click.argument("reference")
@click.option("--wave", type=click.IntRange(min=1), help="Its number; by default the newest.")
@click.option("--decision", type=click.IntRange(min=1), metavar="ID", help="As the person saw it who decided that.")
@click.option("--html", "as_html", is_flag=True, help="A page of HTML instead, to be sent or printed.")
@speaks_to_controller
def review(session: Session, *, reference: str, wave: int | None, decision: int | None, as_html: bool) -> None:
    """What an approver of the next wave signs, as Markdown."""
    if as_html and session.as_json:
        raise Misused("give either --html or --json")
    if wave is not None and decision is not None:
        raise Misused("give either --wave or --decision")
    document = session.controller.review(reference, wave=wave, decision=decision)
    text = review_to_markdown(document)
    if as_html:
        click.echo(to_page(text), nl=False)
    else:
        session.show(document, text.rstrip("\n"))


@rollout.command
@click.argument("reference")
@click.option("--html", "as_html", is_flag=True, help="A page of HTML with charts instead, to be sent or printed.")
@speaks_to_controller
def report(session: Session, reference: str, *, as_html: bool) -> None:
    """How a rollout went, from wave to wave, as Markdown."""
    if as_html and session.as_json:
        raise Misused("give either --html or --json")
    found = session.controller.report(reference)
    if as_html:
        click.echo(to_page(found["markdown"], found["html"]), nl=False)
    else:
        session.show(found, found["markdown"].rstrip("\n"))


@rollout.command
@click.argument("reference")
@speaks_to_controller
def compare(session: Session, reference: str) -> None:
    """What a dry run would have done, beside what people did."""
    document = session.controller.comparison(reference)
    session.show(document, comparison_table(document))


@rollout.command("dry-run")
@click.argument("reference")
@click.option("--on/--off", "dry_run", required=True, default=None, help="Whether it is only judged; people move it.")
@signed
@speaks_to_controller
def dry_run_rollout(session: Session, *, reference: str, dry_run: bool, name: str | None, comment: str) -> None:
    """Let a rollout only be judged, or act again; needs -m."""
    actor = session.signature(name)
    document = session.controller.set_dry_run(reference, dry_run=dry_run, actor=actor, comment=comment)
    _show(session, document)


@rollout.command
@click.argument("reference", required=False)
@click.option("--all", "everything", is_flag=True, help="The newest rollout of every flag, until Ctrl-C.")
@speaks_to_controller
def watch(session: Session, reference: str | None, everything: bool) -> None:
    """Watch a rollout until it has ended.

    A live picture on a terminal; elsewhere one line for each change.
    """
    if (reference is None) != everything:
        raise click.UsageError("say what to watch: either a REFERENCE or --all")
    try:
        if reference is None:
            watch_all(session)
        else:
            watch_one(session, reference)
    except KeyboardInterrupt:
        return


@rollout.command
@click.argument("reference")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many.")
@click.option("--before", type=int, metavar="ID", help="Only what is older than the decision of this id.")
@click.option("--moves", is_flag=True, help="Without the holds.")
@speaks_to_controller
def history(session: Session, reference: str, limit: int, before: int | None, moves: bool) -> None:
    """Every decision, newest first."""
    decisions = session.controller.decisions(reference, limit=limit, before=before, moves_only=moves)
    session.show(decisions, decisions_table(decisions))


@rollout.command
@click.argument("reference")
@click.option("--gate", metavar="NAME", help="The manual gate; may be left out where the plan has one only.")
@click.argument("verdict", type=click.Choice(["pass", "breach"]))
@signed
@speaks_to_controller
def judge(session: Session, *, reference: str, gate: str | None, verdict: str, name: str | None, comment: str) -> None:
    """Say of the present wave what a manual gate waits for; needs -m."""
    document = session.controller.rollout(reference)
    manual = [each["name"] for each in document["plan"]["gates"] if each["type"] == "manual"]
    if gate is None and len(manual) != 1:
        raise click.UsageError(
            f"say which gate: --gate with one of {', '.join(manual) or 'none, there is no manual gate'}"
        )
    judged = session.controller.judge(
        document["id"],
        gate or manual[0],
        verdict,
        comment=comment,
        wave=document["wave"] and document["wave"]["number"],
        actor=session.signature(name),
    )
    session.show(judged, rollout_panel(judged, now=SystemClock().now()))


@rollout.command
@click.argument("reference")
@signed
@speaks_to_controller
def reason(session: Session, *, reference: str, name: str | None, comment: str) -> None:
    """Say afterwards why you moved it; needs -m."""
    document = session.controller.give_reason(reference, comment, actor=session.signature(name))
    session.show(document, rollout_panel(document, now=SystemClock().now()))


def _show(session: Session, document: Document) -> None:
    """A rollout; above it what lint found when it was started."""
    found = document.get("findings")
    if found and not session.as_json:
        session.console.print(findings_text(found))
    session.show(document, rollout_panel(document, now=SystemClock().now()))


def _read(file: TextIO) -> RolloutDocument:
    """Read here, so that a mistake is named before anything is sent."""
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise Misused(f"{file.name} is not UTF-8 text: {error}") from None
    return parse_text(RolloutDocument, text)


def spelled_out(document: RolloutDocument) -> dict[str, Any]:
    """With every default."""
    plan = plan_to_document(document.plan_to_domain())
    given = document.model_dump(exclude={"plan"}, exclude_none=True)
    return given if document.template is not None else given | {"plan": plan}


def _from_options(flag: str | None, candidate: str | None, waves: str | None, bake: str | None) -> dict[str, Any]:
    document: dict[str, Any] = {"flag": flag}
    if candidate is not None:
        document["candidate"] = candidate
    if waves is not None or bake is not None:
        baking = {} if bake is None else {"bake": bake}
        percents = map(_percent, (waves or "10,25,50,100").split(","))
        document["plan"] = {"waves": [{"percent": percent} | baking for percent in percents]}
    return document


def _percent(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number; such as 10,25,50,100", param_hint="--waves") from None


def _act(event: Event, sentence: str) -> click.Command:
    @click.argument("reference")
    @signed
    @speaks_to_controller
    def act(
        session: Session,
        /,
        *,
        reference: str,
        name: str | None,
        comment: str,
        override_freeze: bool = False,
        despite_lint: str = "",
        **options: Any,
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        further = overriding(override_freeze) | in_spite(despite_lint) | given
        actor = session.signature(name)
        document = session.controller.act(reference, event, actor=actor, comment=comment, **further)
        _show(session, document)

    if event in _RAISING:
        act = may_override(act)
    if event is Event.START:
        act = despite(act)
    if event is Event.APPROVE:
        read = "Digest of the review that was read; refused when that is over."
        act = click.option("--review", metavar="DIGEST", help=read)(act)
    if event is Event.PIN:
        act = click.option("--percent", type=float, help="Of the wave to hold; by default the present one.")(act)
    command: Callable[..., click.Command] = click.command(event.replace("_", "-"), help=sentence)
    return command(act)


for _event, _sentence in ACTS.items():
    rollout.add_command(_act(_event, _sentence))
