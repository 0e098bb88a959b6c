"""The kinds of objects of a configuration: how each is read, compared, made and changed, by its own use-cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from wavegate_controller.documents import flag_to_document, parse, plan_to_document
from wavegate_controller.documents.catalog import SegmentDocument, TemplateDocument
from wavegate_controller.documents.configuration import (
    EnvironmentObject,
    FlagObject,
    PlanTemplateObject,
    RolloutObject,
    SegmentObject,
)
from wavegate_controller.documents.flags import FlagChange, FlagDocument
from wavegate_controller.documents.plans import PlanDocument
from wavegate_controller.documents.targeting import condition_to_document
from wavegate_controller.domain.access import Principal
from wavegate_controller.domain.catalog import Segment, Template
from wavegate_controller.domain.configuration import Action, Applied, Change, Name
from wavegate_controller.domain.difference import FieldChange, differences
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.foresight.findings import Finding
from wavegate_controller.domain.plan import percent
from wavegate_controller.domain.rollout import ENDED, Rollout, State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service import dry_runs, environments, flags, rollouts, segments, templates
from wavegate_controller.service.services import Services

Fields = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What is asked for with an object.

    Attributes:
        found: what lint found in it.
        despite_lint: why to start it although that is an error.
    """

    services: Services
    by: Principal
    comment: str
    found: Sequence[Finding] = ()
    despite_lint: str = ""


class Kind(Protocol):
    """One kind of objects."""

    def name(self, wanted: Any) -> str:
        """The name of an object."""
        ...

    def fields(self, wanted: Any) -> Fields:
        """What an object says, in the form in which it is compared."""
        ...

    def change(self, work: UnitOfWork, name: Name, wanted: Any, applied: Applied | None) -> Change:
        """What would be done to it."""
        ...

    def carry_out(self, act: Act, change: Change, wanted: Any) -> None:
        """Do it, or raise what its use-cases raise."""
        ...

    def archive(self, act: Act, name: Name) -> str:
        """Do away with it as gently as possible, or raise; what was not done, in words."""
        ...

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """What `spec` says of each of an environment's, in as few words as say the same."""
        ...


class EnvironmentKind:
    """Environments themselves."""

    def name(self, wanted: EnvironmentObject) -> str:
        """Its name."""
        return wanted.spec.name

    def fields(self, wanted: EnvironmentObject) -> Fields:
        """What it says."""
        return _said(wanted.spec, exclude={"name"})

    def change(self, work: UnitOfWork, name: Name, wanted: EnvironmentObject, applied: Applied | None) -> Change:
        """What would be done to it."""
        try:
            live = _environment_fields(work.environments.get(name.name))
        except NotFound:
            return Change(object=name, action=Action.CREATE)
        fields = tuple(differences(_before(applied), live, self.fields(wanted), _ENVIRONMENT_DEFAULTS))
        return Change(object=name, action=Action.UPDATE if fields else Action.NONE, fields=fields)

    def carry_out(self, act: Act, change: Change, wanted: EnvironmentObject) -> None:
        """By the use-cases of environments."""
        name = change.object.name
        if change.action is Action.CREATE:
            spec = wanted.spec
            environments.create_environment(
                act.services, name, description=spec.description, dry_run=spec.dry_run, by=act.by
            )
        elif change.fields:
            fields = {each.field: each.wanted for each in change.fields}
            environments.change_environment(act.services, name, **fields, by=act.by, comment=act.comment)

    def archive(self, act: Act, name: Name) -> str:  # noqa: ARG002 - the protocol's signature
        """Stays: apps may be reading from it."""
        return "environments are never removed: apps may be reading from it; it is not looked after from here any more"

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """That one."""
        for each in work.environments.list():
            if each.name == environment:
                yield {"name": each.name} | _unlike(_environment_fields(each), _ENVIRONMENT_DEFAULTS)


