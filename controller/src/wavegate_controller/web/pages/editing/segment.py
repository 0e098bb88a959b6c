"""Segments: the list of them with who uses each, and the editor of one, whose condition reads as a sentence."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import SegmentDocument, parse, segment_to_document
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.catalog import Segment
from wavegate_controller.domain.errors import ControllerError, Invalid, StaleVersion
from wavegate_controller.identity import here, principal
from wavegate_controller.service import segments
from wavegate_controller.service.services import Services
from wavegate_controller.web import rules
from wavegate_controller.web.differences import changes
from wavegate_controller.web.merging import Merged, merge
from wavegate_controller.web.pages.editing.common import as_file, base_of, curl, digest, version_given
from wavegate_controller.web.refusals import Refused, refused
from wavegate_controller.web.rules import Line, RuleForm
from wavegate_controller.web.signing import signer
from wavegate_controller.web.targeting import condition_sentence

_EDITED: Final = ("description", "condition")
_REVIEW_FIRST: Final = "This is not what you reviewed last; look at it once more, then save."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """What stands in the form."""

    key: str = ""
    description: str = ""
    rule: RuleForm = field(default_factory=RuleForm)
    comment: str = ""
    version: int = 0
    base: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The segment's document.

        Raises:
            Invalid: naming the field.
        """
        return {"description": self.description, "condition": rules.read_condition(self.rule, "condition")}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """What stands beside the form."""

    refused: Refused = field(default_factory=Refused)
    reviewed: str = ""
    merged: Merged | None = None


def add_segment_editor(web: Blueprint, services: Services) -> None:
    """The pages /segments, /new-segment and /segments/KEY."""

    @web.get("/segments")
    def segment_list() -> str:
        return _list(here(services))

    @web.get("/new-segment")
    def new_segment() -> str:
        principal().require(Permission.EDIT, here(services).environment)
        return _page(here(services), None, _Form(), _Shown())

    @web.post("/new-segment")
    def create_segment() -> ResponseReturnValue:
        return _answer(here(services), None, replace(_read(), version=0))

    @web.get("/segments/<key>")
    def edit_segment(key: str) -> str:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        segment = segments.get_segment(where, key, by=principal())
        return _page(where, segment, _form_of(segment), _Shown())

    @web.post("/segments/<key>")
    def save_segment(key: str) -> ResponseReturnValue:
        where = here(services)
        return _answer(where, segments.get_segment(where, key, by=principal()), replace(_read(), key=key))

    @web.post("/segments/<key>/remove")
    def remove_segment(key: str) -> ResponseReturnValue:
        where = here(services)
        try:
            segments.remove_segment(where, key, by=signer(), comment=request.form.get("comment", ""))
        except ControllerError as refusal:
            found = refused(refusal)
            return _list(where, problem=found.problem), found.status
        return redirect(url_for("web.segment_list"), HTTPStatus.SEE_OTHER)


def _list(services: Services, *, problem: str = "") -> str:
    return render_template(
        "web/segments.html",
        segments=segments.list_segments(services, by=principal()),
        uses=segments.uses(services, by=principal()),
        sentence=condition_sentence,
        may_edit=principal().may(Permission.EDIT, services.environment),
        problem=problem,
    )


def _answer(services: Services, segment: Segment | None, form: _Form) -> ResponseReturnValue:
    principal().require(Permission.EDIT, services.environment)
    asked = request.form.get("do", "review")
    if asked == "line":
        form = replace(form, rule=replace(form.rule, lines=(*form.rule.lines, Line())))
    if asked not in ("review", "save"):
        return _page(services, segment, form, _Shown())
    try:
        if segment is not None and form.version != segment.version:
            return _both_sides(services, segment, form)
        document = form.document()
        parsed = parse(SegmentDocument, document)
        parsed.condition_to_domain()
        if asked == "save" and request.form.get("reviewed") == digest([form.key, document]):
            segments.save_segment(
                services, form.key, parsed, by=signer(), comment=form.comment, expected_version=form.version
            )
            return redirect(url_for("web.segment_list"), HTTPStatus.SEE_OTHER)
    except StaleVersion:
        if segment is None:
            taken = Refused(errors={"key": "There is a segment of this name already."}, status=HTTPStatus.CONFLICT)
            return _page(services, None, form, _Shown(refused=taken)), taken.status
        newer = segments.get_segment(services, form.key, by=principal())
        return _both_sides(services, newer, form)
    except ControllerError as refusal:
        found = refused(refusal, "key", *_EDITED)
        return _page(services, segment, form, _Shown(refused=found)), found.status
    problem = Refused(problem=_REVIEW_FIRST) if asked == "save" else Refused()
    return _page(services, segment, form, _Shown(refused=problem, reviewed=digest([form.key, document])))


def _both_sides(services: Services, segment: Segment, form: _Form) -> ResponseReturnValue:
    merged = merge(form.base, _stored(segment), form.document())
    condition = parse(SegmentDocument, dict(merged.document)).condition_to_domain()
    form = replace(
        form,
        description=merged.document["description"],
        rule=rules.condition_form(condition),
        version=segment.version,
        base=_stored(segment),
    )
    return _page(services, segment, form, _Shown(merged=merged)), HTTPStatus.CONFLICT


def _stored(segment: Segment) -> dict[str, Any]:
    document = segment_to_document(segment)
    return {name: document[name] for name in _EDITED}


def _form_of(segment: Segment) -> _Form:
    return _Form(
        key=segment.key,
        description=segment.description,
        rule=rules.condition_form(segment.condition),
        version=segment.version,
        base=_stored(segment),
    )


def _read() -> _Form:
    given = request.form
    parts = zip(*(given.getlist(name) for name in ("attribute", "operator", "value")), strict=False)
    return _Form(
        key=given.get("key", "").strip(),
        description=given.get("description", "").strip(),
        rule=RuleForm(
            match="any" if given.get("match") == "any" else "all",
            lines=tuple(
                Line(attribute=attribute.strip(), operator=operator, value=value.strip())
                for attribute, operator, value in parts
            ),
            json=given.get("json", "").strip(),
        ),
        comment=given.get("comment", "").strip(),
        version=version_given() if "version" in given else 0,
        base=base_of(given.get("base", "")),
    )


def _page(services: Services, segment: Segment | None, form: _Form, shown: _Shown) -> str:
    document, sentence = None, ""
    with suppress(Invalid):
        document = form.document()
        sentence = condition_sentence(parse(SegmentDocument, document).condition_to_domain())
    key = form.key or "KEY"
    return render_template(
        "web/editing/segment.html",
        segment=segment,
        form=form,
        base=json.dumps(form.base),
        errors=shown.refused.errors,
        problem=shown.refused.problem,
        reviewed=shown.reviewed,
        merged=shown.merged,
        sentence=sentence,
        choices=rules.CHOICES,
        used=segments.uses(services, by=principal()).get(form.key, ()) if segment else (),
        differs=changes({} if segment is None else _stored(segment), document) if document else (),
        elsewhere=[
            ("From a terminal", as_file(f"wavegate segment save {shlex.quote(key)} -f - -m 'why'", document)),
            ("Over HTTP", curl("PUT", f"segments/{key}", document | {"version": form.version})),
        ]
        if document
        else (),
    )
