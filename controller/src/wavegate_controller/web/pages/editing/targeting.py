"""The editor of a flag's targeting: rules that read as sentences, lists of people, the pilot, prerequisites."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import FlagChange, flag_to_document, parse
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.errors import ControllerError, Invalid, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.identity import here, principal
from wavegate_controller.service import flags, segments
from wavegate_controller.service.services import Services
from wavegate_controller.web import rules
from wavegate_controller.web.differences import changes
from wavegate_controller.web.merging import Merged, merge
from wavegate_controller.web.pages.editing.common import as_file, base_of, curl, digest, lines_of, version_given
from wavegate_controller.web.refusals import Refused, refused
from wavegate_controller.web.rules import Line, RuleForm
from wavegate_controller.web.signing import signer
from wavegate_controller.web.targeting import rule_sentence

_FIELDS: Final = ("prerequisites", "deny", "allow", "rules", "pilot", "stale")
_MOST_RULES: Final = 50
_REVIEW_FIRST: Final = "This is not what you reviewed last; look at it once more, then save."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """What stands in the form."""

    rules: tuple[RuleForm, ...] = ()
    deny: str = ""
    allow: Mapping[str, str] = field(default_factory=dict)
    prerequisites: str = ""
    stale: str = "keep"
    pilot: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    version: int = 0
    base: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """All of the targeting.

        Raises:
            Invalid: naming the field.
        """
        return {
            "prerequisites": rules.read_prerequisites(_lines(self.prerequisites)),
            "deny": _lines(self.deny),
            "allow": {variant: keys for variant, text in self.allow.items() if (keys := _lines(text))},
            "rules": [rules.document_of(each, f"rules[{index}]") for index, each in enumerate(self.rules)],
            "pilot": self._pilot(),
            "stale": self.stale,
        }

    def _pilot(self) -> dict[str, Any] | None:
        given = self.pilot
        if not given.get("variant"):
            return None
        limit = given.get("limit", "")
        if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 10):  # noqa: PLR2004
            raise Invalid("pilot.limit", f"{limit!r} is no number", "a number of people, or nothing")
        document: dict[str, Any] = {"variant": given["variant"], "keys": _lines(given.get("keys", ""))}
        if given.get("if"):
            document["if"] = rules.read_json(given["if"], "pilot.if")
        if limit:
            document["limit"] = int(limit)
        if out := _lines(given.get("opted_out", "")):
            document["opted_out"] = out
        return document

    def filled(self, document: Mapping[str, Any], flag: Flag) -> "_Form":
        """The same with the targeting of a document, whose rules are read with the flag's variants."""
        read = parse(FlagChange, dict(document)).applied(flag, now=flag.updated_at)
        pilot = document["pilot"] or {}
        return replace(
            self,
            rules=tuple(map(rules.form_of, read.rules)),
            deny="\n".join(document["deny"]),
            allow={variant: "\n".join(document["allow"].get(variant, [])) for variant in flag.variants},
            prerequisites=rules.write_prerequisites(document["prerequisites"]),
            stale=document["stale"],
            pilot={
                "variant": pilot.get("variant", ""),
                "keys": "\n".join(pilot.get("keys", [])),
                "if": json.dumps(pilot["if"], ensure_ascii=False) if pilot.get("if") else "",
                "limit": str(pilot.get("limit") or ""),
                "opted_out": "\n".join(pilot.get("opted_out", [])),
            },
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """What stands beside the form."""

    refused: Refused = field(default_factory=Refused)
    reviewed: str = ""
    merged: Merged | None = None


def add_targeting_editor(web: Blueprint, services: Services) -> None:
    """The page /flags/KEY/targeting."""

    @web.get("/flags/<key>/targeting")
    def edit_targeting(key: str) -> str:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        base = _stored(flag)
        return _page(where, flag, _Form(version=flag.version, base=base).filled(base, flag), _Shown())

    @web.post("/flags/<key>/targeting")
    def save_targeting(key: str) -> ResponseReturnValue:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        return _answer(where, flag, _read(flag))


def _answer(services: Services, flag: Flag, form: _Form) -> ResponseReturnValue:
    asked = request.form.get("do", "review")
    if asked not in ("review", "save"):
        return _page(services, flag, replace(form, rules=_rearranged(form.rules, asked)), _Shown())
    try:
        if form.version != flag.version:
            return _both_sides(services, flag, form)
        document = form.document()
        change = parse(FlagChange, _changed(flag, document))
        change.applied(flag, now=services.clock.now())
        if asked == "save" and request.form.get("reviewed") == digest(document):
            flags.change_flag(
                services, flag.key, change, by=signer(), comment=form.comment, expected_version=form.version
            )
            return redirect(url_for("web.flag", key=flag.key), HTTPStatus.SEE_OTHER)
    except StaleVersion:
        return _both_sides(services, flags.get_flag(services, flag.key, by=principal()), form)
    except ControllerError as refusal:
        names = (*_FIELDS, *(f"rules[{index}]" for index in range(len(form.rules))))
        found = refused(refusal, *names)
        return _page(services, flag, form, _Shown(refused=found)), found.status
    problem = Refused(problem=_REVIEW_FIRST) if asked == "save" else Refused()
    return _page(services, flag, form, _Shown(refused=problem, reviewed=digest(document)))


def _both_sides(services: Services, flag: Flag, form: _Form) -> ResponseReturnValue:
    merged = merge(form.base, _stored(flag), form.document())
    filled = replace(form.filled(merged.document, flag), version=flag.version, base=_stored(flag))
    return _page(services, flag, filled, _Shown(merged=merged)), HTTPStatus.CONFLICT


def _rearranged(given: tuple[RuleForm, ...], asked: str) -> tuple[RuleForm, ...]:
    """Rules added, moved and removed, and lines of them; what makes no sense changes nothing."""
    act, _, place = asked.partition(":")
    index = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1  # noqa: PLR2004
    found = list(given)
    if act == "add" and len(found) < _MOST_RULES:
        found.append(RuleForm())
    if 0 <= index < len(found):
        match act:
            case "remove":
                del found[index]
            case "up" if index:
                found.insert(index - 1, found.pop(index))
            case "down":
                found.insert(index + 1, found.pop(index))
            case "line":
                found[index] = replace(found[index], lines=(*found[index].lines, Line()))
            case _:
                pass
    return tuple(found)


def _stored(flag: Flag) -> dict[str, Any]:
    """The targeting as a change can set it: since when somebody is in the pilot, nobody types."""
    document = flag_to_document(flag)
    found = {name: document[name] for name in _FIELDS}
    if found["pilot"]:
        found["pilot"] = {name: value for name, value in found["pilot"].items() if name != "since"}
    return found


def _changed(flag: Flag, document: Mapping[str, Any]) -> dict[str, Any]:
    stored = _stored(flag)
    return {name: value for name, value in document.items() if changes(stored[name], value)}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read(flag: Flag) -> _Form:
    given = request.form
    count = given.get("rules", "0")
    number = min(int(count), _MOST_RULES) if count.isascii() and count.isdigit() and len(count) < 4 else 0  # noqa: PLR2004
    return _Form(
        rules=tuple(_read_rule(index) for index in range(number)),
        deny="\n".join(lines_of("deny")),
        allow={variant: "\n".join(lines_of(f"allow:{variant}")) for variant in flag.variants},
        prerequisites="\n".join(lines_of("prerequisites")),
        stale=given.get("stale", "keep"),
        pilot={
            name: given.get(f"pilot:{name}", "").strip() for name in ("variant", "keys", "if", "limit", "opted_out")
        },
        comment=given.get("comment", "").strip(),
        version=version_given(),
        base=base_of(given.get("base", "")),
    )


def _read_rule(index: int) -> RuleForm:
    def text(name: str) -> str:
        return request.form.get(f"rule-{index}-{name}", "").strip()

    parts = zip(
        *(request.form.getlist(f"rule-{index}-{name}") for name in ("attribute", "operator", "value")), strict=False
    )
    return RuleForm(
        name=text("name"),
        match="any" if text("match") == "any" else "all",
        lines=tuple(
            Line(attribute=attribute.strip(), operator=operator, value=value.strip())
            for attribute, operator, value in parts
        ),
        json=text("json"),
        serve=text("serve"),
    )


def _page(services: Services, flag: Flag, form: _Form, shown: _Shown) -> str:
    document, sentences = None, {}
    with suppress(Invalid):
        document = form.document()
        read = parse(FlagChange, {"rules": document["rules"]}).applied(flag, now=flag.updated_at)
        sentences = {index: rule_sentence(rule) for index, rule in enumerate(read.rules)}
    change = _changed(flag, document) if document else {}
    key = shlex.quote(flag.key)
    return render_template(
        "web/editing/targeting.html",
        flag=flag,
        form=form,
        base=json.dumps(form.base),
        errors=shown.refused.errors,
        problem=shown.refused.problem,
        reviewed=shown.reviewed,
        merged=shown.merged,
        sentences=sentences,
        choices=rules.CHOICES,
        pilot_options=[("", "no pilot"), *((name, name) for name in flag.variants if name != flag.default_variant)],
        segments=segments.list_segments(services, by=principal()),
        differs=changes(_stored(flag), document) if document else (),
        elsewhere=[
            ("From a terminal", as_file(f"wavegate flag change {key} -f - -m 'why'", change)),
            ("Over HTTP", curl("PATCH", f"flags/{key}", change | {"version": flag.version})),
        ]
        if change
        else (),
    )
