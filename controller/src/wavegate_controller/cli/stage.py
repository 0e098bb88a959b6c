"""`wavegate stage`."""

from typing import Any, Final, TextIO

import click
from rich.console import Group, RenderableType
from rich.text import Text

from wavegate_controller.cli.failure import Misused
from wavegate_controller.cli.session import Session, given, read_file, signed, speaks_to_controller
from wavegate_controller.documents.markup import to_page
from wavegate_controller.documents.passports import PARTS
from wavegate_controller.documents.reading import parse
from wavegate_controller.documents.texts import read_texts
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.passport import ReadinessItem, Stage
from wavegate_controller.remote import Document
from wavegate_controller.terminal import plain_table

_NAMES: Final = click.Choice([stage.value for stage in PARTS])
_ITEMS: Final = click.Choice([item.value for item in ReadinessItem])
_ALL: Final = click.Choice([stage.value for stage in Stage])


@click.group
def stage() -> None:
    """From discovery to scale: where a feature stands, what it lacks, and who decides."""


@stage.command
@click.argument("flag")
@speaks_to_controller
def show(session: Session, flag: str) -> None:
    """Where a feature stands, and what its stage still asks for."""
    _show(session, session.controller.passport(flag))


@stage.command
@speaks_to_controller
def portfolio(session: Session) -> None:
    """All features by stage, and what blocks each."""
    found = session.controller.portfolio()
    session.show(found, _portfolio(found))


@stage.command
@click.argument("flag")
@click.argument("of", metavar="[STAGE]", type=_ALL, required=False)
@click.option("--html", "as_html", is_flag=True, help="A page of HTML instead, to be sent or printed.")
@speaks_to_controller
def document(session: Session, flag: str, of: str | None, as_html: bool) -> None:
    """What a stage has to show, as Markdown."""
    if as_html and session.as_json:
        raise Misused("give either --html or --json")
    found = session.controller.stage_document(flag, of)
    text = found["markdown"]
    if as_html:
        click.echo(to_page(text), nl=False)
    else:
        session.show(found, text.rstrip("\n"))


@stage.command
@click.argument("flag")
@click.argument("part_of", metavar="STAGE", type=_NAMES)
@click.argument("fields", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="The whole part as YAML or JSON; - for stdin.")
@signed
@speaks_to_controller
def write(
    session: Session,
    *,
    flag: str,
    part_of: str,
    fields: tuple[str, ...],
    file: TextIO | None,
    name: str | None,
    comment: str,
) -> None:
    """Write down what a stage asks for.

    Either a file with all of it, or single fields; those left out stay.

    A value is YAML: `people='[ann, bob, cleo, dan, eve]'`. In the checklist a dot leads into an item:
    `security.owner=ada security.is_done=true security.evidence='[the review of 20 Nov]'`.
    """
    if (file is None) is (not fields):
        raise Misused("give either FIELD=VALUE or -f FILE")
    model = PARTS[Stage(part_of)]
    shown = session.controller.passport(flag)
    part: dict[str, Any] = shown["passport"][part_of]
    if file is not None:
        part = given(read_file(model, file))
    for field in fields:
        _put(part_of, part, field)
    part = given(parse(model, part)) | {"comment": comment, "version": shown["version"]}
    _show(session, session.controller.write_stage(flag, part_of, part, actor=session.signature(name)))


def _decision(outcome: str, text: str) -> click.Command:
    """A command for one way to leave a stage."""
    takes_stage = outcome in ("back", "override")

    @signed
    @speaks_to_controller
    def command(session: Session, *, flag: str, name: str | None, comment: str, to: str | None = None) -> None:
        further = {"to": to} if to else {}
        document = {"outcome": outcome, "reason": comment} | further
        _show(session, session.controller.decide_stage(flag, document, actor=session.signature(name)))

    if takes_stage:
        command = click.argument("to", metavar="STAGE", type=_ALL)(command)
    return click.command(outcome.replace("_", "-"), help=text)(click.argument("flag")(command))


stage.add_command(_decision("go", "Leave a stage for the next one.\n\nRefused while anything is missing. Needs -m."))
stage.add_command(_decision("no_go", "End the feature here; its pilot ends at once. Needs -m."))
stage.add_command(_decision("back", "Go back to an earlier stage. Needs -m."))
stage.add_command(_decision("override", "Go on without what is missing.\n\nAn admin's, shown for ever. Needs -m."))


@stage.command
@click.argument("flag")
@click.argument("item", type=_ITEMS)
@signed
@speaks_to_controller
def acknowledge(session: Session, flag: str, item: str, name: str | None, comment: str) -> None:
    """Say, as its owner, that you own an item of the checklist."""
    document = {"item": item, "comment": comment}
    _show(session, session.controller.acknowledge_item(flag, document, actor=session.signature(name)))


