"""`/api/v1/events`: whoever may read follows what happens, misses nothing, and keeps nobody else waiting."""

import asyncio
import json
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from support.live_controller import live_controller
from wavegate_controller.delivery import Feed, Happening
from wavegate_controller.remote import RemoteController

TOKENS = {"WAVEGATE_API_TOKENS": json.dumps({"ada": "ada-s-secret-token"})}
BEARER = {"Authorization": "Bearer ada-s-secret-token"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with live_controller(tmp_path_factory.mktemp("events"), WAVEGATE_STREAM_HEARTBEAT="1s", **TOKENS) as url:
        yield url


@pytest.fixture
def controller(url):
    return RemoteController(url, "ada-s-secret-token")


@contextmanager
def following(url, query="", **headers):
    """The answer to a request for events, to be read line by line."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("GET", f"/api/v1/events{query}", headers=BEARER | headers)
        yield connection.getresponse()
    finally:
        connection.close()


def next_event(answer):
    """The fields of the next event, without the signs of life."""
    fields = {}
    while line := answer.readline().decode().rstrip("\n") or (" " if not fields else ""):
        name, _, value = line.partition(": ")
        if name in ("id", "event", "data"):
            fields[name] = value
    return fields


def opened(answer):
    """Wait until the controller has begun to serve the stream."""
    while answer.readline() != b": welcome\n":
        pass
    return answer


def test_what_happens_is_told_and_what_happened_meanwhile_is_told_first(url, controller):
    with following(url) as answer:
        opened(answer)
        controller.create_flag({"key": "first"})
        first = next_event(answer)
    controller.create_flag({"key": "second"})
    controller.set_enabled("second", False, comment="it lies")

    with following(url, **{"Last-Event-ID": first["id"]}) as answer:
        second, third = next_event(answer), next_event(answer)
    with following(url, f"?after={first['id']}") as answer:
        again = next_event(answer)

    assert (first["event"], json.loads(first["data"])["subject"]) == ("flag.create", "first")
    assert (second["event"], third["event"]) == ("flag.create", "flag.disable")
    assert json.loads(third["data"]).items() >= {"actor": "ada", "subject": "second", "reason": "it lies"}.items()
    assert [int(each["id"]) - int(first["id"]) for each in (second, third)] == [1, 2]
    assert again == second


def test_a_quiet_stream_shows_signs_of_life(url):
    with following(url) as answer:
        opened(answer)

        assert answer.readline() == b"\n"
        assert answer.readline() == b": \n"


def test_whoever_has_seen_more_than_there_is_is_told_to_read_anew(url):
    with following(url, **{"Last-Event-ID": "999999999"}) as answer:
        assert next_event(answer)["event"] == "reset"


@pytest.mark.parametrize(
    ("query", "headers", "status", "field"),
    [
        ("", {"Authorization": "Bearer wrong"}, 401, None),
        ("?environment=nowhere", {}, 404, None),
        ("?after=many", {}, 422, "after"),
        ("?colour=blue", {}, 422, "colour"),
        ("", {"Last-Event-ID": "../../etc"}, 422, "Last-Event-ID"),
    ],
)
def test_a_request_that_may_not_follow_gets_a_problem_like_any_other(url, query, headers, status, field):
    with following(url, query, **headers) as answer:
        problem = json.loads(answer.read())

    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert field is None or problem["errors"][0]["field"] == field


def test_many_who_follow_keep_nobody_waiting(url, controller):
    with ExitStack() as stack:
        answers = [opened(stack.enter_context(following(url))) for _ in range(60)]

        controller.create_flag({"key": "for-all"})
        told = {next_event(answer)["id"] for answer in answers}

    assert len(told) == 1


class Clients:
    """A feed in this process, over happenings in a list."""

    def __init__(self, number):
        self.happened = [self.happening(each) for each in range(1, number + 1)]
        self.feed = Feed(self.read, lambda: len(self.happened), heartbeat=0.05)
        self.gone = asyncio.Event()
        self.dropped = False

    @staticmethod
    def happening(number, action="flag.create"):
        return Happening(id=number, environment="production", action=action, document={"id": number})

    def read(self, after, limit):
        return self.happened[after : after + limit]

    def drop(self):
        self.dropped = True

    async def follow(self, send, after=0):
        await self.feed.follow(send, self.gone, self.drop, environment="production", after=after)


def test_a_long_backlog_is_read_page_by_page_and_given_once_in_order():
    async def run():
        clients, sent = Clients(1234), bytearray()

        async def send(message):
            sent.extend(message.get("body", b""))
            if b"id: 1234\n" in sent:
                clients.gone.set()

        await clients.follow(send)
        return sent.decode()

    ids = [int(line[4:]) for line in asyncio.run(run()).splitlines() if line.startswith("id: ")]

    assert ids == list(range(1, 1235))


def test_a_client_that_does_not_read_is_dropped(monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.feed._PATIENCE", 0.05)

    async def run():
        clients = Clients(1)

        async def send(message):
            if b"id: " in message.get("body", b""):
                await asyncio.sleep(60)

        await clients.follow(send)
        return clients.dropped

    assert asyncio.run(run())


def test_a_stream_ends_when_somebodys_rights_change_so_that_they_are_asked_for_anew():
    async def run():
        clients, messages = Clients(1), []
        clients.happened.append(Clients.happening(2, "token.revoke"))

        async def send(message):
            messages.append(message)

        await clients.follow(send)
        return messages

    assert asyncio.run(run())[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_more_streams_than_a_process_serves_are_refused(monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.feed._MOST", 0)

    async def run():
        messages = []

        async def send(message):
            messages.append(message)

        await Clients(1).follow(send)
        return messages

    assert asyncio.run(run())[0]["status"] == 503
