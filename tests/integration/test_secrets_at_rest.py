"""What the database holds of the secrets of channels: nothing that can be read without a key that stands elsewhere."""

from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from support.people import person
from support.world import World
from wavegate_controller.documents import parse
from wavegate_controller.documents.notifications import ChannelDocument
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.notify import OutsideMessenger
from wavegate_controller.service import notifications
from wavegate_controller.store import SqlStore, open_engine, tables
from wavegate_controller.store.backup import backup
from wavegate_controller.store.sealing import Vault, new_key, vault_of

ADA = person("ada")
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
URL = "https://hooks.example.com/T0PS3CRET"
CHANNEL = {"name": "ops", "type": "webhook", "url": URL, "secret": SECRET}


@contextmanager
def store(url, *keys):
    engine = open_engine(url)
    with closing(SqlStore(engine, encryption_keys=keys).notices):
        yield SqlStore(engine, encryption_keys=keys)
    engine.dispose()


def add(store, **fields):
    messenger = OutsideMessenger(urls=["https://hooks.example.com"])
    services = World.over(store, messenger=messenger).services
    notifications.add_channel(services, parse(ChannelDocument, CHANNEL | fields), by=ADA)


def channels(store):
    with store.transaction() as work:
        return work.channels.list()


def kept(store):
    with store._engine.connect() as connection:
        return list(connection.execute(select(tables.channel.c.url, tables.channel.c.secret)).one())


def test_neither_address_nor_secret_stands_in_the_database(database_url):
    key = new_key()
    with store(database_url, key) as here:
        add(here)
        written = kept(here)
    with store(database_url, key) as later:
        (channel,) = channels(later)

    assert all(each.startswith("sealed:1:") for each in written)
    assert (channel.url, channel.secret, channel.unreadable) == (URL, SECRET, "")


def test_on_sqlite_the_key_is_a_file_beside_the_database_for_its_owner_and_in_no_backup(new_sqlite_url, tmp_path):
    with store(new_sqlite_url) as here:
        path = Path(f"{here._engine.url.database}.key")
        before = path.exists()
        add(here)
        backup(here._engine, tmp_path / "backup")
        (channel,) = channels(here)

    assert (before, path.stat().st_mode & 0o777, channel.url) == (False, 0o600, URL)
    copied = (tmp_path / "backup").read_bytes()
    assert b"hooks.example.com" in copied  # the part that is shown
    assert not any(each in copied for each in (b"T0PS3CRET", SECRET.encode(), path.read_bytes().strip()))


def test_on_postgres_a_channel_is_refused_until_there_is_a_key(postgres_url):
    with store(postgres_url) as here, pytest.raises(Invalid, match=r"encryption_keys.*new-key"):
        here.vault.seal(URL)


def test_a_new_key_takes_the_place_of_the_old_one(database_url, caplog):
    old, new = new_key(), new_key()
    caplog.set_level("INFO", "wavegate")
    with store(database_url, old) as here:
        add(here)
    with store(database_url, new, old) as here:
        here.seal()
        first = kept(here)
        here.seal()
        second = kept(here)
    with store(database_url, new) as here:
        (channel,) = channels(here)

    assert channel.url == URL
    assert first == second  # nothing to do
    assert [each.getMessage() for each in caplog.records if "sealed" in each.getMessage()] == [
        "action=secrets_sealed channels=1"
    ]


def test_what_stands_in_the_clear_is_sealed_when_a_process_starts(database_url):
    with store(database_url, new_key()) as here:
        add(here)
        with here._engine.begin() as connection:
            connection.execute(tables.channel.update().values(url=URL, secret=None))
        readable = channels(here)[0].url
        here.seal()

        assert readable == channels(here)[0].url == URL
        assert kept(here)[0].startswith("sealed:1:")


def test_without_the_key_a_channel_is_there_with_what_to_do_and_nothing_is_sent(database_url, caplog):
    with store(database_url, new_key()) as here:
        add(here)
    with store(database_url, new_key()) as other:
        other.seal()
        world = World.over(other, messenger=OutsideMessenger(urls=["https://hooks.example.com"]))
        (channel,) = channels(other)
        document = notifications.list_channels(world.services, by=ADA)
        delivery = notifications.send_test(world.services, "ops", by=ADA)
        failure = world.services.messenger.send(channel, delivery, now=world.clock.now())

    assert "add the key to encryption_keys" in channel.unreadable
    assert (channel.url, len(document)) == ("", 1)
    assert (failure.detail, failure.is_final) == (channel.unreadable, False)
    assert "action=channel_unreadable channel=ops" in caplog.text


@pytest.mark.parametrize("wrong", ["", "short", "ö" * 44, "!" * 44])
def test_what_is_no_key_is_refused_without_being_shown(wrong):
    with pytest.raises(Invalid, match=r"encryption_keys\[1\]: is no key") as refusal:
        Vault([new_key(), wrong])

    assert not wrong or wrong not in str(refusal.value)


def test_a_key_file_that_cannot_be_read_is_said(tmp_path, new_sqlite_url):
    engine = open_engine(new_sqlite_url)
    Path(f"{engine.url.database}.key").mkdir()

    with pytest.raises(Invalid, match="cannot be used"):
        vault_of(engine).seal("secret")
    engine.dispose()
