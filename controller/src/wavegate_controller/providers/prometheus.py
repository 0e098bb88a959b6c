"""Asks a Prometheus-compatible server over HTTP; the one door to it.

How it fails: it answers Value; NoData, when a healthy server has nothing to say; or Broken with the reason, for every
outage, refusal and broken answer there is. It never raises, and it answers within its timeout, however slowly a server
trickles. Redirects are not followed: a login page is no metrics server, and credentials go nowhere but to the URL
that was configured.
"""

import math
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Answer, Broken, BrokenReason, Series
from wavegate_controller.providers import response
from wavegate_controller.providers.response import Data, malformed

#: Largest body that is read: some 500,000 raw samples. Reading more would be the outage.
MAX_BODY: Final = 32 * 1024 * 1024
#: Questions that may be open at once; a server that leaves so many unanswered is not asked for more.
MAX_OPEN: Final = 32
_CHUNK: Final = 64 * 1024
#: Values of custom headers from this length on are treated as secrets; a tenant named "1" is none.
_SECRET_LENGTH: Final = 8
#: Error type of queries that are right in themselves but cannot be evaluated on the data there is now.
_EXECUTION: Final = "execution"
#: Error type of queries that the server itself gave up on.
_TIMEOUT: Final = "timeout"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reply:
    status: int
    location: str
    body: bytes


class PrometheusProvider:
    """One Prometheus, or what speaks its HTTP API; a `ports.MetricProvider`, safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        bearer_token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is asked yet: a server that is away at the start is no reason not to start.

        Args:
            url: root of the API, without `/api/v1`.
            timeout: seconds for a whole answer, from the connection to its last byte.
            bearer_token: sent as `Authorization: Bearer …`.
            basic_auth: user name and password.
            headers: sent along, such as `X-Scope-OrgID` for a tenant.

        Raises:
            Invalid: an argument that cannot work.
        """
        if not 0 < timeout < math.inf:
            raise Invalid("timeout", f"{timeout} is not a time to wait", "seconds, more than 0, such as 10")
        root = _checked_root(url)
        self._host = urlsplit(root).netloc
        self._endpoint = f"{root}/api/v1/query"
        self._timeout = timeout
        self._open = BoundedSemaphore(MAX_OPEN)
        credentials = _authorization(bearer_token, basic_auth)
        self._session = _Session({**_checked_headers(headers or {}), **credentials})
        self._session.trust_env = not _is_loopback(urlsplit(root).hostname or "")
        secrets = [value for value in (headers or {}).values() if len(value) >= _SECRET_LENGTH]
        secrets += [value.split(" ", 1)[1] for value in credentials.values()]
        secrets += [basic_auth[1]] if basic_auth and basic_auth[1] else []
        self._secrets = secrets

    def query(self, promql: str, *, at: datetime) -> Answer:
        """One number at one time."""
        data = self._ask(promql, at=at)
        answer = data if isinstance(data, Broken) else response.number(data, at=at)
        return self._presentable(answer) if isinstance(answer, Broken) else answer

    def samples(self, selector: str, *, at: datetime, lookback: timedelta) -> tuple[Series, ...] | Broken:
        """Raw samples of the last `lookback` before `at`, oldest first; series without one there are left out."""
        data = self._ask(f"{selector}[{lookback // timedelta(milliseconds=1)}ms]", at=at)
        series = data if isinstance(data, Broken) else response.raw_samples(data, at=at)
        return self._presentable(series) if isinstance(series, Broken) else series

    def check(self, promql: str) -> Broken | None:
        """Why this query can never give one number, whatever the data; None when it may, or nobody could be asked.

        The reason is always `query_rejected`.
        """
        reply = self._exchange(promql, at=None)
        answer = reply if isinstance(reply, Broken) else _read(reply)
        if isinstance(answer, Data):
            problem = response.misses_one_number(answer)
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail=problem) if problem else None
        if answer.reason is not BrokenReason.QUERY_REJECTED:
            return None
        error = None if isinstance(reply, Broken) else response.error_of(reply.body)
        return None if error and error[0] == _EXECUTION else self._presentable(answer)

    def close(self) -> None:
        """Give the kept connections back."""
        self._session.close()

    def _ask(self, promql: str, *, at: datetime) -> Data | Broken:
        reply = self._exchange(promql, at=at)
        return reply if isinstance(reply, Broken) else _read(reply)

    def _presentable(self, broken: Broken) -> Broken:
        """One short line, without our credentials even where a server echoes them."""
        detail = broken.detail
        for secret in self._secrets:
            detail = detail.replace(secret, "***")
        return replace(broken, detail=response.one_line(detail))

    def _exchange(self, promql: str, *, at: datetime | None) -> _Reply | Broken:
        deadline = monotonic() + self._timeout
        form = {"query": promql, "timeout": f"{math.ceil(self._timeout * 1000)}ms"}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        if not self._open.acquire(timeout=self._timeout):
            return Broken(
                reason=BrokenReason.TIMEOUT, detail=f"{self._host} leaves {MAX_OPEN} earlier questions unanswered"
            )
        answered: SimpleQueue[_Reply | Broken] = SimpleQueue()

        def work() -> None:
            try:
                answered.put(self._post(form, deadline=deadline))
            finally:
                self._open.release()

        try:
            # The timeouts of requests are for each read and leave out the name's resolution. Only a thread of its
            # own, left to its end when it is late, keeps the deadline whatever the other side does.
            Thread(target=work, name="wavegate-prometheus", daemon=True).start()
        except RuntimeError as error:  # no thread to be had, such as while the interpreter ends
            self._open.release()
            return Broken(reason=BrokenReason.UNREACHABLE, detail=f"{self._host} could not be asked: {error}")
        try:
            return answered.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            return self._late()

    def _post(self, form: Mapping[str, str], *, deadline: float) -> _Reply | Broken:
        again = True
        while True:
            try:
                return self._send(form, deadline=deadline)
            except Exception as error:  # noqa: BLE001 - the promise of this door: it never raises
                cause, late = _root_cause(error), monotonic() >= deadline
            # A server may close a kept connection just as it is used again. That is no outage, and reading twice
            # does no harm.
            if late or not again or not isinstance(cause, ConnectionResetError | BrokenPipeError):
                return self._late() if late else self._from_cause(cause)
            again = False

    def _send(self, form: Mapping[str, str], *, deadline: float) -> _Reply | Broken:
        with self._session.post(
            self._endpoint, data=form, timeout=self._timeout, stream=True, allow_redirects=False
        ) as reply:
            body = bytearray()
            # `read1` gives what has arrived; `iter_content` would wait for a full chunk of a trickle.
            while chunk := reply.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > MAX_BODY:
                    return malformed(f"more than {MAX_BODY // 1024**2} MiB; narrow the selector")
                if monotonic() >= deadline:
                    return self._late()
            location = reply.headers.get("Location", "")
            return _Reply(status=reply.status_code, location=location, body=bytes(body))

    def _late(self) -> Broken:
        return Broken(
            reason=BrokenReason.TIMEOUT, detail=f"no complete answer from {self._host} within {self._timeout:g} s"
        )

    def _from_cause(self, cause: BaseException) -> Broken:
        match cause:
            case TimeoutError():
                return self._late()
            case UnicodeEncodeError():
                detail = "the query has characters that are not Unicode text"
                return Broken(reason=BrokenReason.QUERY_REJECTED, detail=detail)
            case OSError():
                # The exceptions of requests name the same thing in three nested sentences.
                detail = f"{self._host}: {cause.strerror or cause}"
                return Broken(reason=BrokenReason.UNREACHABLE, detail=detail)
            case _:
                return malformed(f"{self._host} broke off or does not speak HTTP: {cause!r}")


