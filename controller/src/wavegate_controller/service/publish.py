"""From a change of flags or rollouts to the next ruleset revision, inside the transaction that makes the change."""

from datetime import datetime
from typing import Final

from wavegate_controller.domain import publication
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.services import Services

#: Topic of the notices about new revisions; their value is the environment and the revision.
RULESET: Final = "ruleset"


def next_revision(work: UnitOfWork, environment: str, *, now: datetime) -> PublishedRuleset:
    """Compile and store the revision after the one in force.

    Change and revision commit together: a rollback that was decided is published, whatever dies in between.
    Hand the result to the sink after the commit.
    """
    work.rulesets.take_turn(environment)
    latest = work.rulesets.latest(environment)
    ruleset = publication.publish(
        environment=environment,
        revision=latest.revision + 1 if latest else 1,
        flags=work.flags.list(environment),
        serving=work.rollouts.serving(environment),
        now=now,
    )
    work.rulesets.add(ruleset)
    work.notify(RULESET, f"{environment} {ruleset.revision}")
    return ruleset


def publish_latest(services: Services) -> PublishedRuleset:
    """Serve what is stored: at the start, before anything is asked for. An empty store gets its first revision."""
    with services.store.transaction() as work:
        ruleset = work.rulesets.latest(services.environment)
        if ruleset is None:
            ruleset = next_revision(work, services.environment, now=services.clock.now())
    services.sink.publish(ruleset)
    return ruleset


def follow(services: Services) -> None:
    """Serve what other processes publish, too, from now on."""

    def publish_stored(value: str) -> None:
        if value and value.partition(" ")[0] != services.environment:
            return
        with services.store.transaction() as work:
            ruleset = work.rulesets.latest(services.environment)
        if ruleset is not None:
            services.sink.publish(ruleset)

    # What is published here reaches the sink without this.
    services.store.notices.listen(RULESET, publish_stored, own=False)
