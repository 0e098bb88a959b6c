"""One server over HTTP, asked within a deadline; the door to requests for all providers.

How it fails: it answers a Reply or Broken, and never raises. It answers within its timeout, however slowly a server
trickles. Redirects are not followed: a login page is no metrics server, and credentials go nowhere but to the URL
that was configured.
"""

import math
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic, sleep
from typing import Final, TypeGuard
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason
from wavegate_controller.providers import response
from wavegate_controller.providers.response import malformed

#: Largest body that is read: some 500,000 raw samples. Reading more would be the outage.
MAX_BODY: Final = 32 * 1024 * 1024
#: Questions that may be open at once; a server that leaves so many unanswered is not asked for more.
MAX_OPEN: Final = 32
_CHUNK: Final = 64 * 1024
#: Values of custom headers from this length on are treated as secrets; a tenant named "1" is none.
_SECRET_LENGTH: Final = 8
#: What may be over a moment later, such as while a replica of the server is replaced.
_PASSING: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_PAUSE: Final = 0.1
#: Questions that may be asked a second time in a row of failures.
_SPARE_RETRIES: Final = 3
#: So many answers earn another one.
_ANSWERS_PER_RETRY: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer, whatever its status."""

    status: int
    location: str
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """How we show who we are, and know who the server is.

    Attributes:
        bearer_token: sent as `Authorization: Bearer …`.
        basic_auth: user name and password.
        headers: sent along, such as `X-Scope-OrgID` for a tenant.
        ca_file: PEM file of the authorities to trust instead of the system's.
        client_cert: PEM file of the certificate that we show.
        client_key: PEM file of its key, without a pass phrase; may stand in `client_cert` too.
    """

    bearer_token: str | None = None
    basic_auth: tuple[str, str] | None = None
    headers: Mapping[str, str] | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class Server:
    """One server; safe to use from several threads."""

    def __init__(self, url: str, *, timeout: float, access: Access | None = None) -> None:
        """Nothing is asked yet: a server that is away at the start is no reason not to start.

        Args:
            url: what the paths of requests are appended to.
            timeout: seconds for a whole answer, from the connection to its last byte.
            access: credentials.

        Raises:
            Invalid: an argument that cannot work.
        """
        if not 0 < timeout < math.inf:
            raise Invalid("timeout", f"{timeout} is not a time to wait", "seconds, more than 0, such as 10")
        access = access or Access()
        self._root = _checked_root(url)
        self.host = urlsplit(self._root).netloc
        self._timeout = timeout
        self._open = BoundedSemaphore(MAX_OPEN)
        self._retries = _Retries()
        credentials = _authorization(access.bearer_token, access.basic_auth)
        headers = _checked_headers(access.headers or {})
        self._session = _Session({**headers, **credentials})
        self._session.trust_env = not _is_loopback(urlsplit(self._root).hostname or "")
        _check_files(access)
        # Given with each request: what the environment names would win over the session's.
        self._trust = access.ca_file
        if access.client_cert:
            self._session.cert = (access.client_cert, access.client_key or access.client_cert)
        secrets = [value for value in headers.values() if len(value) >= _SECRET_LENGTH]
        secrets += [value.split(" ", 1)[1] for value in credentials.values()]
        secrets += [access.basic_auth[1]] if access.basic_auth and access.basic_auth[1] else []
        self._secrets = secrets

    def ask(self, path: str, form: Mapping[str, str] | None = None) -> Reply | Broken:
        """What the server says to a POST of the form, or to a GET without one."""
        deadline = monotonic() + self._timeout
        if not self._open.acquire(timeout=self._timeout):
            return Broken(
                reason=BrokenReason.TIMEOUT, detail=f"{self.host} leaves {MAX_OPEN} earlier questions unanswered"
            )
        answered: SimpleQueue[Reply | Broken] = SimpleQueue()

        def work() -> None:
            try:
                answered.put(self._persist(lambda: self._send(path, form, deadline=deadline), deadline=deadline))
            finally:
                self._open.release()

        try:
            # The timeouts of requests are for each read and leave out the name's resolution. Only a thread of its
            # own, left to its end when it is late, keeps the deadline whatever the other side does.
            Thread(target=work, name="wavegate-metrics", daemon=True).start()
        except RuntimeError as error:  # no thread to be had, such as while the interpreter ends
            self._open.release()
            return Broken(reason=BrokenReason.UNREACHABLE, detail=f"{self.host} could not be asked: {error}")
        try:
            return answered.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            return self._late()

    def presentable(self, broken: Broken) -> Broken:
        """One short line, without our credentials even where a server echoes them."""
        detail = broken.detail
        for secret in self._secrets:
            detail = detail.replace(secret, "***")
        return replace(broken, detail=response.one_line(detail))

    def close(self) -> None:
        """Give the kept connections back."""
        self._session.close()

    def _persist(self, send: Callable[[], Reply | Broken], *, deadline: float) -> Reply | Broken:
        """Ask a second time what a moment may mend, if the time and the budget allow; reading twice does no harm."""
        is_fresh, is_second = False, False
        while True:
            cause: BaseException | None = None
            try:
                outcome = send()
            except Exception as error:  # noqa: BLE001 - the promise of this door: it never raises
                cause = _root_cause(error)
                outcome = self._from_cause(cause)
            if monotonic() >= deadline:
                return self._late()
            if not _may_pass(outcome):
                self._retries.earn()
                return outcome
            # A server may close a kept connection just as it is used again. That is no outage, and the question was
            # not asked yet: a fresh connection costs nothing of the budget and is not the second time.
            if isinstance(cause, ConnectionResetError | BrokenPipeError) and not is_fresh:
                is_fresh = True
                continue
            if is_second or monotonic() + 2 * _PAUSE >= deadline or not self._retries.spend():
                return outcome
            is_second = True
            sleep(_PAUSE)

    def _send(self, path: str, form: Mapping[str, str] | None, *, deadline: float) -> Reply | Broken:
        with self._session.request(
            "GET" if form is None else "POST",
            self._root + path,
            data=form,
            timeout=max(_PAUSE, deadline - monotonic()),
            stream=True,
            allow_redirects=False,
            verify=self._trust,
        ) as reply:
            body = bytearray()
            # `read1` gives what has arrived; `iter_content` would wait for a full chunk of a trickle.
            while chunk := reply.raw.read1(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > MAX_BODY:
                    return Broken(
                        reason=BrokenReason.TOO_LARGE, detail=f"{self.host} says more than {MAX_BODY // 1024**2} MiB"
                    )
                if monotonic() >= deadline:
                    return self._late()
            location = reply.headers.get("Location", "")
            return Reply(status=reply.status_code, location=location, body=bytes(body))

    def _late(self) -> Broken:
        return Broken(
            reason=BrokenReason.TIMEOUT, detail=f"no complete answer from {self.host} within {self._timeout:g} s"
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
                detail = f"{self.host}: {cause.strerror or cause}"
                return Broken(reason=BrokenReason.UNREACHABLE, detail=detail)
            case _:
                return malformed(f"{self.host} broke off or does not speak HTTP: {cause!r}")


class _Retries:
    """How many questions may still be asked twice: in an outage, asking everything twice would be a second one."""

    def __init__(self) -> None:
        self._answers = _SPARE_RETRIES * _ANSWERS_PER_RETRY
        self._lock = Lock()

    def earn(self) -> None:
        with self._lock:
            self._answers = min(_SPARE_RETRIES * _ANSWERS_PER_RETRY, self._answers + 1)

    def spend(self) -> bool:
        with self._lock:
            if self._answers < _ANSWERS_PER_RETRY:
                return False
            self._answers -= _ANSWERS_PER_RETRY
            return True


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


def _may_pass(outcome: Reply | Broken) -> bool:
    if isinstance(outcome, Broken):
        return outcome.reason is BrokenReason.UNREACHABLE
    return outcome.status in _PASSING


def _root_cause(error: BaseException) -> BaseException:
    """What began it; urllib3 keeps some causes in its arguments only."""
    while inner := error.__cause__ or error.__context__ or next(filter(_is_error, error.args), None):
        error = inner
    return error


def _is_error(value: object) -> TypeGuard[BaseException]:
    return isinstance(value, BaseException)


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


def _check_files(access: Access) -> None:
    """Read the certificates once, so that a wrong path is said at the start and not at the first question."""
    if access.client_key and not access.client_cert:
        raise Invalid("client_key", "is given without client_cert", "both of them, or neither")
    context = ssl.create_default_context()
    try:
        if access.ca_file:
            context.load_verify_locations(cafile=access.ca_file)
    except OSError as error:
        raise Invalid("ca_file", f"cannot be used: {error}", "a PEM file of certificates") from None
    try:
        if access.client_cert:
            # An empty pass phrase: otherwise an encrypted key would be asked for on the terminal.
            context.load_cert_chain(access.client_cert, access.client_key, password="")
    except OSError as error:
        expected = "PEM files of a certificate and its key, without a pass phrase"
        raise Invalid("client_cert", f"cannot be used: {error}", expected) from None


def _is_loopback(host: str) -> bool:
    """Whether a proxy of the environment would only be in the way."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