class _Session(requests.Session):
    """Sends the same headers with each request, follows nothing, remembers nothing."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.headers.update(headers)
        # Without an `auth` of its own, requests takes the machine's .netrc over our Authorization header.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_maxsize=MAX_OPEN)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - requests' signature
        # Even with allow_redirects=False requests would read a redirect's whole body, of any size, to prepare the next.
        return None


def _read(reply: _Reply) -> Data | Broken:
    """What status and body say together."""
    if reply.status == HTTPStatus.OK:
        return response.data_of(reply.body)
    error = response.error_of(reply.body)
    said = f"status {reply.status}" + (f": {error[1]}" if error else "")
    match reply.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Broken(reason=BrokenReason.UNAUTHORIZED, detail=f"{said}; check the credentials for Prometheus")
        # Only with Prometheus' own words: a proxy's 400 says nothing about the query.
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY if error:
            return Broken(reason=BrokenReason.QUERY_REJECTED, detail=error[1])
        case HTTPStatus.SERVICE_UNAVAILABLE if error and error[0] == _TIMEOUT:
            return Broken(reason=BrokenReason.TIMEOUT, detail=said)
        case HTTPStatus.NOT_FOUND:
            said += "; is this URL the root of a Prometheus API?"
        case status if 300 <= status < 400:  # noqa: PLR2004 - redirects
            # Queries of a redirect to a login page carry tokens.
            said += f" to {reply.location.split('?')[0] or 'nowhere'}, not followed; configure the final URL"
    return Broken(reason=BrokenReason.SERVER_ERROR, detail=said)


def _root_cause(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _checked_root(url: str) -> str:
    expected = "a root such as http://prometheus:9090"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        requests.Request("POST", url).prepare()
    except (ValueError, requests.RequestException):
        raise Invalid("url", "is not a URL", expected) from None
    if not usable:
        raise Invalid("url", "is not an http or https URL with a host", expected)
    if parts.username is not None or parts.password is not None:
        # Not shown: URLs end up in logs.
        raise Invalid("url", "carries credentials", f"{expected}, with user name and password beside it")
    if parts.query or parts.fragment:
        raise Invalid("url", "carries a query or fragment", expected)
    return url.rstrip("/")


def _authorization(bearer_token: str | None, basic_auth: tuple[str, str] | None) -> dict[str, str]:
    if bearer_token and basic_auth:
        raise Invalid("bearer_token", "is given beside basic_auth", "one of the two")
    if bearer_token:
        if not re.fullmatch(r"[!-~]+", bearer_token):
            raise Invalid("bearer_token", "has spaces or non-ASCII characters", "the token alone")
        return {"Authorization": f"Bearer {bearer_token}"}
    if basic_auth:
        if ":" in basic_auth[0]:
            raise Invalid("basic_auth", "has a colon in the user name", "a user name without one")
        return {"Authorization": f"Basic {b64encode(':'.join(basic_auth).encode()).decode()}"}
    return {}


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise Invalid("headers", f"{name!r} is not a header name", "a name such as X-Scope-OrgID")
        if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
            # Not shown: it may be a key.
            raise Invalid(f"headers.{name}", "is not a header value", "printable ASCII without spaces around it")
    return headers


def _is_loopback(host: str) -> bool:
    """Whether a proxy of the environment would only be in the way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
