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


def test_what_was_delivered_to_clients_that_left_is_not_forgotten(fleet, clock):
    join(fleet, ONE)
    join(fleet, TWO)
    clock.now += 1
    fleet.published(2, at=NOW)
    clock.now += 0.2
    acknowledge(fleet, ONE, 2)
    acknowledge(fleet, TWO, 2)
    fleet.left(ONE)
    fleet.left(TWO)
    gone = sentences(fleet)[0]
    join(fleet, ONE, revision=2)

    assert gone == "delivered to 2, since gone, slowest 0.20 s"
    assert sentences(fleet)[0] == "delivered to 1 of 1, slowest 0.20 s"
    assert fleet.revisions()[0].gone == 1


def test_a_client_that_a_relay_told_of_is_gone_when_nobody_speaks_of_it_any_more(fleet, clock):
    join(fleet, RELAY)
    acknowledge(fleet, ONE, 1, by=RELAY)
    clock.now += 61

    assert [client.instance for client in fleet.clients()] == [RELAY]


class Siblings:
    """Processes that tell each other, as often as a test says."""

    def __init__(self, clock, names="ab"):
        self.fleets = {name: Fleet(lambda _: None, clock=clock) for name in names}
        self.clock = clock

    def __getitem__(self, name):
        return self.fleets[name]

    def publish(self, revision):
        for fleet in self.fleets.values():
            fleet.published(revision, at=NOW)

    def talk(self, *, all_of_it=False):
        news = {name: fleet.news(all_of_it=all_of_it) for name, fleet in self.fleets.items()}
        self.clock.now += 0.25
        for name, said in news.items():
            for other, fleet in self.fleets.items():
                if other != name:
                    fleet.told(name, said, seconds_ago=0.25)

    @property
    def sentences(self):
        return {fleet.revisions()[0].sentence for fleet in self.fleets.values()}


@pytest.fixture
def both(clock):
    both = Siblings(clock)
    both.publish(1)
    join(both["a"], ONE)
    join(both["b"], TWO)
    both.talk()
    return both


def test_each_process_knows_the_clients_of_all_and_says_how_many_it_hears_itself(both, clock):
    clock.now += 1
    both.publish(2)
    clock.now += 0.5
    acknowledge(both["a"], ONE, 2, held=0.4)
    acknowledge(both["b"], TWO, 2, held=0.2)
    both.talk()

    assert both.sentences == {"delivered to 2 of 2, slowest 0.30 s"}
    assert [len(fleet) for fleet in both.fleets.values()] == [1, 1]
    assert all(client.streaming for fleet in both.fleets.values() for client in fleet.clients())


def test_what_a_client_says_to_another_process_than_the_one_it_follows_is_known_to_both(both, clock):
    clock.now += 1
    both.publish(2)
    acknowledge(both["b"], ONE, 2)
    acknowledge(both["a"], TWO, 2)
    both.talk(all_of_it=True)
    both.talk(all_of_it=True)

    assert {(one.delivered, one.of) for one in (fleet.revisions()[0] for fleet in both.fleets.values())} == {(2, 2)}


def test_old_news_does_not_undo_what_a_client_said_since(both, clock):
    clock.now += 1
    both.publish(2)
    clock.now += 1
    acknowledge(both["b"], ONE, 2)
    both["b"].told("a", both["a"].news(all_of_it=True), seconds_ago=0.5)

    assert next(one for one in both["b"].clients() if one.instance == ONE).revision == 2


def test_a_client_that_moves_to_another_process_is_one_all_the_while(both):
    join(both["b"], ONE)
    before = [len(fleet.clients()) for fleet in both.fleets.values()]
    both.talk()
    both["a"].left(ONE)
    both.talk()

    assert before == [2, 2]
    assert [len(fleet.clients()) for fleet in both.fleets.values()] == [2, 2]
    both["b"].left(ONE)
    both.talk()
    assert [len(fleet.clients()) for fleet in both.fleets.values()] == [1, 1]


def test_a_client_that_leaves_and_comes_back_between_two_words_stays(both):
    both["a"].left(ONE)
    join(both["a"], ONE)
    both.talk()

    assert [len(fleet.clients()) for fleet in both.fleets.values()] == [2, 2]


def test_a_relay_that_leaves_takes_along_what_it_told_to_other_processes(both):
    join(both["a"], RELAY)
    both.talk()
    acknowledge(both["b"], "3" * 32, 1, by=RELAY)
    both.talk()
    before = [len(fleet.clients()) for fleet in both.fleets.values()]
    both["a"].left(RELAY)
    both.talk()
    both.talk()

    assert before == [4, 4]
    assert [len(fleet.clients()) for fleet in both.fleets.values()] == [2, 2]


def test_the_clients_of_a_process_that_stops_or_falls_silent_are_gone(both, clock):
    both["a"].ended("b")
    stopped = len(both["a"].clients())
    both["b"].told("a", both["a"].news(), seconds_ago=0)
    clock.now += 61

    assert stopped == 1
    assert [client.instance for client in both["b"].clients()] == [TWO]


def test_who_says_everything_says_also_what_is_gone(both):
    both["a"].left(ONE)
    both["a"].news()  # which was lost
    both.talk()
    lost = len(both["b"].clients())
    both.talk(all_of_it=True)

    assert (lost, len(both["b"].clients())) == (2, 1)


def test_where_nobody_wants_to_be_told_nothing_is_kept_for_them(fleet):
    for number in range(100):
        join(fleet, f"{number:032x}")
        fleet.left(f"{number:032x}")

    assert (fleet._changed, fleet._left) == (set(), set())
    assert fleet.revisions()[0].gone == 100
