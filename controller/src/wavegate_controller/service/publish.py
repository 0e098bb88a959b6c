"""From a change of flags or rollouts to the next ruleset revision, inside the transaction that makes the change."""

from datetime import datetime
from typing import Final

from wavegate.evaluation import InvalidRuleset
from wavegate_controller.domain import publication
from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.domain.environment import Environment
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Topic of the notices about new revisions; their value is the environment and the revision.
RULESET: Final = "ruleset"


def next_revision(work: UnitOfWork, environment: str, *, now: datetime) -> PublishedRuleset:
    """Compile and store the revision after the one in force.

    Change and revision commit together: a rollback that was decided is published, whatever dies in between.
    Hand the result to the sink after the commit.

    Raises:
        Invalid: the flags and segments do not fit each other; nothing may be committed.
    """
    work.rulesets.take_turn(environment)
    latest = work.rulesets.latest(environment)
    try:
        ruleset = publication.publish(
            environment=environment,
            revision=latest.revision + 1 if latest else 1,
            flags=work.flags.list(environment),
            serving=work.rollouts.serving(environment),
            now=now,
            segments=work.segments.list(environment),
        )
    except InvalidRuleset as refused:
        raise Invalid(refused.path, refused.problem, refused.expected) from None
    work.rulesets.add(ruleset)
    work.notify(RULESET, f"{environment} {ruleset.revision}")
    return ruleset


def publish_latest(services: Services) -> None:
    """Serve what is stored, of every environment: at the start, before anything is asked for.

    The services' own environment comes into being with that; one without a ruleset gets its first revision.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        # Processes may start at the same time: what the first one adds, the others find.
        work.rulesets.take_turn(services.environment)
        names = [each.name for each in work.environments.list()]
        if services.environment not in names:
            work.environments.add(Environment(name=services.environment, created_at=now))
            name = services.environment
            note(work, by=SYSTEM, action="environment.create", subject=name, environment=name, now=now)
            names.append(services.environment)
        rulesets = [work.rulesets.latest(name) or next_revision(work, name, now=now) for name in names]
    for ruleset in rulesets:
        services.sink.publish(ruleset)


def follow(services: Services) -> None:
    """Serve what other processes publish, too, from now on."""

    def publish_stored(value: str) -> None:
        changed = value.partition(" ")[0]
        with services.store.transaction() as work:
            names = [changed] if changed else [each.name for each in work.environments.list()]
            rulesets = [work.rulesets.latest(name) for name in names]
        for ruleset in rulesets:
            if ruleset is not None:
                services.sink.publish(ruleset)

    # What is published here reaches the sink without this.
    services.store.notices.listen(RULESET, publish_stored, own=False)
