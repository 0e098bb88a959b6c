"""The editor of a flag: its words, its variants, and what it serves by default."""

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wavegate_controller.documents import FlagChange, FlagDocument, flag_to_document, parse
from wavegate_controller.domain.access import Permission
from wavegate_controller.domain.errors import Conflict, ControllerError, Invalid, StaleVersion
from wavegate_controller.domain.flag import Flag
from wavegate_controller.identity import here, principal
from wavegate_controller.service import flags
from wavegate_controller.service.services import Services
from wavegate_controller.web.differences import changes
from wavegate_controller.web.merging import Merged, merge
from wavegate_controller.web.pages.editing.common import applied, as_file, base_of, curl, digest, version_given
from wavegate_controller.web.refusals import Refused, refused
from wavegate_controller.web.signing import signer
from wavegate_controller.web.variants import MOST, Row, notes, read_rows, rows_of

_FIELDS: Final = ("exempt", "key", "description", "variants", "default_variant", "salt", "bucket_by")
_EDITED: Final = _FIELDS[2:]
#: What a new flag is without another word.
_BOOLEAN: Final = {"on": True, "off": False}
_REVIEW_FIRST: Final = "This is not what you reviewed last; look at it once more, then save."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """What stands in the form.

    Attributes:
        default: number of the row that is the default variant.
        exempt: why a new flag may scale without its stages; empty for not at all.
        version: that it was made from; 0 for a new flag.
        base: the document that it was made from.
    """

    key: str = ""
    description: str = ""
    rows: tuple[Row, ...] = ()
    default: int = 0
    salt: str = ""
    bucket_by: str = ""
    comment: str = ""
    exempt: str = ""
    version: int = 0
    base: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The fields of a flag that it gives.

        Raises:
            Invalid: naming the field.
        """
        variants = read_rows(self.rows)
        if self.default >= len(self.rows) or self.rows[self.default].name not in variants:
            raise Invalid("default_variant", "is none of the variants", "a mark beside one of them")
        return {
            "description": self.description,
            "variants": variants,
            "default_variant": self.rows[self.default].name,
            "salt": self.salt or None,
            "bucket_by": self.bucket_by or None,
        }

    def filled(self, document: Mapping[str, Any]) -> "_Form":
        """The same with the fields of a document."""
        names = list(document["variants"])
        return replace(
            self,
            description=document["description"],
            rows=tuple(rows_of(document["variants"])),
            default=names.index(document["default_variant"]),
            salt=document["salt"] or "",
            bucket_by=document["bucket_by"] or "",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """What stands beside the form."""

    refused: Refused = field(default_factory=Refused)
    reviewed: str = ""
    merged: Merged | None = None
    done: str = ""


def add_flag_editor(web: Blueprint, services: Services) -> None:
    """The pages /flags/new and /flags/KEY/edit."""

    @web.get("/new-flag")
    def new_flag() -> str:
        principal().require(Permission.EDIT, here(services).environment)
        return _page(here(services), None, _Form(rows=tuple(rows_of(_BOOLEAN)), default=1), _Shown())

    @web.post("/new-flag")
    def create_flag() -> ResponseReturnValue:
        return _answer(here(services), None, _read())

    @web.get("/flags/<key>/edit")
    def edit_flag(key: str) -> str:
        where = here(services)
        principal().require(Permission.EDIT, where.environment)
        flag = flags.get_flag(where, key, by=principal())
        return _page(where, flag, _form_of(flag), _Shown())

    @web.post("/flags/<key>/edit")
    def save_flag(key: str) -> ResponseReturnValue:
        where = here(services)
        return _answer(where, flags.get_flag(where, key, by=principal()), _read())


def _answer(services: Services, flag: Flag | None, form: _Form) -> ResponseReturnValue:
    principal().require(Permission.EDIT, services.environment)
    asked = request.form.get("do", "review")
    if asked == "more":
        return _page(services, flag, replace(form, rows=(*form.rows, Row())), _Shown())
    if asked == "keep":
        return _page(services, flag, form, _Shown())
    if flag is not None and form.version != flag.version:
        return _both_sides(services, flag, form)
    try:
        document = form.document()
        _check(services, flag, form, document)
        if asked == "save" and request.form.get("reviewed") == digest([form.key, form.exempt, document]):
            saved = _save(services, flag, form, document)
            return redirect(url_for("web.flag", key=saved.key), HTTPStatus.SEE_OTHER)
    except StaleVersion:
        return _both_sides(services, flags.get_flag(services, form.key, by=principal()), form)
    except ControllerError as refusal:
        found = refused(refusal, *_FIELDS, *(f"variants[{index}]" for index in range(len(form.rows))))
        return _page(services, flag, form, _Shown(refused=found)), found.status
    problem = Refused(problem=_REVIEW_FIRST) if asked == "save" and request.form.get("reviewed") else Refused()
    return _page(services, flag, form, _Shown(refused=problem, reviewed=digest([form.key, form.exempt, document])))


def _both_sides(services: Services, flag: Flag, form: _Form) -> ResponseReturnValue:
    """Somebody else was faster: theirs where only they changed something, mine where I did, and both are shown."""
    try:
        merged = merge(form.base, _edited(flag), form.document())
        form = form.filled(merged.document)
    except Invalid as refusal:
        found = refused(refusal, *_FIELDS, *(f"variants[{index}]" for index in range(len(form.rows))))
        return _page(services, flag, form, _Shown(refused=found)), found.status
    form = replace(form, version=flag.version, base=_edited(flag))
    return _page(services, flag, form, _Shown(merged=merged)), HTTPStatus.CONFLICT


def _save(services: Services, flag: Flag | None, form: _Form, document: Mapping[str, Any]) -> Flag:
    if flag is None:
        new = parse(FlagDocument, {"key": form.key, **document})
        return flags.create_flag(services, new, by=signer(), exempt=form.exempt or None)
    change = parse(FlagChange, _changed(flag, document))
    return flags.change_flag(
        services, flag.key, change, by=signer(), comment=form.comment, expected_version=form.version
    )


def _may_exempt(services: Services) -> bool:
    return principal().may(Permission.ADMINISTER, services.environment)


def _check(services: Services, flag: Flag | None, form: _Form, document: Mapping[str, Any]) -> None:
    """All that can be known to be wrong before it is saved.

    Raises:
        Invalid: naming the field.
        Conflict: the key is taken.
    """
    now = services.clock.now()
    if flag is not None:
        parse(FlagChange, _changed(flag, document)).applied(flag, now=now)
        return
    if form.exempt and not _may_exempt(services):
        raise Invalid("exempt", "is an admin's to say", "nothing, or an admin who creates the flag")
    parse(FlagDocument, {"key": form.key, **document}).to_domain(environment=services.environment, now=now)
    if any(each.key == form.key for each in flags.list_flags(services, by=principal())):
        raise Conflict(f"there is a flag {form.key!r} already")


def _changed(flag: Flag, document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ; as they are, they need no change."""
    stored = _edited(flag)
    return {name: value for name, value in document.items() if changes(stored[name], value)}


