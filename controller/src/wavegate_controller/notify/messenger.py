"""One attempt to carry a message to a channel, whatever its kind."""

from collections.abc import Callable, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.notification import Channel, ChannelKind, Delivery, Failure
from wavegate_controller.notify import service, webhook

#: Longest that one attempt takes; well within a claim.
_LONGEST_SECONDS: Final = 30.0


class OutsideMessenger:
    """Fulfils `ports.Messenger`."""

    def __init__(
        self,
        *,
        services: Sequence[str] = (),
        urls: Sequence[str] = (),
        pages: str = "",
        longest: float = _LONGEST_SECONDS,
    ) -> None:
        """Nothing is sent yet.

        Args:
            services: the schemes of apprise's services that may be used.
            urls: addresses that webhooks may post to, each with what lies beneath its path.
            pages: what the addresses of the controller's pages begin with.
            longest: seconds that one attempt may take.

        Raises:
            Invalid: an address that cannot work.
        """
        self._services = service.Services(services)
        self._webhooks = webhook.Webhooks(urls, longest=longest)
        self._pages = pages
        self._longest = longest

    def check(self, kind: ChannelKind, url: str, secret: str | None) -> str:
        """The address without what is secret in it; raises Invalid for one that cannot be used."""
        if kind is ChannelKind.WEBHOOK:
            return self._webhooks.check(url, secret)
        if secret is not None:
            raise Invalid("secret", "is given, but only webhooks are signed", "no secret, or type webhook")
        return self._services.check(url)

    def send(self, channel: Channel, delivery: Delivery, *, now: datetime) -> Failure | None:
        """One attempt; None when the other side took it. Never raises, and waits no longer than it was told to."""
        if channel.unreadable:
            return Failure(detail=channel.unreadable)
        door = self._webhooks if channel.kind is ChannelKind.WEBHOOK else self._services
        return self._within(lambda: door.send(channel, delivery, pages=self._pages, now=now))

    def _within(self, attempt: Callable[[], Failure | None]) -> Failure | None:
        """In a thread that is left to its end when it is late: the timeouts of libraries are for each read."""
        ended: SimpleQueue[Failure | None] = SimpleQueue()

        def work() -> None:
            try:
                ended.put(attempt())
            except Exception as error:  # noqa: BLE001 - the promise of this door: it never raises
                ended.put(Failure(detail=f"the attempt broke off: {type(error).__name__}"))

        Thread(target=work, name="wavegate-notify", daemon=True).start()
        try:
            return ended.get(timeout=self._longest)
        except Empty:
            return Failure(detail=f"no answer within {self._longest:g} s")
