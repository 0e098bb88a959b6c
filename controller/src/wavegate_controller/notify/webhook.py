"""The door to webhooks that are told: a signed POST for each message.

How it fails: it answers a Failure with the reason. It never posts to an address that the settings do not allow, follows
no redirect, and reads nothing of the answer but its status.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import requests

from wavegate_controller.documents.notifications import message_to_document
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.notification import Channel, Delivery, Failure
from wavegate_controller.domain.outbound import check_address, is_beneath, signature, signing_key

#: After these, trying again cannot help.
_FINAL: Final = frozenset({HTTPStatus.GONE})


class Webhooks:
    """All addresses that may be posted to."""

    def __init__(self, allowed: Sequence[str], *, longest: float) -> None:
        self._allowed = [check_address(f"notification_urls[{index}]", url) for index, url in enumerate(allowed)]
        self._longest = longest

    def check(self, url: str, secret: str | None) -> str:
        """The address without what is secret in it.

        Raises:
            Invalid: an address that may not be posted to, or a secret that is none.
        """
        parts = check_address("url", url)
        if not self._is_allowed(parts):
            expected = "an address beneath one of them"
            raise Invalid("url", "is beneath none of the notification_urls in the settings", expected)
        if secret is not None:
            signing_key("secret", secret)
        return f"{parts.scheme}://{parts.netloc}/…"

    def send(self, channel: Channel, delivery: Delivery, *, pages: str, now: datetime) -> Failure | None:
        """One attempt."""
        parts = urlsplit(channel.url)
        if not self._is_allowed(parts):
            return Failure(detail="the settings no longer allow this address")
        message = delivery.message
        document = {
            "type": message.action,
            "timestamp": message.at.isoformat(),
            "data": message_to_document(message, pages=pages),
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        key = None if channel.secret is None else signing_key("secret", channel.secret)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "wavegate",
            **signature(key, delivery.message_id, body, now=now),
        }
        try:
            status = self._post(channel.url, body, headers)
        except requests.Timeout:
            return Failure(detail=f"{parts.netloc} did not answer in time")
        except requests.RequestException as error:
            return Failure(detail=f"{parts.netloc}: {_cause(error)}")
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            detail = f"{parts.netloc} answers {status}, a redirect, which is not followed; name the final URL"
            return Failure(detail=detail)
        return Failure(detail=f"{parts.netloc} answers {status}", is_final=status in _FINAL)

    def _is_allowed(self, parts: SplitResult) -> bool:
        return any(is_beneath(parts, allowed) for allowed in self._allowed)

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        with _Session() as session:
            session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
            # Without an `auth` of its own, requests sends what the machine's .netrc has for this host.
            session.auth = lambda request: request
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            with session.post(
                url, data=body, headers=headers, timeout=self._longest, stream=True, allow_redirects=False
            ) as reply:
                return reply.status_code


class _Session(requests.Session):
    """Follows nothing."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' signature
        # Even with allow_redirects=False requests would read a redirect's whole body, of any size, to prepare the next.
        return None


def _cause(error: BaseException) -> str:
    """The first cause, without the URL that requests puts into its own sentences."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__


def _is_loopback(host: str) -> bool:
    """Whether a proxy of the environment would only be in the way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
