"""What is seen of a pilot: who uses it on how many days, how it goes, what they say. Nobody is named anywhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.domain.answers import FeedbackAnswer
from wavegate_controller.domain.counts import BAD_METRIC, PEOPLE_METRIC, REQUESTS_METRIC
from wavegate_controller.domain.flag import Flag, PilotCohort
from wavegate_controller.domain.guardrail import CEILING_EVIDENCE
from wavegate_controller.domain.guardrail.eprocess import EFFECTS, above_ceiling, mean_of_effects
from wavegate_controller.domain.measurement import Value
from wavegate_controller.domain.passport import Passport, Stage
from wavegate_controller.domain.small_samples import sentence
from wavegate_controller.ports import FeedbackFilter
from wavegate_controller.service.flags import set_enabled
from wavegate_controller.service.services import Services

_DAY: Final = timedelta(days=1)
#: A question for each day; what came before is asked for as a whole.
_MOST_DAYS: Final = 14
#: Comments that a document and a page show; all of them are a list of their own.
_MOST_COMMENTS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """How a pilot goes.

    Attributes:
        sentences: what is to be said of it.
        comments: what its people wrote, newest first.
    """

    sentences: Sequence[str]
    comments: Sequence[FeedbackAnswer] = ()


def usage_of(services: Services, passport: Passport) -> Usage:
    """What is seen of a pilot in the apps' counters and in what its people said, and what so few can show.

    When it is over, what they wrote is all that is left; the decision that ended it has kept the rest.
    """
    with services.store.transaction() as work:
        flag = work.flags.get(passport.environment, passport.flag_key)
        ended = next((each.at for each in reversed(passport.decisions) if each.stage is Stage.PILOT), None)
        said = FeedbackFilter(variant=_variant(flag, passport), until=None if flag.pilot else ended)

        def count(*, up: bool) -> int:
            return work.feedback.count(flag.environment, flag.key, replace(said, thumbs_up=up))

        has_begun = flag.pilot is not None or ended is not None
        wanted = replace(said, with_comment=True)
        comments = work.feedback.list(flag.environment, flag.key, wanted, limit=_MOST_COMMENTS) if has_begun else ()
        thumbs = (count(up=True), count(up=False)) if has_begun else (0, 0)
    if flag.pilot is None:
        return Usage(sentences=["no pilot is served now"], comments=comments)
    told = [*_taking_part(flag.pilot), *_used(services, flag, flag.pilot), *_going(services, flag, flag.pilot)]
    if any(thumbs):
        told.append(f"they said so themselves: {thumbs[0]} thumbs up, {thumbs[1]} thumbs down")
    return Usage(sentences=told, comments=comments)


def _variant(flag: Flag, passport: Passport) -> str | None:
    """What the pilot gets, or got; None where that is not one variant any more."""
    others = sorted(set(flag.variants) - {flag.default_variant})
    given = flag.pilot.variant if flag.pilot else passport.pilot.variant
    return given or (others[0] if len(others) == 1 else None)


def _taking_part(pilot: PilotCohort) -> Sequence[str]:
    left = len(pilot.people.opted_out)
    return [f"{len(pilot.people.keys) - left} people take part; left: {left}"]


def _used(services: Services, flag: Flag, pilot: PilotCohort) -> Sequence[str]:
    """By whom and on how many days, from counters by a hash of the person."""
    if not pilot.usage_key:
        return []
    now = services.clock.now()
    matchers = f'{{flag="{flag.key}",variant="{pilot.variant}"}}'
    begun = max(pilot.since, now - _MOST_DAYS * _DAY)
    seconds = max(1, round((now - begun).total_seconds()))
    ever = _total(services, f"count(sum by (person) (max_over_time({PEOPLE_METRIC}{matchers}[{seconds}s])) > 0)", now)
    if ever is None:
        return ["nobody has used it yet, or their apps do not count it"]
    days = [
        _total(
            services, f"count(sum by (person) (increase({PEOPLE_METRIC}{matchers}[{_seconds(end - since)}s])) > 0)", end
        )
        for since, end in _days(begun, now)
    ]
    counted = [each for each in days if each]
    told = f"{ever} people used it"
    if pilot.since < begun:
        told += f" within {_MOST_DAYS} days"
    return [f"{told}, on {sum(counted)} person-days"] if counted else [told]


def _going(services: Services, flag: Flag, pilot: PilotCohort) -> Sequence[str]:
    now = services.clock.now()
    counted = _counted(services, flag.key, pilot.variant, at=now)
    if counted is None:
        return ["the metrics server has no counts of it"]
    told = [sentence(*counted, what="bad outcomes", whom="requests")]
    if pilot.control and (others := _counted(services, flag.key, flag.default_variant, at=now)):
        told.append(
            f"the other half, with {flag.default_variant}: {sentence(*others, what='bad outcomes', whom='requests')}"
        )
    return [*told, "requests of one person are not independent of each other: take the bound for a floor"]


def _counted(services: Services, key: str, variant: str, *, at: datetime) -> tuple[int, int] | None:
    """How many requests of people who were picked were bad, of how many."""
    matchers = f'{{flag="{key}",variant="{variant}",cohort="targeted"}}'
    requests, bad = (_total(services, f"sum({metric}{matchers})", at) for metric in (REQUESTS_METRIC, BAD_METRIC))
    return None if requests is None or bad is None else (min(bad, requests), requests)


def _days(begun: datetime, now: datetime) -> Sequence[tuple[datetime, datetime]]:
    """The days from then on, the newest one as far as it has come."""
    told, since = [], begun
    while since < now:
        end = min(since + _DAY, now)
        told.append((since, end))
        since = end
    return told


def _seconds(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds()))


def _total(services: Services, promql: str, at: datetime) -> int | None:
    answer = services.provider.query(promql, at=at)
    return round(answer.value) if isinstance(answer, Value) else None


def watch_pilots(services: Services) -> int:
    """Stop the flags of pilots in which too much goes wrong, in all environments; gives how many.

    With so few people nothing but breakage can be seen, and that is looked for: more bad outcomes than the ceiling
    allows, beyond chance. Before scale nobody else has the feature, so the emergency stop takes it from all who do.
    """
    with services.store.transaction() as work:
        passports = [each for each in work.passports.in_stage(Stage.PILOT) if not each.has_ended]
        watched = [(each, work.flags.get(each.environment, each.flag_key)) for each in passports if each.pilot.ceiling]
    stopped = 0
    for passport, flag in watched:
        if flag.pilot is None or not flag.enabled or passport.pilot.ceiling is None:
            continue
        where = services.within(flag.environment)
        problem = _above(where, flag, flag.pilot, passport.pilot.ceiling)
        if problem is not None:
            set_enabled(where, flag.key, enabled=False, by=SYSTEM, comment=problem)
            stopped += 1
    return stopped


def _above(services: Services, flag: Flag, pilot: PilotCohort, ceiling: float) -> str | None:
    """What goes wrong in a pilot, as a sentence; None while it may be chance."""
    now = services.clock.now()
    matchers = f'{{flag="{flag.key}",variant="{pilot.variant}",cohort="targeted"}}[{_seconds(now - pilot.since)}s]'
    answers = [
        services.provider.query(f"sum(increase({metric}{matchers}))", at=now)
        for metric in (REQUESTS_METRIC, BAD_METRIC)
    ]
    requests, bad = (each.value if isinstance(each, Value) else 0.0 for each in answers)
    # What is guessed between two scrapes must not count against it.
    requests, bad = math.ceil(requests), math.floor(bad)
    logs = above_ceiling((0.0,) * len(EFFECTS), requests=requests, bad=bad, ceiling=ceiling)
    if mean_of_effects(logs) < CEILING_EVIDENCE:
        return None
    return f"{bad} of {requests} requests of the pilot ended badly, more than its ceiling of {100 * ceiling:g} % allows"