class SegmentKind:
    """Named conditions."""

    def name(self, wanted: SegmentObject) -> str:
        """Its key."""
        return wanted.spec.key

    def fields(self, wanted: SegmentObject) -> Fields:
        """What it says."""
        said = _said(wanted.spec, exclude={"key"})
        return said | {"condition": condition_to_document(wanted.spec.condition_to_domain())}

    def change(self, work: UnitOfWork, name: Name, wanted: SegmentObject, applied: Applied | None) -> Change:
        """What would be done to it."""
        try:
            live = _segment_fields(work.segments.get(name.environment, name.name))
        except NotFound:
            return Change(object=name, action=Action.CREATE)
        fields = tuple(differences(_before(applied), live, self.fields(wanted), _SEGMENT_DEFAULTS))
        return Change(object=name, action=Action.UPDATE if fields else Action.NONE, fields=fields)

    def carry_out(self, act: Act, change: Change, wanted: SegmentObject) -> None:
        """By the use-case of segments."""
        if change.action is Action.NONE:
            return
        goal = self.fields(wanted)
        if change.action is Action.UPDATE:
            with act.services.store.transaction() as work:
                live = _segment_fields(work.segments.get(act.services.environment, change.object.name))
            goal = live | {each.field: each.wanted for each in change.fields}
        document = parse(SegmentDocument, goal)
        segments.save_segment(act.services, change.object.name, document, by=act.by, comment=act.comment)

    def archive(self, act: Act, name: Name) -> str:
        """Removed where nothing names it; the audit keeps what it was."""
        segments.remove_segment(act.services, name.name, by=act.by, comment=act.comment)
        return ""

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """All of them."""
        for segment in work.segments.list(environment):
            yield {"key": segment.key} | _unlike(_segment_fields(segment), _SEGMENT_DEFAULTS)


class PlanTemplateKind:
    """Named plans; their versions never change."""

    def name(self, wanted: PlanTemplateObject) -> str:
        """Its name."""
        return wanted.spec.name

    def fields(self, wanted: PlanTemplateObject) -> Fields:
        """What it says."""
        said = _said(wanted.spec, exclude={"name"})
        return said | ({"plan": plan_to_document(wanted.spec.plan_to_domain())} if "plan" in said else {})

    def change(self, work: UnitOfWork, name: Name, wanted: PlanTemplateObject, applied: Applied | None) -> Change:
        """What would be done to it."""
        try:
            live = _template_fields(work.templates.get(name.environment, name.name))
        except NotFound:
            return Change(object=name, action=Action.CREATE)
        fields = tuple(differences(_before(applied), live, self.fields(wanted), _TEMPLATE_DEFAULTS))
        return Change(object=name, action=Action.UPDATE if fields else Action.NONE, fields=fields)

    def carry_out(self, act: Act, change: Change, wanted: PlanTemplateObject) -> None:
        """By the use-case of templates."""
        if change.action is Action.NONE:
            return
        goal = self.fields(wanted)
        if change.action is Action.UPDATE:
            with act.services.store.transaction() as work:
                live = _template_fields(work.templates.get(act.services.environment, change.object.name))
            goal = live | {each.field: each.wanted for each in change.fields}
        document = parse(TemplateDocument, goal)
        templates.save_template(act.services, change.object.name, document, by=act.by, comment=act.comment)

    def archive(self, act: Act, name: Name) -> str:  # noqa: ARG002 - the protocol's signature
        """Stays: rollouts name its versions."""
        return "templates are never removed: rollouts name their versions; it is not looked after from here any more"

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """The newest version of each."""
        for template in work.templates.list(environment):
            yield {"name": template.name} | _unlike(_template_fields(template), _TEMPLATE_DEFAULTS)


class FlagKind:
    """Flags. Whether they are stopped is a matter of the moment and not of files."""

    def name(self, wanted: FlagObject) -> str:
        """Its key."""
        return wanted.spec.key

    def fields(self, wanted: FlagObject) -> Fields:
        """What it says, in the form that a flag's own document has."""
        live = _flag_fields(flag_to_document(wanted.spec.to_domain(environment="any", now=_ONCE)))
        return {name: live[name] for name in _said(wanted.spec, exclude={"key", "exempt"})}

    def change(self, work: UnitOfWork, name: Name, wanted: FlagObject, applied: Applied | None) -> Change:
        """What would be done to it."""
        try:
            flag = work.flags.get(name.environment, name.name)
        except NotFound:
            return Change(object=name, action=Action.CREATE)
        live = _flag_fields(flag_to_document(flag))
        found = differences(_before(applied), live, self.fields(wanted), _FLAG_DEFAULTS)
        fields = tuple(found)
        remark = "" if flag.enabled else "it is stopped; `wavegate flag enable` lets it go on"
        return Change(object=name, action=Action.UPDATE if fields else Action.NONE, fields=fields, remark=remark)

    def carry_out(self, act: Act, change: Change, wanted: FlagObject) -> None:
        """By the use-cases of flags."""
        if change.action is Action.CREATE:
            flags.create_flag(act.services, wanted.spec, by=act.by, exempt=wanted.spec.exempt)
        elif change.action is Action.UPDATE:
            document = parse(FlagChange, {each.field: each.wanted for each in change.fields})
            flags.change_flag(act.services, change.object.name, document, by=act.by, comment=act.comment)

    def archive(self, act: Act, name: Name) -> str:
        """Out of the ruleset; it can be restored."""
        flags.archive_flag(act.services, name.name, by=act.by, comment=act.comment)
        return ""

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """Those that are not archived."""
        for flag in work.flags.list(environment):
            live = _flag_fields(flag_to_document(flag))
            yield {"key": flag.key} | _unlike(live, _FLAG_DEFAULTS)


