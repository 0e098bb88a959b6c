"""What pages, the API and the CLI show: read-only views, each read in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.delivery import DeliveredRevision
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.forecast import Forecast, forecast
from wavegate_controller.domain.foresight.calibration import is_aa
from wavegate_controller.domain.foresight.dry_run import DryRun
from wavegate_controller.domain.guardrail import Assessment, explain
from wavegate_controller.domain.measurement import Measurement
from wavegate_controller.domain.outline import Outline
from wavegate_controller.domain.passport import Stage
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.domain.record import DecisionRecord
from wavegate_controller.domain.rollout import ENDED, WATCHED, Rollout
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.readiness import red_checks
from wavegate_controller.service.reasons import reasons_given
from wavegate_controller.service.rollouts import can_undo
from wavegate_controller.service.services import Services
from wavegate_controller.service.traffic import users_seen

#: How many looks a story reaches back at least; fewer would be no line to look at.
_LOOKS_SHOWN: Final = 60
#: Flags that are named to the database one by one.
_FEW: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutView:
    """A rollout and why it is where it is.

    Attributes:
        latest: the newest decision, a hold included; its verdicts are the gates as they stand.
        moved: the newest decision that changed anything: who or what moved it, and when.
        flag_enabled: False while the emergency stop overrides the rollout.
        is_aa: both variants have the same value, so that nobody is served anything new.
        guardrail: the comparison of candidate and stable now, with intervals and forecasts; None where nobody asked
            for one rollout alone, where nothing is watched, and where no gate compares.
        dry_run: whose dry run keeps everything automatic from moving it: its plan's, its environment's, or nobody's.
    """

    rollout: Rollout
    latest: DecisionRecord | None
    moved: DecisionRecord | None
    flag_enabled: bool
    is_aa: bool = False
    guardrail: Assessment | None = None
    delivered: DeliveredRevision | None = None
    dry_run: DryRun | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagView:
    """A flag and its newest rollout.

    Attributes:
        stage: of the feature; None where stages do not count for it.
    """

    flag: Flag
    rollout: RolloutView | None
    stage: Stage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagStory:
    """A flag with what led to where its newest rollout stands, read at one moment.

    Attributes:
        now: that moment.
        since: from when on measurements are given.
        until: `now` while the gates are watched, else when they were last.
        decisions: newest first; the older ones without the holds between them.
        measurements: oldest first.
        reasons: what people said afterwards about the decision with that id.
        can_undo: whether the roll back can be taken back.
        delivered: how far the revision in force has come; None where this process serves none of them.
        red_checks: what of its readiness has turned red since it came to scale, as a sentence; empty when nothing.
    """

    view: FlagView
    now: datetime
    since: datetime
    until: datetime
    decisions: Sequence[DecisionRecord]
    measurements: Sequence[Measurement]
    reasons: Mapping[int, str] = field(default_factory=dict)
    can_undo: bool = False
    delivered: DeliveredRevision | None = None
    red_checks: str = ""


def overview(
    services: Services, *, by: Principal, after: str | None = None, limit: int | None = None, archived: bool = False
) -> Sequence[FlagView]:
    """Flags in the ruleset, or archived ones, with their newest rollout, by key; with `after`, those behind it."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        found = work.flags.list(services.environment, after=after, limit=limit, archived=archived)
        return _flag_views(services, work, found)


def outlines(services: Services, *, by: Principal) -> Sequence[tuple[Outline, Stage | None]]:
    """All flags in the ruleset in a few words, by key, each with its stage; None where stages do not count for it."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        stages = work.passports.stages(services.environment)
        return [(each, _stage(services, stages.get(each.key))) for each in work.flags.outlines(services.environment)]


def flag_views(services: Services, keys: Sequence[str], *, by: Principal) -> Mapping[str, FlagView]:
    """Those of these flags that are in the ruleset, with their newest rollouts."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        found = work.flags.list(services.environment, keys=keys)
        return {view.flag.key: view for view in _flag_views(services, work, found)}


def matching(services: Services, text: str, *, limit: int, by: Principal) -> tuple[Sequence[FlagView], int]:
    """Flags in the ruleset that have the text in their key or description, and how many more than the limit.

    Those whose key begins with it come first.
    """
    by.require(Permission.READ, services.environment)
    wanted = text.strip().casefold()
    with services.store.transaction() as work:
        found = [
            each
            for each in work.flags.outlines(services.environment)
            if wanted in each.key.casefold() or wanted in each.description.casefold()
        ]
        found.sort(
            key=lambda each: (not each.key.casefold().startswith(wanted), wanted not in each.key.casefold(), each.key)
        )
        keys = [each.key for each in found[:limit]]
        flags = {flag.key: flag for flag in work.flags.list(services.environment, keys=keys)}
        return _flag_views(services, work, [flags[key] for key in keys]), max(0, len(found) - limit)


