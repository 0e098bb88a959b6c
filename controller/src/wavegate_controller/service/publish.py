"""From a change of flags or rollouts to the next ruleset revision, inside the transaction that makes the change."""

from datetime import datetime

from wavegate_controller.domain import publication
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.services import Services


def next_revision(work: UnitOfWork, environment: str, *, now: datetime) -> PublishedRuleset:
    """Compile and store the revision after the one in force.

    Change and revision commit together: a rollback that was decided is published, whatever dies in between.
    Hand the result to the sink after the commit.
    """
    latest = work.rulesets.latest(environment)
    ruleset = publication.publish(
        environment=environment,
        revision=latest.revision + 1 if latest else 1,
        flags=work.flags.list(environment),
        serving=work.rollouts.serving(environment),
        now=now,
    )
    work.rulesets.add(ruleset)
    return ruleset


def publish_latest(services: Services) -> PublishedRuleset:
    """Serve what is stored: at the start, before anything is asked for. An empty store gets its first revision."""
    with services.store.transaction() as work:
        ruleset = work.rulesets.latest(services.environment)
        if ruleset is None:
            ruleset = next_revision(work, services.environment, now=services.clock.now())
    services.sink.publish(ruleset)
    return ruleset
