"""What is written to a stream past ASGI, and what is not."""

import asyncio

import pytest

from support.data_plane import published
from wavegate_controller.delivery import Grant
from wavegate_controller.delivery.channel import Channel, Stream

SIGN = b"sign"


class Connection:
    """A transport that keeps what it is given."""

    def __init__(self, *, held=0, is_closed=False):
        self.held = held
        self.is_closed = is_closed
        self.written = []

    def write(self, data):
        if self.is_closed:
            raise RuntimeError("the handler is closed")
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.held


async def _following(connection, sent):
    async def send(message):
        sent.append(message["body"])

    channel = Channel("production")
    channel.publish(published(1), lambda: None)
    grant = Grant(key_id="1", environment="production")
    stream = Stream(send, transport=connection, grant=grant, held="", instance="")
    channel.enter(stream)
    await channel.catch_up(stream)
    return channel, stream


def test_a_stream_that_is_up_to_date_is_shown_signs_of_life_and_while_a_revision_is_pushed_none():
    async def story():
        channel, stream = await _following(connection, [])
        channel.beat(stream, SIGN)
        channel.publish(published(2), lambda: None)
        channel.beat(stream, SIGN)

    connection = Connection()
    asyncio.run(story())

    assert connection.written == [SIGN]


@pytest.mark.parametrize("connection", [Connection(held=100_000), Connection(is_closed=True)])
def test_a_connection_that_takes_nothing_more_is_left_to_a_task_of_its_own(connection):
    async def story():
        channel, stream = await _following(connection, sent)
        del sent[:]
        channel.beat(stream, SIGN)
        channel.publish(published(2), lambda: None)
        for _ in range(10):
            await asyncio.sleep(0)
        assert stream.held == channel.current.id

    sent = []
    asyncio.run(story())

    assert not connection.written
    assert sent[0] == b": behind\n\n"
    assert b"event: delta" in sent[1]
