"""Processes on one PostgreSQL that serve know of each other's clients."""

from contextlib import contextmanager

import pytest

from support.controllers import ControllerProcess
from support.waiting import wait_until
from wavegate import Client
from wavegate_controller.bootstrap import build
from wavegate_controller.config import Config
from wavegate_controller.domain.access import SYSTEM
from wavegate_controller.remote import RemoteController
from wavegate_controller.service.environments import create_environment
from wavegate_controller.service.fleets import connected_clients, delivered_revisions

ONE, TWO = "1" * 32, "2" * 32


@contextmanager
def process(url, role="data"):
    built = build(Config(database_url=url, role=role, open=True))
    built.start()
    try:
        yield built
    finally:
        built.close()
        built.services.store._engine.dispose()


def join(built, instance, environment="production"):
    fleet = built.hub.channel(environment).fleet
    fleet.joined(instance, sdk="wavegate-python/0.1.0", app="shop", revision=1)
    return fleet


def sentence(built, environment="production"):
    return delivered_revisions(built.services.within(environment), by=SYSTEM)[0].sentence


def test_each_process_says_to_how_many_of_all_clients_a_revision_was_delivered(postgres_url):
    with process(postgres_url) as first, process(postgres_url) as second:
        one, two = join(first, ONE), join(second, TWO)
        wait_until(lambda: {sentence(first), sentence(second)} == {"delivered to 2 of 2"})
        with process(postgres_url, "reconcile") as late:
            wait_until(lambda: sentence(late) == "delivered to 2 of 2")
        create_environment(first.services, "staging", by=SYSTEM)
        wait_until(lambda: second.hub.channel("staging"))
        join(first, ONE, "staging")
        wait_until(lambda: sentence(second, "staging") == "delivered to 1 of 1")
        two.left(TWO)
        wait_until(lambda: sentence(first) == "delivered to 1 of 1")
        clients = connected_clients(second.services, by=SYSTEM)

        assert [(each.instance, each.app, each.streaming) for each in clients] == [(ONE, "shop", True)]
        assert (len(one), len(two)) == (1, 0)


def test_a_process_that_stops_says_so(postgres_url):
    with process(postgres_url) as first:
        with process(postgres_url) as second:
            join(second, TWO)
            wait_until(lambda: sentence(first) == "delivered to 1 of 1")
        wait_until(lambda: sentence(first) == "delivered to 1, since gone")


@pytest.mark.slow
def test_every_process_whatever_its_role_says_what_was_delivered_to_real_apps(postgres_url):
    with (
        ControllerProcess(postgres_url, WAVEGATE_ROLE="control") as control,
        ControllerProcess(postgres_url) as whole,
        ControllerProcess(postgres_url, WAVEGATE_ROLE="data") as data,
    ):
        remotes = [RemoteController(each.wait_ready().url) for each in (control, whole)]
        data.wait_ready()
        with Client(whole.url) as one, Client(data.url) as other:
            wait_until(lambda: one.streaming and other.streaming)
            remotes[0].create_flag({"key": "ai-summaries"})
            wait_until(
                lambda: all(
                    (newest["delivered"], newest["of"], newest["revision"]) == (2, 2, 2)
                    for newest in (remote.delivered_revisions(limit=1)[0] for remote in remotes)
                )
            )
