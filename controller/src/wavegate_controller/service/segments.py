"""Conditions that an environment keeps by name, for the rules of any flag."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from wavegate.evaluation import AllOf, AnyOf, Condition, InSegment, Not
from wavegate_controller.documents import SegmentDocument, segment_to_document
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.catalog import Segment
from wavegate_controller.domain.errors import Conflict, Invalid, NotFound, StaleVersion
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.flags import check_frozen
from wavegate_controller.service.publish import next_revision
from wavegate_controller.service.services import Services


def save_segment(
    services: Services,
    key: str,
    document: SegmentDocument,
    *,
    by: Principal,
    comment: str = "",
    expected_version: int | None = None,
    override_freeze: bool = False,
) -> Segment:
    """A new segment, or one replaced; who is in it is decided anew in every app at once.

    Args:
        services: the world.
        key: of the segment.
        document: its condition.
        by: who asks, and signs.
        comment: the person's reason.
        expected_version: the version that was read, 0 for none; None to write over whatever there is.
        override_freeze: do it although a freeze window holds; signed with a reason.

    Raises:
        Invalid: a field is wrong, it names segments in a circle, or a rule that names it becomes too large.
        StaleVersion: there is another version than the expected one.
        Conflict: a freeze window holds.
    """
    by.require(Permission.EDIT, services.environment)
    condition, now = document.condition_to_domain(), services.clock.now()
    with services.store.transaction() as work:
        before = _stored(work, services.environment, key)
        version = before.version if before else 0
        if expected_version is not None and expected_version != version:
            raise StaleVersion("segment", key, current=version)
        check_frozen(work, services.environment, "change a segment", comment, by=by, now=now, override=override_freeze)
        if before is None:
            after = Segment(
                key=key,
                environment=services.environment,
                condition=condition,
                created_at=now,
                updated_at=now,
                description=document.description,
            )
            work.segments.add(after)
        else:
            after = replace(
                before, condition=condition, description=document.description, updated_at=now, version=version + 1
            )
            work.segments.save(after)
        note(
            work,
            by=by,
            action="segment.save",
            subject=key,
            environment=services.environment,
            now=now,
            before=None if before is None else segment_to_document(before),
            after=segment_to_document(after),
            reason=comment.strip(),
        )
        try:
            ruleset = next_revision(work, services.environment, now=now)
        except Invalid as refusal:
            field = refusal.field.replace(f"segments.{key}", "condition", 1)
            raise Invalid(field, refusal.problem, refusal.expected) from None
    services.sink.publish(ruleset)
    return after


def remove_segment(
    services: Services, key: str, *, by: Principal, comment: str = "", expected_version: int | None = None
) -> Segment:
    """Take a segment away that no rule, pilot or other segment names.

    Raises:
        NotFound: there is no such segment.
        StaleVersion: it is at another version than the expected one.
        Conflict: it is named.
    """
    by.require(Permission.EDIT, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        segment = work.segments.get(services.environment, key)
        if expected_version is not None and segment.version != expected_version:
            raise StaleVersion("segment", key, current=segment.version)
        work.segments.remove(segment)
        note(
            work,
            by=by,
            action="segment.remove",
            subject=key,
            environment=services.environment,
            now=now,
            before=segment_to_document(segment),
            reason=comment.strip(),
        )
        try:
            ruleset = next_revision(work, services.environment, now=now)
        except Invalid as refusal:
            raise Conflict(f"segment {key!r} is named in {refusal.field}; change that first") from None
    services.sink.publish(ruleset)
    return segment


def list_segments(services: Services, *, by: Principal) -> Sequence[Segment]:
    """All of them, by key."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.segments.list(services.environment)


def get_segment(services: Services, key: str, *, by: Principal) -> Segment:
    """One segment.

    Raises:
        NotFound: there is no such segment.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.segments.get(services.environment, key)


def uses(services: Services, *, by: Principal) -> Mapping[str, Sequence[str]]:
    """Segment to who names it: flags, and other segments as `segment KEY`; those that nobody names are left out."""
    by.require(Permission.READ, services.environment)
    found: dict[str, list[str]] = {}
    with services.store.transaction() as work:
        conditions = [
            (flag.key, condition)
            for flag in work.flags.list(services.environment)
            for condition in (
                *(rule.condition for rule in flag.rules),
                *([] if flag.pilot is None or flag.pilot.people.condition is None else [flag.pilot.people.condition]),
            )
        ]
        conditions += [(f"segment {each.key}", each.condition) for each in work.segments.list(services.environment)]
    for who, condition in conditions:
        for segment in segments_in(condition):
            if who not in found.setdefault(segment, []):
                found[segment].append(who)
    return found


def segments_in(condition: Condition) -> Iterator[str]:
    """The segments that a condition names."""
    match condition:
        case InSegment(name):
            yield name
        case AllOf(conditions) | AnyOf(conditions):
            for inner in conditions:
                yield from segments_in(inner)
        case Not(inner):
            yield from segments_in(inner)
        case _:
            pass


def _stored(work: UnitOfWork, environment: str, key: str) -> Segment | None:
    try:
        return work.segments.get(environment, key)
    except NotFound:
        return None
