"""Setting back what an entry of the audit tells of: the earlier state, by the same act that anybody would use for it.

Nothing is undone: the past stays as it is, and setting it back is one more change, with an entry of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wavegate_controller.documents import (
    CalendarDocument,
    FlagChange,
    PlanChange,
    SegmentDocument,
    TemplateDocument,
    parse,
    plan_to_document,
)
from wavegate_controller.documents.catalog import calendar_to_document, segment_to_document, template_to_document
from wavegate_controller.documents.flags import flag_to_document
from wavegate_controller.documents.people import RolesDocument, to_roles
from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.audit import Entry, Note
from wavegate_controller.domain.errors import Conflict, NotFound
from wavegate_controller.service import accounts, audits, calendars, flags, queries, rollouts, segments, templates
from wavegate_controller.service.services import Services

#: What cannot be set back, by the beginning of the action, and what to do instead.
_REFUSED: Final[Mapping[str, str]] = {
    "flag.create": "before it there was no such flag; archive the flag instead",
    "rollout.create": "before it there was no such rollout; cancel the rollout instead",
    "rollout": "users have had what it gave them; act on the rollout: roll back, step back, pause, or restart",
    "token": "a secret that was ended, or was never there, cannot be had again; make a new token",
    "key": "a secret that was ended, or was never there, cannot be had again; make a new SDK key",
    "user.create": "before it there was no such person; disable the account instead",
    "user.password": "passwords are kept nowhere; make a new link for the person",
    "channel.create": "before it there was no such channel; remove the channel instead",
    "channel.remove": "the secret part of its address is kept nowhere; add the channel anew",
    "environment.create": "an environment cannot be removed: apps may be reading from it",
    "segment.create": "before it there was no such segment; remove the segment instead",
}
_NO_STATE: Final = "it changed no state that could be set back"


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What setting back would do.

    Attributes:
        entry: that tells of the change.
        refusal: why it cannot be set back; empty where it can.
        now: as it is at this moment, of what would change; None for nothing.
        then: as it would become; None for nothing.
    """

    entry: Entry
    refusal: str = ""
    now: Any = None
    then: Any = None

    @property
    def is_so_already(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.refusal and self.now == self.then


@dataclass(frozen=True, kw_only=True, slots=True)
class _Way:
    """How one kind of entry is set back: what it is now, what it would become, and the act."""

    now: Callable[[Services, Note, Principal], Any]
    then: Callable[[Note], Any]
    act: Callable[[Services, Note, Principal, str], object]


def refusal_of(note: Note) -> str:
    """Why what an entry tells of cannot be set back; empty where it can."""
    if _way(note) is not None:
        return ""
    beginning = note.action.partition(".")[0]
    return _REFUSED.get(note.action) or _REFUSED.get(beginning) or _NO_STATE


def earlier(services: Services, sequence: int, *, by: Principal) -> Earlier:
    """What setting back would do, now.

    Raises:
        NotFound: there is no such entry.
        Forbidden: they may not read it.
    """
    entry = audits.show(services, sequence, by=by)
    note, way = entry.note, _way(entry.note)
    if way is None:
        return Earlier(entry=entry, refusal=refusal_of(note))
    where = _there(services, note)
    try:
        now = way.now(where, note, by)
    except NotFound as gone:
        return Earlier(entry=entry, refusal=f"{gone}")
    return Earlier(entry=entry, now=now, then=way.then(note))


def restore(services: Services, sequence: int, *, by: Principal, comment: str = "") -> Entry:
    """Set back what an entry tells of, to what it was before; the audit says so in an entry of its own.

    Raises:
        NotFound: there is no such entry, or what it speaks of is no longer there.
        Conflict: it cannot be set back; the text says what to do instead.
        Invalid: the earlier state does not fit what there is now.
        Forbidden: they may not.
    """
    entry = audits.show(services, sequence, by=by)
    note, way = entry.note, _way(entry.note)
    if way is None:
        raise Conflict(f"entry {sequence} ({note.action}) cannot be set back: {refusal_of(note)}")
    said = f"restores what was before audit entry {sequence}"
    way.act(_there(services, note), note, by, f"{comment.strip()} ({said})" if comment.strip() else said)
    return entry


def _there(services: Services, note: Note) -> Services:
    return services.within(note.environment) if note.environment else services


def _way(note: Note) -> _Way | None:
    action, before = note.action, note.before
    if action == "segment.save" and before is None:
        return _REMOVED_SEGMENT
    if not isinstance(before, Mapping):
        return None
    return _WAYS.get(action)


def _flag_then(note: Note) -> dict[str, Any]:
    """The fields that were changed, as a change can set them."""
    fields = {name: value for name, value in note.before.items() if name in FlagChange.model_fields}
    if isinstance(fields.get("pilot"), Mapping):
        fields["pilot"] = {name: value for name, value in fields["pilot"].items() if name != "since"}
    return fields


def _flag_now(services: Services, note: Note, by: Principal) -> dict[str, Any]:
    document = flag_to_document(flags.get_flag(services, note.subject, by=by))
    fields = {name: document[name] for name in _flag_then(note)}
    if isinstance(fields.get("pilot"), Mapping):
        fields["pilot"] = {name: value for name, value in fields["pilot"].items() if name != "since"}
    return fields


def _change_flag(services: Services, note: Note, by: Principal, comment: str) -> object:
    change = parse(FlagChange, _flag_then(note))
    return flags.change_flag(services, note.subject, change, by=by, comment=comment)


def _is_enabled(services: Services, note: Note, by: Principal) -> Any:
    return {"enabled": flags.get_flag(services, note.subject, by=by).enabled}


def _was_enabled(note: Note) -> dict[str, Any]:
    return {"enabled": note.before["enabled"]}


def _switch_flag(services: Services, note: Note, by: Principal, comment: str) -> object:
    enabled = _was_enabled(note)["enabled"]
    return flags.set_enabled(services, note.subject, enabled=enabled, by=by, comment=comment)


def _is_archived(services: Services, note: Note, by: Principal) -> Any:
    return {"archived": flags.get_flag(services, note.subject, by=by).archived_at is not None}


def _was_archived(note: Note) -> dict[str, Any]:
    return {"archived": note.before["archived_at"] is not None}


def _file_flag(services: Services, note: Note, by: Principal, comment: str) -> object:
    file = flags.archive_flag if _was_archived(note)["archived"] else flags.restore_flag
    return file(services, note.subject, by=by, comment=comment)


def _plan_now(services: Services, note: Note, by: Principal) -> Any:
    return {"plan": plan_to_document(queries.rollout_view(services, note.subject, by=by).rollout.plan)}


def _plan_then(note: Note) -> Any:
    return {"plan": note.before["plan"]}


def _change_plan(services: Services, note: Note, by: Principal, comment: str) -> object:
    reference = note.before["template"]
    # A template's version never changes: it is that very plan.
    change = parse(PlanChange, {"template": reference} if reference else _plan_then(note))
    return rollouts.change_plan(services, note.subject, change, by=by, comment=comment)


def _segment_now(services: Services, note: Note, by: Principal) -> Any:
    try:
        document = segment_to_document(segments.get_segment(services, note.subject, by=by))
    except NotFound:
        return None
    return {name: document[name] for name in SegmentDocument.model_fields}


def _segment_then(note: Note) -> Any:
    return {name: note.before[name] for name in SegmentDocument.model_fields}


def _save_segment(services: Services, note: Note, by: Principal, comment: str) -> object:
    document = parse(SegmentDocument, _segment_then(note))
    return segments.save_segment(services, note.subject, document, by=by, comment=comment)


def _remove_segment(services: Services, note: Note, by: Principal, comment: str) -> object:
    return segments.remove_segment(services, note.subject, by=by, comment=comment)


def _template_now(services: Services, note: Note, by: Principal) -> Any:
    document = template_to_document(templates.get_template(services, note.subject, by=by))
    return {name: document[name] for name in TemplateDocument.model_fields}


def _template_then(note: Note) -> Any:
    return {name: note.before[name] for name in TemplateDocument.model_fields}


def _save_template(services: Services, note: Note, by: Principal, comment: str) -> object:
    document = parse(TemplateDocument, _template_then(note))
    return templates.save_template(services, note.subject, document, by=by, comment=comment)


def _calendar_now(services: Services, _note: Note, by: Principal) -> Any:
    return {"freeze_windows": calendar_to_document(calendars.get_calendar(services, by=by))["freeze_windows"]}


def _calendar_then(note: Note) -> Any:
    return {"freeze_windows": note.before["freeze_windows"]}


def _save_calendar(services: Services, note: Note, by: Principal, comment: str) -> object:
    return calendars.save_calendar(services, parse(CalendarDocument, _calendar_then(note)), by=by, comment=comment)


def _account(services: Services, note: Note, by: Principal) -> Any:
    by.require(Permission.ADMINISTER, EVERYWHERE)
    user = next((each for each in accounts.list_users(services, by=by) if each.name == note.subject), None)
    if user is None:
        raise NotFound("user", note.subject)
    return user


def _roles_now(services: Services, note: Note, by: Principal) -> Any:
    return {"roles": {place: role.value for place, role in _account(services, note, by).roles.items()}}


def _roles_then(note: Note) -> Any:
    return {"roles": dict(note.before["roles"])}


def _set_roles(services: Services, note: Note, by: Principal, _comment: str) -> object:
    roles = to_roles(parse(RolesDocument, _roles_then(note)).roles)
    return accounts.set_roles(services, note.subject, roles, by=by)


def _user_enabled_now(services: Services, note: Note, by: Principal) -> Any:
    return {"enabled": _account(services, note, by).enabled}


def _set_user_enabled(services: Services, note: Note, by: Principal, _comment: str) -> object:
    return accounts.set_user_enabled(services, note.subject, enabled=_was_enabled(note)["enabled"], by=by)


_SWITCHED: Final = _Way(now=_is_enabled, then=_was_enabled, act=_switch_flag)
_FILED: Final = _Way(now=_is_archived, then=_was_archived, act=_file_flag)
_SEGMENT: Final = _Way(now=_segment_now, then=_segment_then, act=_save_segment)
_REMOVED_SEGMENT: Final = _Way(now=_segment_now, then=lambda _: None, act=_remove_segment)
_ACCOUNT: Final = _Way(now=_user_enabled_now, then=_was_enabled, act=_set_user_enabled)
#: Actions that can be set back.
_WAYS: Final[Mapping[str, _Way]] = {
    "flag.change": _Way(now=_flag_now, then=_flag_then, act=_change_flag),
    "flag.disable": _SWITCHED,
    "flag.enable": _SWITCHED,
    "flag.archive": _FILED,
    "flag.restore": _FILED,
    "rollout.change": _Way(now=_plan_now, then=_plan_then, act=_change_plan),
    "segment.save": _SEGMENT,
    "segment.remove": _SEGMENT,
    "template.save": _Way(now=_template_now, then=_template_then, act=_save_template),
    "calendar.save": _Way(now=_calendar_now, then=_calendar_then, act=_save_calendar),
    "user.roles": _Way(now=_roles_now, then=_roles_then, act=_set_roles),
    "user.disable": _ACCOUNT,
    "user.enable": _ACCOUNT,
}