class RolloutKind:
    """The rollout that a flag shall have. One that is under way is never changed."""

    def name(self, wanted: RolloutObject) -> str:
        """Its flag's key."""
        return wanted.spec.flag

    def fields(self, wanted: RolloutObject) -> Fields:
        """What it says; `start` is no part of what it is."""
        said = _said(wanted.spec, exclude={"flag", "start"})
        if "plan" in said:
            said["plan"] = plan_to_document(wanted.spec.plan_to_domain())
        return said

    def change(self, work: UnitOfWork, name: Name, wanted: RolloutObject, applied: Applied | None) -> Change:
        """What would be done to it."""
        newest = next(iter(work.rollouts.list(name.environment, flag_key=name.name, limit=1)), None)
        if newest is None:
            return Change(object=name, action=Action.CREATE)
        said = self.fields(wanted)
        if newest.state in ENDED:
            return self._after(newest, name, said, applied)
        live = _rollout_fields(newest)
        if "@" not in said.get("template", "@"):
            # The newest version was meant when it was created; a newer one is no reason to change a rollout.
            live["template"] = (live["template"] or "").partition("@")[0] or None
        fields = tuple(differences(_before(applied), live, said, _ROLLOUT_DEFAULTS))
        if not fields:
            starts = wanted.spec.start and newest.state is State.DRAFT
            return Change(object=name, action=Action.START if starts else Action.NONE)
        blocked = None
        if newest.state is not State.DRAFT and not _is_dry_run_alone(fields):
            blocked = (
                f"rollout {newest.id!r} is {newest.state} at {percent(newest.weight):g} % and is never changed "
                f"under way; wait until it has completed, or end it by `wavegate rollout roll-back {newest.id}`, "
                "and apply again"
            )
        return Change(object=name, action=Action.UPDATE, fields=fields, blocked=blocked)

    def carry_out(self, act: Act, change: Change, wanted: RolloutObject) -> None:
        """By the use-cases of rollouts; a draft that is replaced is cancelled."""
        key = change.object.name
        if change.action is Action.NONE:
            return
        if change.action is Action.UPDATE and _is_dry_run_alone(change.fields):
            newest, comment = _newest(act.services, key), act.comment or "as it is wanted"
            is_dry = change.fields[0].wanted["dry_run"]
            dry_runs.set_dry_run(act.services, newest.id, dry_run=is_dry, by=act.by, comment=comment)
            if newest.state is not State.DRAFT:
                return
        elif change.action is Action.UPDATE:
            draft = _newest(act.services, key)
            rollouts.act(act.services, draft.id, Event.CANCEL, by=act.by, comment=act.comment or "replaced")
            rollouts.create_rollout(act.services, wanted.spec, by=act.by)
        elif change.action is Action.CREATE:
            rollouts.create_rollout(act.services, wanted.spec, by=act.by)
        if wanted.spec.start:
            draft = _newest(act.services, key)
            rollouts.start(
                act.services,
                draft.id,
                by=act.by,
                comment=act.comment,
                despite_lint=act.despite_lint,
                found=act.found,
            )

    def archive(self, act: Act, name: Name) -> str:
        """A draft is cancelled; what has served anybody stays as it is."""
        newest = _newest(act.services, name.name)
        if newest.state is State.DRAFT:
            rollouts.act(act.services, newest.id, Event.CANCEL, by=act.by, comment=act.comment or "no longer wanted")
            return ""
        if newest.state in ENDED:
            return ""
        return f"rollout {newest.id!r} is {newest.state} and goes on; end it by hand if that is meant"

    def export(self, work: UnitOfWork, environment: str) -> Iterator[Fields]:
        """Those that have not ended."""
        for rollout in work.rollouts.list(environment, states=frozenset(State) - ENDED):
            live = _rollout_fields(rollout)
            spec: Fields = {"flag": rollout.flag_key, "candidate": rollout.candidate}
            if live["template"] is not None:
                spec["template"] = live["template"]
            elif live["plan"] != _ROLLOUT_DEFAULTS["plan"]:
                spec["plan"] = live["plan"]
            if rollout.state is not State.DRAFT:
                spec["start"] = True
            yield spec

    def _after(self, ended: Rollout, name: Name, said: Fields, applied: Applied | None) -> Change:
        """A document that was applied and not changed since has had its rollout."""
        if applied is None or dict(applied.document) != said:
            return Change(object=name, action=Action.CREATE)
        remark = f"its rollout {ended.id!r} is {ended.state}"
        if ended.state is not State.COMPLETED:
            remark += f"; change the document, or `wavegate rollout restart {ended.id}`"
        return Change(object=name, action=Action.NONE, remark=remark)


