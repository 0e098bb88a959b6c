"""What the stages of a feature let through: asked by every use-case that gives users something new."""

from dataclasses import replace
from datetime import datetime

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import Conflict
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.passport import Outcome, Passport, Stage, beyond_pilot, decide, missing
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services


def check_may_scale(work: UnitOfWork, services: Services, environment: str, flag_key: str, what: str) -> None:
    """Refuse to give a feature to a percentage of users before it may scale.

    Args:
        work: the transaction.
        services: the world.
        environment: of the flag.
        flag_key: whose.
        what: is asked, as a verb.

    Raises:
        Conflict: the stage that it is in, and how to go on.
    """
    passport = work.passports.find(environment, flag_key)
    if is_held(services, passport) and not (passport and passport.may_scale):
        raise Conflict(f"{what} is not possible: {_standing(flag_key, passport)}")


def check_within_pilot(
    work: UnitOfWork,
    services: Services,
    flag: Flag,
    *,
    before: Flag | None,
    what: str,
) -> None:
    """Refuse a flag that gives more than a pilot may have before its feature may scale.

    Raises:
        Conflict: what does so, the stage that it is in, and how to go on.
    """
    passport = work.passports.find(flag.environment, flag.key)
    if not is_held(services, passport) or (passport and passport.may_scale):
        return
    problem = beyond_pilot(flag, passport, before=before)
    # What it did already, from before stages counted for it, is no reason against another change.
    if problem and (before is None or problem != beyond_pilot(before, passport)):
        raise Conflict(f"{what} is not possible: {problem}, and {_standing(flag.key, passport)}")


def override_new(work: UnitOfWork, flag: Flag, *, by: Principal, reason: str, now: datetime) -> None:
    """Let a new flag scale at once, in the transaction that makes it: an admin's, kept in its passport for ever.

    Raises:
        Invalid: there is no reason.
        Forbidden: they are no admin.
    """
    by.require(Permission.ADMINISTER, flag.environment)
    before = fresh(flag)
    lacking = missing(before, {})
    after = decide(before, Outcome.OVERRIDE, by=by.name, reason=reason, now=now, to=Stage.SCALE, lacking=lacking)
    work.passports.add(replace(after, version=1))
    note(
        work,
        by=by,
        action="stage.override",
        subject=flag.key,
        environment=flag.environment,
        now=now,
        before={"stage": before.stage},
        after={"stage": after.stage},
        reason=reason.strip(),
        evidence={"missing": [str(each) for each in lacking]},
    )


def fresh(flag: Flag) -> Passport:
    """The passport that every feature begins with."""
    return Passport(
        flag_key=flag.key,
        environment=flag.environment,
        created_at=flag.created_at,
        updated_at=flag.created_at,
        since=flag.created_at,
    )


def is_held(services: Services, passport: Passport | None) -> bool:
    """Whether stages count for a flag with this passport."""
    return passport is not None or services.needs_stages


def _standing(key: str, passport: Passport | None) -> str:
    stage = passport.stage if passport else Stage.DISCOVERY
    if passport is not None and passport.has_ended:
        return f"flag {key!r} ended in {stage}"
    return (
        f"flag {key!r} is in {stage}, and percentages of users are for scale; "
        f"`wavegate stage show {key}` says what is missing, and an admin may override it with a reason"
    )
