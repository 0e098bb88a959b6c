"""Asking a webhook over real HTTP: what it says, and every way in which it can fail to say anything."""

import json
from base64 import b64decode, b64encode
from contextlib import contextmanager
from datetime import timedelta
from hmac import digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Flag
from threading import Thread

import pytest

from support.rollouts import NOW
from support.waiting import wait_until
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason, Judgement
from wavegate_controller.domain.verdict import VerdictKind
from wavegate_controller.providers.webhook import MAX_BODY, Webhooks

SECRET = "whsec_" + b64encode(b"a secret of thirty-two bytes ...").decode()


class Check:
    """A check whose answer the test holds in its hand."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, json.dumps({"verdict": "pass"}).encode(), {}
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.released = Flag()
        self.released.set()

    @contextmanager
    def serving(self):
        check = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                check.asked.append((dict(self.headers), body))
                check.released.wait(10)
                self.send_response(check.status)
                for name, value in check.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(check.body)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self.url = f"http://127.0.0.1:{server.server_port}/checks/evals"
            yield self
            self.released.set()
            server.shutdown()


@pytest.fixture
def check():
    with Check().serving() as check:
        yield check


def asked(check: Check, *, secret: str | None = None, timeout: float = 5, url: str | None = None):
    webhooks = Webhooks([check.url.removesuffix("/evals")], secret=secret)
    answers = []

    def answered() -> bool:
        answers.append(webhooks.ask("key", url or check.url, {"wave": 1}, timeout=timedelta(seconds=timeout), now=NOW))
        return answers[-1] is not None

    wait_until(answered)
    return answers[-1]


def test_it_says_pass_with_its_reason_and_numbers(check: Check):
    check.body = json.dumps({"verdict": "pass", "detail": "38 of 40", "value": 0.95, "limit": 0.9}).encode()

    answer = asked(check)

    host = check.url.split("/")[2]
    assert answer == Judgement(says=VerdictKind.PASS, by=host, detail="38 of 40", value=0.95, limit=0.9)
    assert json.loads(check.asked[0][1]) == {"wave": 1}


def test_a_question_is_asked_once_however_often_one_looks_for_its_answer(check: Check):
    check.released.clear()
    webhooks = Webhooks([check.url])

    def look():
        return webhooks.ask("key", check.url, {}, timeout=timedelta(seconds=9), now=NOW)

    assert [look() for _ in range(5)] == [None] * 5
    check.released.set()
    wait_until(lambda: look() is not None)
    assert len(check.asked) == 1


def test_a_signed_question_can_be_verified_as_the_standard_says(check: Check):
    asked(check, secret=SECRET)

    headers, body = check.asked[0]
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = digest(b64decode(SECRET.removeprefix("whsec_")), signed, "sha256")
    assert headers["webhook-signature"] == f"v1,{b64encode(expected).decode()}"


def test_without_a_secret_nothing_pretends_to_be_signed(check: Check):
    asked(check)

    assert "webhook-signature" not in check.asked[0][0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"body": b"all fine"}, "malformed_response"),
        ({"body": b""}, "malformed_response"),
        ({"body": b"[1]"}, "malformed_response"),
        ({"body": b'{"verdict": "maybe"}'}, "malformed_response"),
        ({"body": b'{"verdict": "cannot_measure"}'}, "malformed_response"),
        ({"body": b'{"verdict": ["pass"]}'}, "malformed_response"),
        ({"body": b'{"ok": true}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "score": 1}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "value": "high"}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "value": true}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "limit": NaN}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "value": 1' + b"0" * 400 + b"}"}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "detail": 7}'}, "malformed_response"),
        ({"body": b'{"verdict": "pass", "detail": "' + b"x" * MAX_BODY + b'"}'}, "malformed_response"),
        ({"body": b"[" * 60_000}, "malformed_response"),
        ({"body": b"\xff\xfe"}, "malformed_response"),
        ({"status": 204, "body": b""}, "server_error"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, "server_error"),
        ({"status": 401}, "unauthorized"),
        ({"status": 403}, "unauthorized"),
        ({"status": 404}, "server_error"),
        ({"status": 429}, "server_error"),
        ({"status": 500}, "server_error"),
    ],
)
def test_an_answer_that_is_none_cannot_be_measured(check: Check, answer: dict, reason: str):
    for name, value in answer.items():
        setattr(check, name, value)

    broken = asked(check)

    assert isinstance(broken, Broken), broken
    assert broken.reason == reason
    assert broken.detail.isprintable()
    assert len(check.asked) == 1


def test_a_check_that_is_too_slow_is_a_time_out(check: Check):
    check.released.clear()

    assert asked(check, timeout=0.2).reason is BrokenReason.TIMEOUT


def test_a_check_that_is_away_is_unreachable(check: Check):
    with Check().serving() as gone:
        url = gone.url
    answers = []
    webhooks = Webhooks([url])

    def answered() -> bool:
        answers.append(webhooks.ask("key", url, {}, timeout=timedelta(seconds=5), now=NOW))
        return answers[-1] is not None

    wait_until(answered)
    assert answers[-1].reason is BrokenReason.UNREACHABLE


ALLOWED = ["https://checks.example.com/wavegate", "http://127.0.0.1:8000"]


@pytest.mark.parametrize(
    "url",
    [
        "https://checks.example.com/wavegate",
        "https://checks.example.com/wavegate/evals?suite=1",
        "https://CHECKS.example.com:443/wavegate/",
        "http://127.0.0.1:8000/anything",
    ],
)
def test_what_lies_beneath_an_allowed_address_may_be_asked(url: str):
    assert Webhooks(ALLOWED).refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://checks.example.com/wavegate",
        "https://checks.example.com/",
        "https://checks.example.com/wavegatekeeper",
        "https://checks.example.com/wavegate/../admin",
        "https://checks.example.com/wavegate/%2e%2e/admin",
        "https://checks.example.com/wavegate\\..\\admin",
        "https://checks.example.com.evil.org/wavegate",
        "https://checks.example.com@evil.org/wavegate",
        "https://ada:secret@checks.example.com/wavegate",
        "https://checks.example.com:8443/wavegate",
        "http://127.0.0.1:8001/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://",
        "nonsense",
    ],
)
def test_any_other_address_is_refused_and_never_asked(url: str):
    webhooks = Webhooks(ALLOWED)

    assert webhooks.refusal(url)
    broken = webhooks.ask("key", url, {}, timeout=timedelta(seconds=1), now=NOW)
    assert broken.reason is BrokenReason.NOT_ALLOWED


def test_with_no_address_allowed_none_is():
    assert Webhooks().refusal("http://127.0.0.1/")


@pytest.mark.parametrize("secret", ["hunter2", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_signs_nothing_well_is_refused_at_the_start(secret: str):
    with pytest.raises(Invalid) as refused:
        Webhooks([], secret=secret)

    assert refused.value.field == "webhook_secret"
    assert secret not in str(refused.value)


@pytest.mark.parametrize("url", ["checks.example.com", "https://u:p@checks.example.com", "https://c.org/#a"])
def test_an_address_that_allows_nothing_is_refused_at_the_start(url: str):
    with pytest.raises(Invalid) as refused:
        Webhooks(["https://checks.example.com", url])

    assert refused.value.field == "webhook_urls[1]"