def _newest(services: Services, key: str) -> Rollout:
    with services.store.transaction() as work:
        found: Sequence[Rollout] = work.rollouts.list(services.environment, flag_key=key, limit=1)
    if not found:
        raise NotFound("rollout of flag", key)
    return found[0]


def _is_dry_run_alone(fields: Sequence[FieldChange]) -> bool:
    """What of a rollout may change while it is under way: no rule that it is judged by."""
    if [each.field for each in fields] != ["plan"]:
        return False
    live, wanted = fields[0].live, fields[0].wanted
    return isinstance(wanted, Mapping) and {**live, "dry_run": None} == {**wanted, "dry_run": None}


def _said(document: Any, *, exclude: set[str]) -> Fields:
    """The fields that somebody wrote down, as JSON has them."""
    said: Fields = document.model_dump(by_alias=True, mode="json", include=document.model_fields_set, exclude=exclude)
    return said


def _before(applied: Applied | None) -> Mapping[str, Any] | None:
    return None if applied is None else applied.document


def _unlike(live: Fields, defaults: Mapping[str, Any]) -> Fields:
    return {name: value for name, value in live.items() if name not in defaults or value != defaults[name]}


def _environment_fields(environment: Environment) -> Fields:
    return {"description": environment.description, "dry_run": environment.dry_run}


def _segment_fields(segment: Segment) -> Fields:
    return {"description": segment.description, "condition": condition_to_document(segment.condition)}


def _template_fields(template: Template) -> Fields:
    return {"description": template.description, "plan": plan_to_document(template.plan)}


def _flag_fields(document: Mapping[str, Any]) -> Fields:
    fields = {name: document[name] for name in _FLAG_FIELDS if name in document}
    if fields.get("pilot"):
        # Since when these people are chosen is no wish of anybody's.
        fields["pilot"] = {name: value for name, value in fields["pilot"].items() if name != "since"}
    return fields


def _rollout_fields(rollout: Rollout) -> Fields:
    return {
        "candidate": rollout.candidate,
        "stable": rollout.stable,
        "plan": plan_to_document(rollout.plan),
        "template": rollout.template,
    }


#: Some time; what is compared has none.
_ONCE: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FLAG_FIELDS: Final = tuple(field.alias or name for name, field in FlagDocument.model_fields.items() if name != "key")
_FLAG_DEFAULTS: Final = _flag_fields(
    flag_to_document(FlagDocument(key="default").to_domain(environment="any", now=_ONCE))
)
_PLAN_DEFAULT: Final = plan_to_document(PlanDocument().to_domain())
_ROLLOUT_DEFAULTS: Final = {"candidate": "on", "stable": None, "plan": _PLAN_DEFAULT, "template": None}
_ENVIRONMENT_DEFAULTS: Final = {"description": "", "dry_run": False}
_SEGMENT_DEFAULTS: Final = {"description": ""}
_TEMPLATE_DEFAULTS: Final = {"description": "", "plan": _PLAN_DEFAULT}

#: The kind of what is in no environment.
ENVIRONMENT: Final = "Environment"
#: The kind whose gates are looked at.
ROLLOUT: Final = "Rollout"
#: Kind to how it is done, in the order in which objects are applied.
KINDS: Final[Mapping[str, Kind]] = {
    ENVIRONMENT: EnvironmentKind(),
    "Segment": SegmentKind(),
    "PlanTemplate": PlanTemplateKind(),
    "Flag": FlagKind(),
    ROLLOUT: RolloutKind(),
}
