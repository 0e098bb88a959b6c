"""The door to apprise: chat, mail and pagers.

How it fails: it answers a Failure with what apprise said, without whatever of the channel's URL is in that. Only the
services that the settings name are used: some of apprise's would post to any host, or act on this machine.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import get_ident
from typing import TYPE_CHECKING, Final

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.notification import Channel, Delivery, Failure, Severity, links

if TYPE_CHECKING:
    import apprise

_log: Final = logging.getLogger("apprise")
#: Shorter parts of a URL are words that may stand in a message.
_SHORTEST_SECRET: Final = 4
_KINDS: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class Services:
    """apprise's services, as far as they may be used."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(allowed)

    def check(self, url: str) -> str:
        """The address without what is secret in it.

        Raises:
            Invalid: a service that may not be used, or a URL that it does not take.
        """
        scheme = _scheme(url)
        if scheme not in self._allowed:
            raise Invalid(
                "url", f"{scheme or 'no scheme'} is none of the notification_services in the settings", self._known()
            )
        if _instance(url) is None:
            raise Invalid("url", f"is not a whole address of {scheme}", "see https://appriseit.com/services")
        return f"{scheme}://…"

    def send(self, channel: Channel, delivery: Delivery, *, pages: str, now: datetime) -> Failure | None:  # noqa: ARG002 - as webhooks have it
        """One attempt."""
        import apprise  # noqa: PLC0415 - takes its time, and not everybody has a channel

        if _scheme(channel.url) not in self._allowed:
            return Failure(detail="the settings no longer allow this service")
        target = _instance(channel.url)
        if target is None:
            return Failure(detail="apprise does not take this address")
        message = delivery.message
        ways = [f"{name.replace('_', ' ')}: {link}" for name, link in links(message, pages=pages).items()]
        sending = apprise.Apprise(asset=target.asset)
        sending.add(target)
        with _said() as said:
            taken = sending.notify(
                title=message.title,
                body="\n".join([message.text, *ways]),
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=apprise.NotifyType(_KINDS[message.severity]),
            )
        return (
            None if taken else Failure(detail=_redacted("; ".join(said) or "the service did not take it", channel.url))
        )

    def _known(self) -> str:
        return f"one of {', '.join(sorted(self._allowed))}" if self._allowed else "none: the settings allow none"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""


def _instance(url: str) -> "apprise.NotifyBase | None":
    import apprise  # noqa: PLC0415 - see above

    # Nothing is kept on the disk, and nobody sends us elsewhere.
    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True, http_redirects=False)
    with _said():
        made = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return made if isinstance(made, apprise.NotifyBase) else None


@contextmanager
def _said() -> Iterator[list[str]]:
    """What apprise logs in this thread, which is the only place where it says why."""
    said: list[str] = []
    me = get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == me and record.levelno >= logging.WARNING:
                said.append(" ".join(record.getMessage().split()))

    listener = Listener()
    _log.addHandler(listener)
    # It would say the same in our log, host names and all.
    _log.propagate = False
    try:
        yield said
    finally:
        _log.removeHandler(listener)


def _redacted(text: str, url: str) -> str:
    for part in sorted(set(re.split(r"[^\w.-]+", url.partition("://")[2])), key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            text = text.replace(part, "…")
    return text