def flag_view(services: Services, key: str, *, by: Principal) -> FlagView:
    """One flag with its newest rollout.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return _flag_view(services, work, work.flags.get(services.environment, key))


def rollouts(
    services: Services,
    *,
    flag_key: str | None = None,
    by: Principal,
    behind: tuple[datetime, str] | None = None,
    limit: int | None = None,
) -> Sequence[RolloutView]:
    """Newest first; with `behind`, those that come behind the one that was created then and has this id."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        found = work.rollouts.list(services.environment, flag_key=flag_key, behind=behind, limit=limit)
        return [_rollout_view(work, each) for each in found]


def rollout_view(services: Services, reference: str, *, by: Principal) -> RolloutView:
    """A rollout by its id, whatever its environment, or the newest one of a flag by the flag's key.

    Raises:
        NotFound: neither.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        rollout = _find(work, services.environment, reference)
        by.require(Permission.READ, rollout.environment)
        view = _rollout_view(work, rollout)
        view = replace(view, guardrail=_guardrail(services, work, view.rollout))
    return replace(view, delivered=next(iter(services.fleets.revisions(rollout.environment)), None))


def forecast_of(services: Services, view: RolloutView) -> Forecast | None:
    """The next wave, going by the latest look; None where none follows, or nothing was counted.

    No transaction may be open: the metrics server is asked how many users there were.
    """
    if view.latest is None or view.rollout.state not in WATCHED:
        return None
    figures = {each["gate"]: each["figures"] for each in view.latest.verdicts}
    expected = forecast(view.rollout, figures, now=view.latest.at)
    if expected is None:
        return None
    users = users_seen(services.provider, view.rollout, at=view.latest.at)
    return forecast(view.rollout, figures, now=view.latest.at, users=users)


def history(
    services: Services,
    rollout_id: str,
    *,
    limit: int,
    before: int | None = None,
    moves_only: bool = False,
    by: Principal,
) -> Sequence[DecisionRecord]:
    """A rollout's decisions, newest first; see `ports.DecisionRepository.list`.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not see it.
    """
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        return work.decisions.list(rollout.id, limit=limit, before=before, moves_only=moves_only)


def measurements(services: Services, rollout_id: str, *, lookback: timedelta, by: Principal) -> Sequence[Measurement]:
    """What the gates measured lately, oldest first.

    Raises:
        NotFound: there is no such rollout.
        Forbidden: they may not see it.
    """
    since: datetime = services.clock.now() - lookback
    with services.store.transaction() as work:
        rollout = work.rollouts.get(rollout_id)
        by.require(Permission.READ, rollout.environment)
        return work.evidence.since(rollout.id, since)


def flag_story(
    services: Services, key: str, *, looks: int, moves: int, lookback: timedelta, by: Principal
) -> FlagStory:
    """A flag, what happened to its newest rollout, and what its gates measured last.

    Args:
        services: the world.
        key: of the flag.
        looks: how many of the newest decisions to read, holds included.
        moves: how many decisions that moved something to read beyond those.
        lookback: how far back to read measurements, at the least; further for a plan that looks seldom.
        by: who wants to see it.

    Raises:
        NotFound: there is no such flag.
        Forbidden: they may not see it.
    """
    by.require(Permission.READ, services.environment)
    now = services.clock.now()
    with services.store.transaction() as work:
        view = _flag_view(services, work, work.flags.get(services.environment, key))
        if view.rollout is None:
            return FlagStory(
                view=view, now=now, since=now, until=now, decisions=(), measurements=(), delivered=_delivered(services)
            )
        rollout, moved = view.rollout.rollout, view.rollout.moved
        view = replace(view, rollout=replace(view.rollout, guardrail=_guardrail(services, work, rollout)))
        decisions = list(work.decisions.list(rollout.id, limit=looks))
        if len(decisions) == looks:
            decisions.extend(work.decisions.list(rollout.id, limit=moves, before=decisions[-1].id, moves_only=True))
        # What ended long ago is shown as it was when somebody last looked.
        judged_at = next((each.at for each in decisions if each.verdicts), now)
        until = now if rollout.state in WATCHED else judged_at
        since = until - max(lookback, _LOOKS_SHOWN * rollout.plan.interval)
        measured = work.evidence.since(rollout.id, since)
        reasons = reasons_given(work, rollout)
        is_open = rollout.state not in ENDED
        red = red_checks(work, services.fleets, rollout.environment, key, now=now) if is_open else ""
    return FlagStory(
        view=view,
        now=now,
        since=since,
        until=until,
        decisions=decisions,
        measurements=measured,
        reasons=reasons,
        can_undo=can_undo(rollout, moved, now=now),
        delivered=_delivered(services),
        red_checks=red,
    )


def ruleset_in_force(services: Services, *, by: Principal) -> PublishedRuleset | None:
    """The revision that is served."""
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.rulesets.latest(services.environment)


def _delivered(services: Services) -> DeliveredRevision | None:
    return next(iter(services.fleets.revisions(services.environment)), None)


def _find(work: UnitOfWork, environment: str, reference: str) -> Rollout:
    try:
        return work.rollouts.get(reference)
    except NotFound:
        newest = next(iter(work.rollouts.list(environment, flag_key=reference)), None)
        if newest is None:
            raise NotFound("rollout, nor flag with one,", reference) from None
        return newest


def _flag_views(services: Services, work: UnitOfWork, flags: Sequence[Flag]) -> Sequence[FlagView]:
    """As `_flag_view` of each, in a handful of questions to the database however many they are."""
    # Plans are long to read: where few flags are asked for, only theirs are.
    few = [flag.key for flag in flags] if len(flags) <= _FEW else None
    newest = work.rollouts.newest(services.environment, flag_keys=few)
    stages = work.passports.stages(services.environment)
    rollouts = {flag.key: newest[flag.key] for flag in flags if flag.key in newest}
    ids = [each.id for each in rollouts.values()]
    latest, moved = work.decisions.newest(ids), work.decisions.newest(ids, moves_only=True)
    is_dry = _in_dry_run(work, services.environment)
    return [
        FlagView(
            flag=flag,
            rollout=None
            if (rollout := rollouts.get(flag.key)) is None
            else RolloutView(
                rollout=rollout,
                latest=latest.get(rollout.id),
                moved=moved.get(rollout.id),
                flag_enabled=flag.enabled,
                is_aa=is_aa(flag, rollout),
                dry_run=_dry_run(rollout, environment=is_dry),
            ),
            stage=_stage(services, stages.get(flag.key)),
        )
        for flag in flags
    ]


def _flag_view(services: Services, work: UnitOfWork, flag: Flag) -> FlagView:
    newest = next(iter(work.rollouts.list(flag.environment, flag_key=flag.key)), None)
    passport = work.passports.find(flag.environment, flag.key)
    return FlagView(
        flag=flag,
        rollout=None if newest is None else _rollout_view(work, newest),
        stage=_stage(services, None if passport is None else passport.stage),
    )


def _stage(services: Services, stage: Stage | None) -> Stage | None:
    """The stage of a flag by that of its passport, if it has one; None where stages do not count for it."""
    return stage or (Stage.DISCOVERY if services.needs_stages else None)


def _rollout_view(work: UnitOfWork, rollout: Rollout) -> RolloutView:
    flag = work.flags.get(rollout.environment, rollout.flag_key)
    return RolloutView(
        rollout=rollout,
        latest=next(iter(work.decisions.list(rollout.id, limit=1)), None),
        moved=work.decisions.newest([rollout.id], moves_only=True).get(rollout.id),
        flag_enabled=flag.enabled,
        is_aa=is_aa(flag, rollout),
        dry_run=_dry_run(rollout, environment=_in_dry_run(work, rollout.environment)),
    )


def _in_dry_run(work: UnitOfWork, environment: str) -> bool:
    return any(each.dry_run for each in work.environments.list() if each.name == environment)


def _dry_run(rollout: Rollout, *, environment: bool) -> DryRun | None:
    if rollout.state in ENDED:
        return None
    return DryRun.ENVIRONMENT if environment else DryRun.PLAN if rollout.plan.dry_run else None


def _guardrail(services: Services, work: UnitOfWork, rollout: Rollout) -> Assessment | None:
    policy = rollout.plan.policy if rollout.state in WATCHED else None
    state = None if policy is None else services.folds.state(work, rollout)
    return None if policy is None or state is None else explain(policy, state, now=services.clock.now())
