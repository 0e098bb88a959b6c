"""Channels, deliveries and messages as documents."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from wavegate_controller.documents.reading import Document, examples
from wavegate_controller.domain.access import EVERYWHERE
from wavegate_controller.domain.notification import (
    Channel,
    ChannelKind,
    Delivery,
    DeliveryState,
    Message,
    Severity,
    links,
)


class ChannelDocument(Document):
    """A channel to add."""

    model_config = examples(
        {"name": "team-ai", "url": "slack://TokenA/TokenB/TokenC/#ai", "least": "warning"},
        {"name": "paging", "type": "webhook", "url": "https://hooks.example.com/wavegate"},
    )

    name: str = Field(description="Such as team-ai.")
    environment: str = Field(default=EVERYWHERE, description="Whose messages; `*` for those of all environments.")
    type: Literal["service", "webhook"] = Field(
        default="service", description="A service that apprise knows (chat, mail, pager), or a signed POST."
    )
    url: str = Field(min_length=1, max_length=2000, description="apprise's URL of a service, or where to post.")
    secret: str | None = Field(
        default=None, description="`whsec_` and the base64 of 24 to 64 bytes; a webhook is signed with it."
    )
    actions: list[str] = Field(
        default_factory=list,
        max_length=50,
        description="Which, such as `rollout.roll_back`, or `rollout` for all of them; none for all.",
    )
    least: Literal["info", "warning", "critical"] = Field(default="info", description="How loud at the least.")

    @property
    def kind(self) -> ChannelKind:
        """How it is reached."""
        return ChannelKind(self.type)

    def to_domain(self, *, shown: str, created_by: str, now: datetime) -> Channel:
        """The channel.

        Raises:
            Invalid: naming the field.
        """
        return Channel(
            name=self.name,
            environment=self.environment,
            kind=self.kind,
            url=self.url,
            secret=self.secret,
            shown=shown,
            actions=tuple(self.actions),
            least=Severity(self.least),
            created_by=created_by,
            created_at=now,
        )


def channel_to_document(channel: Channel) -> dict[str, Any]:
    """A channel as the API shows it: its secrets are never shown again."""
    return {
        "name": channel.name,
        "environment": channel.environment,
        "type": channel.kind.value,
        "address": channel.shown,
        "problem": channel.unreadable or None,
        "signed": channel.secret is not None,
        "actions": list(channel.actions),
        "least": channel.least.value,
        "created_by": channel.created_by,
        "created_at": channel.created_at.isoformat(),
    }


def delivery_to_document(delivery: Delivery, *, pages: str) -> dict[str, Any]:
    """A message on its way to one channel."""
    is_pending = delivery.state is DeliveryState.PENDING
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "channel": delivery.channel,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at.isoformat(),
        "next_attempt_at": delivery.next_attempt_at.isoformat() if is_pending else None,
        "delivered_at": delivery.delivered_at and delivery.delivered_at.isoformat(),
        "error": delivery.error,
        "message": message_to_document(delivery.message, pages=pages),
    }


def message_to_document(message: Message, *, pages: str) -> dict[str, Any]:
    """What is told; it is the `data` of a webhook's body, too."""
    return {
        "environment": message.environment,
        "action": message.action,
        "subject": message.subject,
        "flag": message.flag,
        "severity": message.severity.value,
        "actor": message.actor,
        "title": message.title,
        "text": message.text,
        "links": dict(links(message, pages=pages)),
    }