@stage.command
@click.argument("flag")
@click.argument("person", metavar="TARGETING_KEY")
@signed
@speaks_to_controller
def leave(session: Session, flag: str, person: str, name: str | None, comment: str) -> None:
    """Take somebody out of the pilot, at once."""
    document = {"targeting_key": person, "comment": comment}
    left = session.controller.leave_pilot(flag, document, actor=session.signature(name))
    session.show(left, f"{person} is out of the pilot of {flag}")


def _put(stage_name: str, part: dict[str, Any], field: str) -> None:
    """Put one `FIELD=VALUE` into a part."""
    path, equals, text = field.partition("=")
    if not equals:
        raise Misused(f"{field!r} is no FIELD=VALUE")
    values = list(read_texts(text))
    value = values[0] if values else ""
    if stage_name == Stage.PRODUCTION_READY.value and "." in path:
        item, _, path = path.partition(".")
        if item not in list(ReadinessItem):
            raise Invalid("field", f"{item!r} is no item of the checklist", ", ".join(ReadinessItem))
        part = part["items"].setdefault(item, {})
    part[path] = value


def _show(session: Session, shown: Document) -> None:
    session.show(shown, _passport(shown))


def _passport(shown: Document) -> RenderableType:
    passport = shown["passport"]
    lines: list[RenderableType] = [_track(passport), Text()]
    if passport["has_ended"]:
        end = passport["decisions"][-1]
        lines.append(Text(f"ended in {passport['stage']} by {end['by']}: {end['reason']}", "bold red"))
    elif shown["missing"]:
        lines.append(Text(f"to leave {passport['stage']} it lacks", "bold"))
        lines += [Text.assemble("  ", (each["field"], "cyan"), f"  {each['problem']}") for each in shown["missing"]]
    elif passport["stage"] != Stage.SCALE.value:
        lines.append(
            Text(f"ready to leave {passport['stage']}: `wavegate stage go {passport['flag']} -m WHY`", "green")
        )
    for found in shown["findings"]:
        style = "green" if found["check"] == "green" else "red"
        lines.append(Text.assemble("  ", (found["check"].ljust(6), style), f"{found['item']}: {found['detail']}"))
    for each in passport["decisions"]:
        loud = "bold yellow" if each["outcome"] == "override" else ""
        way = f"{each['stage']} -> {each['to']}" if each["to"] != each["stage"] else each["stage"]
        lines.append(
            Text.assemble(
                f"{each['at'][:16].replace('T', ' ')}  ",
                (each["outcome"], loud),
                f"  {way}  {each['by']}: {each['reason']}",
            )
        )
        if each["missing"]:
            lines.append(Text(f"    without: {'; '.join(each['missing'])}", loud))
        lines += [Text(f"    seen then: {told}", "dim") for told in each["evidence"]]
    return Group(*lines)


def _track(passport: Document) -> Text:
    """All stages in a line, the present one marked."""
    here = Stage(passport["stage"])
    told = Text(f"{passport['flag']}  ", "bold")
    for each in Stage:
        if each is here:
            told.append(f"[{each}]", "bold red" if passport["has_ended"] else "bold green")
        else:
            told.append(each, "" if each.place < here.place else "dim")
        if each is not Stage.SCALE:
            told.append(" > ", "dim")
    return told


def _portfolio(found: Document) -> RenderableType:
    table = plain_table("feature", "stage", "days")
    table.add_column("what blocks it", ratio=1)
    for each in found["features"]:
        more = f" (and {len(each['blocks']) - 1} more)" if len(each["blocks"]) > 1 else ""
        blocks = "ended" if each["has_ended"] else f"{each['blocks'][0]}{more}" if each["blocks"] else "nothing"
        marks = " (overridden)" if each["overridden"] else ""
        table.add_row(Text(each["flag"], "bold"), each["stage"] + marks, f"{each['days']:.1f}", Text(blocks))
    counts = "  ".join(_count(each) for each in found["stages"])
    parts: list[RenderableType] = [table if table.row_count else Text("no features"), Text(f"reached: {counts}", "dim")]
    if found["outside"]:
        parts.append(Text(f"outside of stages: {', '.join(found['outside'])}", "dim"))
    return Group(*parts)


def _count(stage: Document) -> str:
    went_on = "" if stage["went_on"] is None else f", {100 * stage['went_on']:.0f} % went on"
    return f"{stage['stage']} {stage['reached']} ({stage['ended']} ended{went_on})"
