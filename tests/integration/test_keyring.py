"""SDK keys on their way to the data plane, and their use on its way back."""

from datetime import timedelta

import pytest

from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.delivery import Grant, Keys
from wavegate_controller.domain.credential import Kind
from wavegate_controller.keyring import Keyring
from wavegate_controller.service.credentials import create_key, list_keys, revoke, rotate
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore


@pytest.fixture
def world(new_sqlite_url):
    with database(new_sqlite_url) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        yield world


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def keyring(world, keys):
    def show(good):
        keys.replace({key: Grant(key_id=each.id, environment=each.environment) for key, each in good.items()})

    keyring = Keyring(world.services, show, keys.used)
    keyring.start()
    yield keyring
    keyring.close()


def opens(keys, made):
    return keys.grant(f"Bearer {made.secret}".encode())


def test_a_key_opens_its_environment_from_the_commit_on_until_it_is_revoked(world, keys, keyring):
    gone = []
    keys.listen(gone.append)
    made = create_key(world.services, "shop", by=person())

    assert opens(keys, made) == Grant(key_id=made.credential.id, environment="production")
    revoke(world.services, Kind.SDK_KEY, made.credential.id, by=person())

    assert opens(keys, made) is None
    assert gone == [frozenset({made.credential.id})]


def test_a_key_that_ran_out_opens_nothing_at_the_next_look(world, keys, keyring):
    old = create_key(world.services, "shop", expires_in=timedelta(days=10), by=person())
    new = rotate(world.services, Kind.SDK_KEY, old.credential.id, overlap=timedelta(hours=1), by=person())

    assert opens(keys, old)
    assert opens(keys, new)
    world.clock.advance(hours=1)
    keyring.refresh()
    assert opens(keys, old) is None
    assert opens(keys, new)
    world.clock.advance(days=10)
    keyring.refresh()
    assert opens(keys, new) is None


def test_the_use_of_a_key_is_written_down_and_of_another_not(world, keys, keyring):
    used, idle = (create_key(world.services, name, by=person()) for name in ("used", "idle"))
    opens(keys, used)
    world.clock.advance(minutes=1)
    keyring.note_use()

    last_used = {each.name: each.last_used_at for each in list_keys(world.services, by=person())}

    assert last_used == {"used": world.clock.now(), "idle": None}
    assert idle