def _edited(flag: Flag) -> dict[str, Any]:
    document = flag_to_document(flag)
    return {name: document[name] for name in _EDITED}


def _form_of(flag: Flag) -> _Form:
    document = _edited(flag)
    return _Form(key=flag.key, version=flag.version, base=document).filled(document)


def _read() -> _Form:
    given = request.form
    names, texts = given.getlist("variant")[:MOST], given.getlist("value")[:MOST]
    default, base = given.get("default", ""), given.get("base", "")
    return _Form(
        key=given.get("key", "").strip(),
        description=given.get("description", "").strip(),
        rows=tuple(Row(name=name.strip(), text=text.strip()) for name, text in zip(names, texts, strict=False)),
        default=int(default) if default.isascii() and default.isdigit() and len(default) < 4 else MOST,  # noqa: PLR2004
        salt=given.get("salt", "").strip(),
        bucket_by=given.get("bucket_by", "").strip(),
        comment=given.get("comment", "").strip(),
        exempt=given.get("exempt", "").strip(),
        version=version_given() if "version" in given else 0,
        base=base_of(base),
    )


def _page(services: Services, flag: Flag | None, form: _Form, shown: _Shown) -> str:
    document = None
    with suppress(Invalid):
        document = form.document()
    return render_template(
        "web/editing/flag.html",
        flag=flag,
        form=form,
        base=json.dumps(form.base),
        errors=shown.refused.errors,
        problem=shown.refused.problem,
        reviewed=shown.reviewed,
        may_exempt=flag is None and services.needs_stages and _may_exempt(services),
        merged=shown.merged,
        differs=changes({} if flag is None else _edited(flag), document) if document else (),
        notes=list(notes(document["variants"])) if document else (),
        elsewhere=_elsewhere(services, flag, form, document) if document else (),
    )


def _elsewhere(
    services: Services, flag: Flag | None, form: _Form, document: Mapping[str, Any]
) -> list[tuple[str, str]]:
    key = form.key or "KEY"
    spec = {"key": key} | {name: value for name, value in document.items() if value not in (None, "")}
    object_ = ("In Git, for wavegate apply -f", applied("Flag", services.environment, spec))
    if flag is None:
        variants = " ".join(
            f"--variant {shlex.quote(f'{name}={json.dumps(value, ensure_ascii=False)}')}"
            for name, value in document["variants"].items()
        )
        words = f" --description {shlex.quote(document['description'])}" if document["description"] else ""
        command = f"wavegate flag create {shlex.quote(key)} {variants} --default {document['default_variant']}{words}"
        exempt = {"exempt": form.exempt} if form.exempt else {}
        command += f" --exempt {shlex.quote(form.exempt)}" if form.exempt else ""
        return [("From a terminal", command), ("Over HTTP", curl("POST", "flags", spec | exempt)), object_]
    change = _changed(flag, document)
    return [
        ("From a terminal", as_file(f"wavegate flag change {shlex.quote(key)} -f - -m 'why'", change)),
        ("Over HTTP", curl("PATCH", f"flags/{key}", change | {"version": flag.version})),
        object_,
    ]
