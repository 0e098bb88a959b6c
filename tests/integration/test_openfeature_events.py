"""The provider's life against a server in the controller's place: readiness, changes, outages, ends and forks."""

import os
import threading
import time

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.provider import ProviderStatus
from prometheus_client import CollectorRegistry

import wavegate
from support.data_plane import KEY, DataPlane
from support.stand_in import StandIn, document
from support.waiting import wait_until
from wavegate.openfeature import WavegateProvider


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(document(1))
        yield controller


@pytest.fixture
def gate(controller):
    with wavegate.Client(controller.url, poll_interval=0.05, registry=CollectorRegistry()) as gate:
        yield gate


@pytest.fixture
def provider(gate):
    return WavegateProvider(gate, ready_timeout=10)


@pytest.fixture
def events():
    """What OpenFeature's handlers are told, in order."""
    told = []
    for event in ProviderEvent:
        api.add_handler(event, lambda details, event=event: told.append((event, details)))
    # A new handler hears at once of the provider that is there: OpenFeature's own.
    wait_until(lambda: told)
    yield told
    api.clear_providers()


def kinds(events):
    return [event.name.removeprefix("PROVIDER_") for event, _ in events]


def wait_for(events, *expected):
    wait_until(lambda: kinds(events)[-len(expected) :] == list(expected), timeout=10, what=str(expected))


def status():
    return api.get_client().get_provider_status()


def begin(provider, events):
    """Sets the provider; what the one before it said is forgotten."""
    events.clear()
    api.set_provider_and_wait(provider)
    wait_for(events, "READY")


def test_the_provider_is_ready_when_the_first_ruleset_is_there(provider, events):
    begin(provider, events)

    assert status() == ProviderStatus.READY
    assert api.get_client().get_boolean_value("search", False) is True


def test_a_change_is_told_with_its_flags_and_in_effect(provider, events, controller):
    begin(provider, events)

    controller.serve(document(2, on=False))

    wait_for(events, "READY", "CONFIGURATION_CHANGED")
    assert events[-1][1].flags_changed == ["search"]
    assert api.get_client().get_boolean_value("search", True) is False
    assert status() == ProviderStatus.READY


def test_a_change_says_which_flags_it_may_reach(provider, gate, events, controller):
    plain = {"variants": {"on": True, "off": False}, "default_variant": "off"}
    flags = {
        "search": plain,
        "needs-search": plain | {"prerequisites": [{"flag": "search", "variants": ["on"]}]},
        "needs-that": plain | {"prerequisites": [{"flag": "needs-search", "variants": ["on"]}]},
        "alone": plain,
        "goes": plain,
    }
    controller.serve(document(2) | {"flags": flags})
    wait_until(lambda: gate.revision == 2)
    begin(provider, events)
    del flags["goes"]

    controller.serve(
        document(3) | {"flags": flags | {"search": plain | {"default_variant": "on"}, "comes": plain}},
    )
    wait_for(events, "READY", "CONFIGURATION_CHANGED")
    condition = {"attribute": "plan", "operator": "equals", "value": "team"}
    controller.serve(document(4) | {"flags": {"search": plain, "alone": plain}, "segments": {"teams": condition}})
    wait_for(events, "READY", "CONFIGURATION_CHANGED", "CONFIGURATION_CHANGED")

    assert events[1][1].flags_changed == ["comes", "goes", "needs-search", "needs-that", "search"]
    assert events[2][1].flags_changed == ["alone", "comes", "needs-search", "needs-that", "search"]


def test_without_the_controller_the_provider_is_stale_and_goes_on_answering(provider, events, controller):
    begin(provider, events)

    controller.fail(503)
    wait_for(events, "READY", "STALE")
    during = (status(), api.get_client().get_boolean_value("search", False))
    controller.serve(document(1))
    wait_for(events, "READY", "STALE", "READY")

    assert during == (ProviderStatus.STALE, True)
    assert status() == ProviderStatus.READY


@pytest.mark.parametrize(
    "seconds", [0, pytest.param(3, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)]
)
def test_a_lost_stream_is_stale_then_an_error_and_ready_when_it_is_back(events, seconds):
    """As flagd's testbed has it, which loses the connection for three and for five seconds."""
    with DataPlane() as plane:
        plane.publish(1)
        port = plane.port
        gate = wavegate.Client(plane.url, KEY, poll_interval=0.05, registry=CollectorRegistry())
        wait_until(lambda: gate.streaming)
        begin(WavegateProvider(gate, grace_period=0.2), events)
    with gate:
        lost = time.monotonic()
        wait_for(events, "READY", "STALE", "ERROR")
        time.sleep(max(0.0, lost + seconds - time.monotonic()))
        during = (kinds(events), status(), api.get_client().get_boolean_details("search", False))
        with DataPlane(port=port) as plane:
            plane.publish(2, on=False)
            wait_until(lambda: {"READY", "CONFIGURATION_CHANGED"} <= set(kinds(events)[3:]), timeout=20)
            after = (status(), api.get_client().get_boolean_value("search", True))
            wait_until(lambda: gate.streaming, timeout=20)

    assert during[:2] == (["READY", "STALE", "ERROR"], ProviderStatus.ERROR)
    assert (during[2].value, during[2].error_code) == (True, None)
    assert after == (ProviderStatus.READY, False)


