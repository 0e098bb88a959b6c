"""Asks somebody else's check over HTTP; the door to webhooks.

How it fails: it answers a Judgement, or Broken with the reason. It never raises, never asks an address that the
settings do not allow, follows no redirect, reads little and waits no longer than it is told. A question is asked
once: what an evaluation suite costs is not ours to spend twice.

Questions are signed as https://www.standardwebhooks.com says, so that receivers find a library for it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason, Judgement
from wavegate_controller.domain.outbound import check_address, is_beneath, signature, signing_key
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.providers.response import malformed, one_line

#: A verdict and a sentence need no more.
MAX_BODY: Final = 64 * 1024
#: Questions that may be open at once.
MAX_OPEN: Final = 64
#: How long an answer waits for somebody who wants it.
_FORGOTTEN_SECONDS: Final = 600.0
_SAYS: Final = (VerdictKind.PASS, VerdictKind.BREACH, VerdictKind.NOT_ENOUGH_DATA)
_FIELDS: Final = frozenset({"verdict", "detail", "value", "limit"})


class Webhooks:
    """All addresses that may be asked; safe to use from several threads. A `ports.Webhooks`."""

    def __init__(self, allowed: Sequence[str] = (), *, secret: str | None = None) -> None:
        """Nothing is asked yet.

        Args:
            allowed: addresses; each allows itself and what lies beneath its path.
            secret: `whsec_` and the base64 of 24 to 64 bytes; questions are signed with it.

        Raises:
            Invalid: an address or the secret that cannot work.
        """
        self._allowed = [check_address(f"webhook_urls[{index}]", url) for index, url in enumerate(allowed)]
        self._key = None if secret is None else signing_key("webhook_secret", secret)
        self._lock = Lock()
        self._asked: dict[str, _Asked] = {}

    def refusal(self, url: str) -> str | None:
        """Why this address may not be asked; None when it may."""
        try:
            parts = check_address("url", url)
        except Invalid as refused:
            return refused.problem
        if any(is_beneath(parts, allowed) for allowed in self._allowed):
            return None
        return "is beneath none of the webhook_urls in the controller's settings"

    def ask(
        self, key: str, url: str, question: Mapping[str, Any], *, timeout: timedelta, now: datetime
    ) -> Judgement | Broken | None:
        """The answer to the question of this key, once it is there; None meanwhile. Never waits.

        The first call asks, later ones look whether there is an answer, and the one that gets it ends the question.

        Args:
            key: the same for as long as it is the same question.
            url: where to.
            question: sent as JSON.
            timeout: after so long the answer is that there is none.
            now: aware UTC time, for the signature.
        """
        if refusal := self.refusal(url):
            return Broken(reason=BrokenReason.NOT_ALLOWED, detail=f"{url} {refusal}")
        with self._lock:
            asked = self._asked.get(key)
            if asked is None:
                return self._begin(key, url, question, timeout=timeout, now=now)
            answer = asked.answer()
            if answer is not None:
                del self._asked[key]
        return answer

    def _begin(
        self, key: str, url: str, question: Mapping[str, Any], *, timeout: timedelta, now: datetime
    ) -> Broken | None:
        """Ask in a thread that is left to its end when it is late: the timeouts of requests are for each read."""
        self._asked = {each: asked for each, asked in self._asked.items() if not asked.is_forgotten()}
        if len(self._asked) >= MAX_OPEN:
            return Broken(reason=BrokenReason.TIMEOUT, detail=f"{MAX_OPEN} earlier questions are still open")
        body = json.dumps(question, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "wavegate"}
        headers |= signature(self._key, f"msg_{uuid4().hex}", body, now=now)
        asked = self._asked[key] = _Asked(host=urlsplit(url).netloc, timeout=timeout)
        Thread(target=asked.work, args=(url, body, headers), name="wavegate-webhook", daemon=True).start()
        return None


class _Asked:
    """One question on its way."""

    def __init__(self, *, host: str, timeout: timedelta) -> None:
        self._host = host
        self._timeout = timeout
        self._deadline = monotonic() + timeout.total_seconds()
        self._answered: SimpleQueue[Judgement | Broken] = SimpleQueue()

    def work(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        answer: Judgement | Broken
        try:
            answer = _post(url, body, headers, host=self._host, deadline=self._deadline)
        except Exception as error:  # noqa: BLE001 - the promise of this door: it never raises
            answer = _from_cause(self._host, error, self._timeout)
        self._answered.put(_late(self._host, self._timeout) if monotonic() >= self._deadline else answer)

    def answer(self) -> Judgement | Broken | None:
        try:
            return self._answered.get_nowait()
        except Empty:
            return _late(self._host, self._timeout) if monotonic() >= self._deadline else None

    def is_forgotten(self) -> bool:
        """Whether nobody came for the answer, such as because the wave is over."""
        return monotonic() >= self._deadline + _FORGOTTEN_SECONDS


def read_answer(body: bytes, *, host: str) -> Judgement | Broken:
    """What the body of an answer says: pure, strict, with a sentence for each refusal."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return malformed(f"{host} does not answer JSON: it begins with {body[:60].decode(errors='replace')!r}")
    if not isinstance(answer, dict):
        return malformed(f"{host} does not answer a JSON object")
    if unknown := sorted(str(name) for name in answer.keys() - _FIELDS):
        return malformed(one_line(f"{host} answers {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}"))
    says, detail = answer.get("verdict"), answer.get("detail", "")
    if says not in _SAYS:
        return malformed(one_line(f"{host} answers verdict {says!r}; known are {', '.join(_SAYS)}"))
    if not isinstance(detail, str):
        return malformed(f"{host} answers a detail that is no text")
    numbers: dict[str, float | None] = {}
    for name in ("value", "limit"):
        number = answer.get(name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            return malformed(f"{host} answers a {name} that is no number")
        if number is not None and not math.isfinite(number):
            return malformed(f"{host} answers a {name} that is not finite")
        numbers[name] = None if number is None else float(number)
    return Judgement(says=VerdictKind(says), by=host, detail=one_line(detail), **numbers)


def _post(url: str, body: bytes, headers: Mapping[str, str], *, host: str, deadline: float) -> Judgement | Broken:
    with _Session() as session:
        session.trust_env = not _is_loopback(urlsplit(url).hostname or "")
        # Without an `auth` of its own, requests sends what the machine's .netrc has for this host.
        session.auth = lambda request: request
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        with session.post(
            url,
            data=body,
            headers=dict(headers),
            timeout=max(0.1, deadline - monotonic()),
            stream=True,
            allow_redirects=False,
        ) as reply:
            if reply.status_code != HTTPStatus.OK:
                return _refused(reply.status_code, host)
            said = bytearray()
            while chunk := reply.raw.read1(MAX_BODY, decode_content=True):
                said += chunk
                if len(said) > MAX_BODY:
                    return malformed(f"{host} answers more than {MAX_BODY // 1024} KiB")
                if monotonic() >= deadline:
                    break
            return read_answer(bytes(said), host=host)


class _Session(requests.Session):
    """Follows nothing."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' signature
        # Even with allow_redirects=False requests would read a redirect's whole body, of any size, to prepare the next.
        return None


def _refused(status: int, host: str) -> Broken:
    detail = f"{host} answers {status}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Broken(reason=BrokenReason.UNAUTHORIZED, detail=f"{detail}; does it know our secret?")
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        detail += ", a redirect, which is not followed; name the final URL"
    return Broken(reason=BrokenReason.SERVER_ERROR, detail=detail)


def _late(host: str, timeout: timedelta) -> Broken:
    detail = f"no complete answer from {host} within {timeout.total_seconds():g} s"
    return Broken(reason=BrokenReason.TIMEOUT, detail=detail)


def _from_cause(host: str, error: BaseException, timeout: timedelta) -> Broken:
    while inner := error.__cause__ or error.__context__:
        error = inner
    if isinstance(error, TimeoutError):
        return _late(host, timeout)
    if isinstance(error, OSError):
        return Broken(reason=BrokenReason.UNREACHABLE, detail=one_line(f"{host}: {error.strerror or error}"))
    return malformed(one_line(f"{host} broke off or does not speak HTTP: {error!r}"))


def _is_loopback(host: str) -> bool:
    """Whether a proxy of the environment would only be in the way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
