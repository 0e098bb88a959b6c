"""Who is connected, and how far each revision has come."""

import pytest

from support.rollouts import NOW
from wavegate_controller.delivery.fleet import Fleet
from wavegate_controller.domain.delivery import DeliveredRevision

ONE, TWO, RELAY = "1" * 32, "2" * 32, "f" * 32


class Hand:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def delays():
    return []


@pytest.fixture
def fleet(clock, delays):
    fleet = Fleet(delays.append, clock=clock)
    fleet.published(1, at=NOW)
    return fleet


def join(fleet, instance, revision=1):
    fleet.joined(instance, sdk="wavegate-python/0.1.0", app="shop", revision=revision)


def acknowledge(fleet, instance, revision, held=0.0, by=None):
    fleet.acknowledged([(instance, revision, held, "", "")], [], by=by or instance)


def sentences(fleet):
    return [one.sentence for one in fleet.revisions()]


def test_a_revision_is_delivered_when_all_who_are_connected_use_it(fleet, clock, delays):
    join(fleet, ONE)
    join(fleet, TWO)
    clock.now += 10
    fleet.published(2, at=NOW)
    before = sentences(fleet)
    clock.now += 0.5
    acknowledge(fleet, ONE, 2, held=0.4)
    between = sentences(fleet)
    acknowledge(fleet, TWO, 2, held=0.25)

    assert before == ["delivered to 0 of 2", "delivered to 2 of 2"]
    assert between[0] == "delivered to 1 of 2, slowest 0.10 s"
    assert sentences(fleet) == ["delivered to 2 of 2, slowest 0.25 s", "delivered to 2 of 2"]
    assert delays == pytest.approx([0.1, 0.25])


def test_who_comes_later_counts_and_is_not_slow(fleet, clock):
    join(fleet, ONE)
    clock.now += 100
    join(fleet, TWO, revision=None)
    acknowledge(fleet, TWO, 1)

    assert sentences(fleet) == ["delivered to 2 of 2"]


def test_who_leaves_is_not_waited_for(fleet):
    join(fleet, ONE)
    join(fleet, TWO)
    fleet.published(2, at=NOW)
    acknowledge(fleet, ONE, 2)

    fleet.left(TWO)

    assert fleet.revisions()[0].is_complete


def test_a_client_with_two_streams_is_one_and_stays_until_both_ended(fleet):
    join(fleet, ONE)
    join(fleet, ONE)
    fleet.left(ONE)
    during = len(fleet)
    fleet.left(ONE)

    assert (during, len(fleet)) == (1, 0)


def test_what_was_reached_of_an_older_revision_stays(fleet):
    join(fleet, ONE)
    join(fleet, TWO)
    fleet.published(2, at=NOW)
    acknowledge(fleet, ONE, 2)
    fleet.published(3, at=NOW)
    acknowledge(fleet, ONE, 3)
    acknowledge(fleet, TWO, 3)

    assert [(one.delivered, one.of) for one in fleet.revisions()] == [(2, 2), (1, 2), (2, 2)]


def test_a_client_that_polls_is_counted_until_it_is_silent(fleet, clock):
    fleet.polled(ONE, sdk="", app="", revision=1)
    clock.now += 59
    before = len(fleet.clients())
    clock.now += 2

    assert (before, fleet.clients()) == (1, [])


def test_a_relay_tells_of_its_clients_and_takes_them_along(fleet):
    join(fleet, RELAY)
    acknowledge(fleet, ONE, 1, by=RELAY)
    acknowledge(fleet, TWO, 1, by=RELAY)
    fleet.acknowledged([], [TWO], by=RELAY)
    before = [client.instance for client in fleet.clients()]
    fleet.left(RELAY)

    assert before == [ONE, RELAY]
    assert fleet.clients() == []


def test_nobody_removes_the_clients_of_others(fleet):
    join(fleet, RELAY)
    join(fleet, ONE)
    acknowledge(fleet, TWO, 1, by=RELAY)

    fleet.acknowledged([], [TWO, RELAY], by=ONE)

    assert len(fleet) == 3


@pytest.mark.parametrize("instance", ["", "shop", "g" * 32, "1" * 33, "'; drop"])
def test_what_is_no_instance_is_not_counted(fleet, instance):
    join(fleet, instance)

    assert len(fleet) == 0


def test_names_that_are_none_are_left_out(fleet):
    fleet.joined(ONE, sdk="a\nb", app="x" * 65, revision=1)

    assert (fleet.clients()[0].sdk, fleet.clients()[0].app) == ("", "")


def test_the_sentence_of_nobody():
    delivered = DeliveredRevision(revision=1, since=NOW, delivered=0, of=0, slowest_seconds=None)

    assert delivered.sentence == "no client is connected"
