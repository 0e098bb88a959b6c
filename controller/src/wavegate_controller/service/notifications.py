"""Telling people what happened: the channels, and the way of a message from the outbox to the other side."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from wavegate_controller.documents.notifications import ChannelDocument
from wavegate_controller.domain.access import EVERYWHERE, Permission, Principal
from wavegate_controller.domain.notification import (
    Backlog,
    Channel,
    Delivery,
    DeliveryState,
    Failure,
    Message,
    Severity,
    wait_after,
)
from wavegate_controller.ports import UnitOfWork
from wavegate_controller.service.auditing import note
from wavegate_controller.service.services import Services

#: Topic: something was put into the outbox.
OUTBOX: Final = "outbox"
#: How long whoever claimed a delivery has for it; more than an attempt takes at the most.
CLAIM: Final = timedelta(seconds=60)
#: How long what was delivered is still shown.
_KEPT: Final = timedelta(days=30)


def tell(work: UnitOfWork, message: Message) -> None:
    """Put a message into the outbox, in the transaction of what it tells."""
    if work.outbox.add(message):
        work.notify(OUTBOX, message.environment)


def add_channel(services: Services, document: ChannelDocument, *, by: Principal) -> Channel:
    """A new channel; what happens from now on goes there.

    Raises:
        Invalid: a field is wrong, the address included.
        NotFound: there is no such environment.
        Conflict: the name is taken.
        Forbidden: they may not.
    """
    by.require(Permission.ADMINISTER, document.environment)
    now = services.clock.now()
    shown = services.messenger.check(document.kind, document.url, document.secret)
    channel = document.to_domain(shown=shown, created_by=by.name, now=now)
    with services.store.transaction() as work:
        if channel.environment != EVERYWHERE:
            work.environments.get(channel.environment)
        work.channels.add(channel)
        _note(work, channel, "channel.create", by=by, now=now, after=_told(channel))
    return channel


def remove_channel(services: Services, name: str, *, by: Principal) -> None:
    """Send nothing more there; what is on its way is given up.

    Raises:
        NotFound: there is no such channel.
        Forbidden: they may not.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        channel = work.channels.get(name)
        by.require(Permission.ADMINISTER, channel.environment)
        work.channels.remove(name)
        work.outbox.give_up(name, why="the channel was removed")
        _note(work, channel, "channel.remove", by=by, now=now, before=_told(channel))


def list_channels(services: Services, *, by: Principal) -> Sequence[Channel]:
    """Those that messages of this environment may go to, by name.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return [each for each in work.channels.list() if each.environment in (EVERYWHERE, services.environment)]


def get_channel(services: Services, name: str, *, by: Principal) -> Channel:
    """One channel.

    Raises:
        NotFound: there is no such channel.
        Forbidden: they may not.
    """
    with services.store.transaction() as work:
        channel = work.channels.get(name)
    by.require(Permission.READ, services.environment if channel.environment == EVERYWHERE else channel.environment)
    return channel


def send_test(services: Services, name: str, *, by: Principal) -> Delivery:
    """A message to one channel, on the way that all others take; look for how it goes by its id.

    Raises:
        NotFound: there is no such channel.
        Forbidden: they may not.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        channel = work.channels.get(name)
        by.require(Permission.ADMINISTER, channel.environment)
        message = Message(
            at=now,
            environment=services.environment if channel.environment == EVERYWHERE else channel.environment,
            action="channel.test",
            subject=name,
            flag="",
            severity=Severity.INFO,
            actor=by.name,
            title=f"A test of channel {name}",
            text=f"{by.name} asked for it; nothing else happened",
        )
        delivery = work.outbox.add_for(name, message)
        _note(work, channel, "channel.test", by=by, now=now)
        work.notify(OUTBOX, message.environment)
    return delivery


def deliveries(
    services: Services,
    *,
    limit: int,
    by: Principal,
    before: int | None = None,
    channel: str | None = None,
    state: DeliveryState | None = None,
) -> Sequence[Delivery]:
    """Messages of this environment, newest first; with `before`, those with a smaller id.

    Raises:
        Forbidden: they may not.
    """
    by.require(Permission.READ, services.environment)
    with services.store.transaction() as work:
        return work.outbox.list(services.environment, limit=limit, before=before, channel=channel, state=state)


