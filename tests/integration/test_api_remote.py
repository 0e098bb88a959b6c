"""The API as Python methods: what they raise, and what they never send."""

from contextlib import contextmanager
from threading import Event, Thread

import pytest
from werkzeug.serving import make_server

from support import control_plane
from support.live_controller import NOWHERE
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable


@contextmanager
def serving(app):
    """The app on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def controller(any_database_url):
    with (
        control_plane.world(any_database_url) as world,
        serving(control_plane.client(world.services).application) as url,
    ):
        yield RemoteController(url)


def test_a_feature_goes_from_its_flag_to_a_rollback(controller):
    controller.create_flag({"key": "f"})
    controller.create_rollout({"flag": "f"}, actor="ada")
    controller.act("f", "start", actor="ada")
    rolled_back = controller.act("f", "roll_back", actor="ada", comment="it lies")

    def without_delivery(rollout):
        """Whom a revision has reached changes from one look to the next."""
        return {name: value for name, value in rollout.items() if name != "delivery"}

    assert without_delivery(rolled_back) == without_delivery(controller.rollout("f:1"))
    assert without_delivery(rolled_back) == without_delivery(controller.rollouts("f")[0])
    assert [each["event"] for each in controller.decisions("f", moves_only=True)] == ["roll_back", "start"]
    for flag in (controller.flag("f"), controller.flags()[0]):
        assert without_delivery(flag["rollout"]) == without_delivery(rolled_back)
    assert not controller.set_enabled("f", False, actor="ada")["enabled"]
    assert controller.status()["revision"] == 4
    assert controller.ready()


def test_a_refusal_names_the_field_in_words_and_as_data(controller):
    with pytest.raises(RemoteProblem) as refused:
        controller.create_flag({"key": "f", "colour": "blue"})

    assert (refused.value.status, refused.value.errors[0]["field"]) == (422, "colour")
    assert "colour" in str(refused.value)


def test_a_name_reaches_the_controller_as_it_was_given(controller):
    with pytest.raises(RemoteProblem, match=r"there is no flag 'a b\?c=\xfc#d%20'"):
        controller.flag("a b?c=\xfc#d%20")


def test_nobody_there_is_said_in_one_sentence():
    controller = RemoteController(NOWHERE)

    with pytest.raises(RemoteUnreachable, match=f"no controller answers at {NOWHERE}; start one"):
        controller.flags()
    assert not controller.ready()


def test_an_answer_that_does_not_come_is_given_up():
    def hang(environ, start_response):
        release.wait()
        start_response("200 OK", [])
        return []

    release = Event()
    with serving(hang) as url:
        with pytest.raises(RemoteUnreachable, match=r"did not answer in 0\.1 s"):
            RemoteController(url, timeout=0.1).flags()
        release.set()


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "500 Oh no"])
def test_something_else_at_that_address_is_said_to_be_something_else(status):
    def page(environ, start_response):
        start_response(status, [("Content-Type", "text/html"), ("Location", "/login")])
        return [b"<h1>Welcome</h1>"]

    with serving(page) as url, pytest.raises(RemoteProblem, match="is it a Wavegate controller"):
        RemoteController(url).flags()


def test_neither_a_proxy_nor_a_netrc_stands_between_us_and_loopback(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login nobody password nothing\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", NOWHERE)
    sent = []

    def note(environ, start_response):
        sent.append(environ.get("HTTP_AUTHORIZATION"))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"items": [], "next": null}']

    with serving(note) as url:
        RemoteController(url, "s3cret").flags()
        RemoteController(url).flags()

    assert sent == ["Bearer s3cret", None]