@pytest.mark.parametrize("seconds", [0.2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_controller_that_is_unavailable_at_the_start_is_an_error(controller, events, seconds):
    controller.close()
    with wavegate.Client(controller.url, registry=CollectorRegistry()) as gate:
        events.clear()
        with pytest.raises(ProviderNotReadyError):
            api.set_provider_and_wait(WavegateProvider(gate, ready_timeout=seconds))
        wait_for(events, "ERROR")

    assert status() == ProviderStatus.ERROR
    assert events[-1][1].error_code == ErrorCode.PROVIDER_NOT_READY


@pytest.mark.parametrize("answer", [401, 403])
def test_a_key_that_is_refused_at_the_start_is_fatal_until_it_is_accepted(controller, events, monkeypatch, answer):
    monkeypatch.setattr("wavegate.client.poller._AFTER_REFUSAL", 0.05)
    controller.fail(answer)
    with wavegate.Client(controller.url, poll_interval=0.05, registry=CollectorRegistry()) as gate:
        events.clear()
        with pytest.raises(ProviderFatalError):
            api.set_provider_and_wait(WavegateProvider(gate, ready_timeout=60))
        wait_for(events, "ERROR")
        refused = (status(), api.get_client().get_boolean_details("search", True))
        controller.serve(document(1))
        wait_for(events, "ERROR", "READY")

    assert events[0][1].error_code == ErrorCode.PROVIDER_FATAL
    assert refused[0] == ProviderStatus.FATAL
    assert (refused[1].value, refused[1].error_code) == (True, ErrorCode.PROVIDER_FATAL)
    assert status() == ProviderStatus.READY


def test_a_key_that_is_refused_later_is_an_error_and_the_ruleset_stays(provider, events, controller, monkeypatch):
    monkeypatch.setattr("wavegate.client.poller._AFTER_REFUSAL", 0.05)
    begin(provider, events)

    controller.fail(403)
    wait_for(events, "ERROR")
    during = (status(), api.get_client().get_boolean_value("search", False))
    controller.serve(document(2, on=False))
    wait_until(lambda: status() == ProviderStatus.READY and len(events) >= 4)

    assert during == (ProviderStatus.ERROR, True)
    assert [kind for kind in kinds(events) if kind != "STALE"][:2] == ["READY", "ERROR"]


def test_a_key_that_is_refused_does_not_take_away_what_the_cache_has(controller, events, tmp_path):
    cache = tmp_path / "ruleset.json"
    with wavegate.Client(controller.url, poll_interval=0.05, cache_path=cache, registry=CollectorRegistry()):
        wait_until(cache.exists)
    controller.fail(401)

    with wavegate.Client(controller.url, poll_interval=0.05, cache_path=cache, registry=CollectorRegistry()) as gate:
        wait_until(lambda: gate.refused)
        events.clear()
        api.set_provider_and_wait(WavegateProvider(gate))
        wait_for(events, "READY", "ERROR")

        assert status() == ProviderStatus.ERROR
        assert api.get_client().get_boolean_value("search", False) is True


@pytest.mark.parametrize("wrong", [0, -1, "soon", float("nan")])
def test_a_grace_period_that_is_none_is_refused(gate, wrong):
    with pytest.raises(wavegate.ConfigError, match="grace_period"):
        WavegateProvider(gate, grace_period=wrong)


def test_a_late_ruleset_makes_the_provider_ready(controller, events):
    controller.fail(503)
    client = api.get_client()
    with wavegate.Client(controller.url, poll_interval=0.05, registry=CollectorRegistry()) as gate:
        events.clear()
        api.set_provider(WavegateProvider(gate, ready_timeout=0.2))
        wait_for(events, "ERROR")
        error, waiting = events[-1][1], (status(), client.get_boolean_details("search", False))
        controller.serve(document(1))
        wait_for(events, "ERROR", "READY")
        late = client.get_boolean_details("search", False)

    assert error.error_code == ErrorCode.PROVIDER_NOT_READY
    assert waiting[0] == ProviderStatus.ERROR
    assert (waiting[1].value, waiting[1].error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
    assert (late.value, late.error_code) == (True, None)


def test_a_provider_that_was_replaced_is_silent_and_has_no_thread(provider, gate, events, controller):
    begin(provider, events)

    api.set_provider_and_wait(WavegateProvider(wavegate.Client.offline(document(), registry=CollectorRegistry())))
    wait_until(lambda: "wavegate-openfeature" not in {thread.name for thread in threading.enumerate()})
    wait_for(events, "READY", "READY")
    controller.serve(document(2, on=False))
    wait_until(lambda: gate.revision == 2)

    assert kinds(events) == ["READY", "READY"]
    assert gate.is_enabled("search", "anna") is False  # the client goes on


def test_a_provider_may_be_set_again(provider, events, controller):
    begin(provider, events)
    begin(WavegateProvider(wavegate.Client.offline(document(), registry=CollectorRegistry())), events)
    begin(provider, events)

    controller.serve(document(2, on=False))

    wait_for(events, "READY", "CONFIGURATION_CHANGED")
    assert kinds(events).count("CONFIGURATION_CHANGED") == 1


def test_a_forked_child_watches_by_itself(provider, events):
    begin(provider, events)
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:  # pragma: no cover
        names = [thread.name for thread in threading.enumerate()]
        os.write(writer, b"1" if names.count("wavegate-openfeature") == 1 else b"0")
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 1) == b"1"
