"""The provider's life against a server in the controller's place: readiness, changes, outages, ends and forks."""

import os
import threading

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider import ProviderStatus
from prometheus_client import CollectorRegistry

import wavegate
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
