"""What each stage has to show, as Markdown for people outside of Wavegate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from wavegate_controller.documents.markup import as_text
from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.passport import (
    Finding,
    Missing,
    Outcome,
    Passport,
    Readiness,
    ReadinessItem,
    Stage,
    StageDecision,
)

TITLES: Final[Mapping[Stage, str]] = {
    Stage.DISCOVERY: "One-page case",
    Stage.PROOF_OF_CONCEPT: "Assessment",
    Stage.PILOT: "Pilot: go or no-go",
    Stage.PRODUCTION_READY: "Production readiness",
    Stage.SCALE: "Way to scale",
}
_NOTHING: Final = "*not written yet*"


def stage_to_markdown(
    passport: Passport,
    stage: Stage,
    *,
    now: datetime,
    findings: Mapping[ReadinessItem, Finding],
    missing: Sequence[Missing],
    usage: Sequence[str] = (),
    comments: Sequence[FeedbackAnswer] = (),
) -> str:
    """The document of one stage.

    Args:
        passport: of the feature.
        stage: whose.
        now: aware UTC time; stands in the document.
        findings: what is seen of the checklist.
        missing: what the present stage asks for.
        usage: sentences about what the pilot's people did.
        comments: what they wrote, newest first.
    """
    ended = ", and ended there" if passport.has_ended else ""
    lines = [
        f"# {TITLES[stage]}: {passport.flag_key}",
        "",
        f"Environment {passport.environment}; in {passport.stage}{ended}. Made on {now:%Y-%m-%d %H:%M} UTC.",
        "",
        *_BODIES[stage](passport, findings, usage),
    ]
    if comments:
        lines += ["## What they said", "", *(_comment(each) for each in comments), ""]
    if stage is passport.stage and missing:
        lines += ["", "## Missing before a go", "", *(f"- `{each.field}`: {_plain(each.problem)}" for each in missing)]
    decisions = [each for each in passport.decisions if stage is Stage.SCALE or each.stage is stage]
    if decisions:
        lines += ["", "## Decisions", "", *(line for each in decisions for line in _decision(each))]
    return "\n".join(lines) + "\n"


def _discovery(passport: Passport, _findings: Mapping[ReadinessItem, Finding], _usage: Sequence[str]) -> Iterator[str]:
    part = passport.discovery
    yield from _section("Problem", part.problem)
    yield from _section("Who", f"Business owner: {part.business_owner}\n\nSponsor: {part.sponsor}")
    yield from _section("Success", f"{part.success_metric}: {part.target}" if part.success_metric else "")
    yield from _section("Data", f"{part.data}\n\nQuality: {part.data_quality}" if part.data else "")
    yield from _section("Budget for the whole path", part.budget)


def _proof(passport: Passport, _findings: Mapping[ReadinessItem, Finding], _usage: Sequence[str]) -> Iterator[str]:
    part = passport.proof_of_concept
    yield from _section("Question", part.question)
    yield from _section("Result", part.result)
    yield from _section("Assessment", part.assessment.value.replace("_", " ") if part.assessment else "")
    yield from _section("Left out on purpose", part.left_out)


def _pilot(passport: Passport, _findings: Mapping[ReadinessItem, Finding], usage: Sequence[str]) -> Iterator[str]:
    part = passport.pilot
    where = f"{len(part.people)} people of {part.department} in {part.region}" if part.people else ""
    yield from _section("Who", where)
    yield from _section("What they did", "\n".join(f"- {each}" for each in usage))
    yield from _section("What must change before production", "\n".join(f"- {each}" for each in part.must_change))


def _readiness(passport: Passport, findings: Mapping[ReadinessItem, Finding], _usage: Sequence[str]) -> Iterator[str]:
    part = passport.production_ready
    yield "| item | owner | due | state | evidence |"
    yield "|---|---|---|---|---|"
    for item in ReadinessItem:
        yield _item(part, item, findings.get(item))
    if passport.pilot.must_change:
        yield from ("", "## What the pilot asked for", "")
        for each in passport.pilot.must_change:
            yield f"- {_plain(each)}: {_plain(part.met.get(each, '')) or 'not met'}"


def _scale(passport: Passport, _findings: Mapping[ReadinessItem, Finding], _usage: Sequence[str]) -> Iterator[str]:
    since = {each.to: each.at for each in passport.decisions}
    for stage in Stage:
        entered = since.get(stage, passport.created_at if stage is Stage.DISCOVERY else None)
        yield f"- {stage}: {f'since {entered:%Y-%m-%d}' if entered else 'not reached'}"


_BODIES: Final[Mapping[Stage, Callable[[Passport, Mapping[ReadinessItem, Finding], Sequence[str]], Iterator[str]]]] = {
    Stage.DISCOVERY: _discovery,
    Stage.PROOF_OF_CONCEPT: _proof,
    Stage.PILOT: _pilot,
    Stage.PRODUCTION_READY: _readiness,
    Stage.SCALE: _scale,
}


def _comment(said: FeedbackAnswer) -> str:
    thumb = "up" if said.thumbs_up else "down"
    return f"- {said.at:%Y-%m-%d}, thumbs {thumb}: {as_text(' '.join(said.comment.split()))}"


def _section(title: str, text: str) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield _plain(text.strip()) or _NOTHING
    yield ""


def _item(part: Readiness, name: ReadinessItem, finding: Finding | None) -> str:
    line = part.item(name)
    state = f"{finding.check}: {finding.detail}" if finding else "done" if line.is_done else "open"
    cells = (name.value, line.owner, line.due.isoformat() if line.due else "", state, "; ".join(line.evidence))
    return "| " + " | ".join(_plain(each).replace("|", "\\|").replace("\n", " ") for each in cells) + " |"


def _decision(decision: StageDecision) -> Iterator[str]:
    said = decision.outcome.value.replace("_", "-")
    way = f"{decision.stage} to {decision.to}" if decision.to is not decision.stage else decision.stage.value
    if decision.outcome is Outcome.OVERRIDE:
        said = f"**{said}**"
    yield f"- {decision.at:%Y-%m-%d %H:%M} {said} ({way}) by {_plain(decision.by)}: {_plain(decision.reason)}"
    if decision.missing:
        yield f"    - without: {_plain('; '.join(decision.missing))}"
    for each in decision.evidence:
        yield f"    - seen then: {_plain(each)}"


def _plain(text: str) -> str:
    """People's words, none of which is taken for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