def get_delivery(services: Services, delivery_id: int, *, by: Principal) -> Delivery:
    """One delivery.

    Raises:
        NotFound: there is no such delivery.
        Forbidden: they may not.
    """
    with services.store.transaction() as work:
        delivery = work.outbox.get(delivery_id)
    by.require(Permission.READ, delivery.message.environment)
    return delivery


def retry_delivery(services: Services, delivery_id: int, *, by: Principal) -> Delivery:
    """Have a dead delivery tried again.

    Raises:
        NotFound: there is no such delivery, or its channel is gone.
        Conflict: it is not dead.
        Forbidden: they may not.
    """
    now = services.clock.now()
    with services.store.transaction() as work:
        found = work.outbox.get(delivery_id)
        by.require(Permission.EDIT, found.message.environment)
        work.channels.get(found.channel)
        delivery = work.outbox.retry(found, now=now)
        note(
            work,
            by=by,
            action="delivery.retry",
            subject=str(delivery_id),
            environment=delivery.message.environment,
            now=now,
            after={"channel": delivery.channel},
        )
        work.notify(OUTBOX, delivery.message.environment)
    return delivery


def backlog(services: Services) -> Backlog:
    """How much is waiting."""
    with services.store.transaction() as work:
        return work.outbox.backlog()


def claim(services: Services, *, limit: int) -> Sequence[tuple[Channel | None, Delivery]]:
    """What to send now, each with its channel, or with None when that is gone."""
    now = services.clock.now()
    with services.store.transaction() as work:
        channels = {each.name: each for each in work.channels.list()} if limit else {}
        claimed = work.outbox.claim(now=now, until=now + CLAIM, limit=limit)
        return [(channels.get(each.channel), each) for each in claimed]


def deliver(services: Services, channel: Channel | None, delivery: Delivery) -> Delivery:
    """One attempt, outside of any transaction, and what came of it.

    Whoever dies between the two leaves the claim to expire, and the message is sent again: at least once.
    """
    failure: Failure | None
    if channel is None:
        failure = Failure(detail="the channel was removed", is_final=True)
    elif delivery.attempts > services.delivery_attempts:
        # Whoever was at it never came to say how it went.
        failure = Failure(detail=delivery.error or "every attempt broke off", is_final=True)
    else:
        failure = services.messenger.send(channel, delivery, now=services.clock.now())
    settled = _settled(delivery, failure, attempts=services.delivery_attempts, now=services.clock.now())
    with services.store.transaction() as work:
        is_mine = work.outbox.settle(settled)
    if is_mine:
        services.recorder.delivered(settled)
    return settled


def tidy(services: Services) -> None:
    """Forget what was delivered long ago."""
    with services.store.transaction() as work:
        work.outbox.forget(before=services.clock.now() - _KEPT)


def _settled(delivery: Delivery, failure: Failure | None, *, attempts: int, now: datetime) -> Delivery:
    if failure is None:
        return replace(delivery, state=DeliveryState.DELIVERED, delivered_at=now, error="")
    if failure.is_final or delivery.attempts >= attempts:
        return replace(delivery, state=DeliveryState.DEAD, error=failure.detail)
    wait = wait_after(delivery.attempts, chance=random.random())  # noqa: S311 - spreads retries, guards nothing
    return replace(delivery, next_attempt_at=now + wait, error=failure.detail)


def _note(
    work: UnitOfWork,
    channel: Channel,
    action: str,
    *,
    by: Principal,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    environment = "" if channel.environment == EVERYWHERE else channel.environment
    note(
        work,
        by=by,
        action=action,
        subject=channel.name,
        environment=environment,
        now=now,
        before=before,
        after=after,
    )


def _told(channel: Channel) -> Mapping[str, Any]:
    """What the audit may know of a channel."""
    return {
        "environment": channel.environment,
        "kind": channel.kind,
        "address": channel.shown,
        "actions": channel.actions,
        "least": channel.least,
    }
