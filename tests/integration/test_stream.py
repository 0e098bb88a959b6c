"""The stream over real sockets: what a client is sent, when it is cut off, and what others suffer from it."""

import gzip
import json
import socket

import pytest
import requests
import zstandard

from support.data_plane import KEY, DataPlane, following, published
from support.schemas import DELTA
from support.waiting import wait_until

STAGING = "wg_sdk_staging_0123456789abcdef"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def plane():
    with DataPlane() as plane:
        plane.publish(1)
        yield plane


def test_who_connects_is_given_the_whole_ruleset_and_then_what_changes(plane):
    with following(plane) as follower:
        follower.until(1)
        for revision in (2, 3):
            plane.publish(revision, on=revision == 2)
            follower.until(revision)

        assert follower.body == published(3, on=False).body
        assert [event for event in follower.events if event != "comment"] == ["ruleset", "delta", "delta"]
        assert follower.headers["content-type"] == "text/event-stream"
        assert follower.headers["x-accel-buffering"] == "no"


def test_what_is_streamed_is_what_the_published_schema_says(plane):
    with following(plane) as follower:
        follower.until(1)
        plane.publish(2, on=False)
        while (event := follower.next())[0] != "delta":
            pass

        DELTA.validate(json.loads(event[1]))


def test_who_comes_back_gets_the_deltas_since_or_nothing(plane):
    with following(plane) as before:
        before.until(1)
        held, body = before.id, before.body
    plane.publish(2, on=False)
    plane.publish(3)

    with following(plane, held=held) as again:
        again.body = body
        again.until(3)
        assert [event for event in again.events if event != "comment"] == ["delta", "delta"]
        now = again.id
    with following(plane, held=now) as third:
        assert third.next() == ("comment", "")
        plane.publish(4, on=False)
        third.body = again.body
        third.until(4)
        assert [event for event in third.events if event != "comment"] == ["delta"]


@pytest.mark.parametrize("held", ["9-0123456789abcdef", "1-0123456789abcdef", "nonsense", "1"])
def test_who_holds_what_nobody_knows_is_given_the_whole_ruleset(plane, held):
    with following(plane, held=held) as follower:
        follower.until(1)

        assert "ruleset" in follower.events


def test_a_delta_that_is_larger_than_the_ruleset_is_not_sent(plane):
    flags = {f"flag-{number}": {"variants": {"on": "x" * 100}, "default_variant": "on"} for number in range(50)}
    with following(plane) as follower:
        follower.until(1)
        plane.publish(2, flags=flags)
        follower.until(2)
        plane.publish(3, flags={})
        follower.until(3)

        assert [event for event in follower.events if event != "comment"] == ["ruleset", "ruleset", "delta"]


def test_each_key_follows_its_own_environment(plane):
    plane.allow({KEY: "production", STAGING: "staging"})
    plane.publish(7, environment="staging")

    with following(plane) as one, following(plane, key=STAGING) as other:
        one.until(1)
        other.until(7)
        plane.publish(8, environment="staging", on=False)
        other.until(8)
        plane.publish(2, on=False)
        one.until(2)

        assert json.loads(other.body)["environment"] == "staging"
        assert json.loads(one.body)["environment"] == "production"


def test_a_revoked_key_ends_its_streams_and_no_others(plane):
    plane.allow({KEY: "production", STAGING: "production"})
    with following(plane) as kept, following(plane, key=STAGING) as revoked:
        kept.until(1)
        revoked.until(1)

        plane.allow({KEY: "production"})

        assert revoked.read_to_end()
        plane.publish(2)
        kept.until(2)
    with following(plane, key=STAGING) as refused:
        assert refused.status == 401


def test_no_key_and_a_wrong_key_are_refused(plane):
    for key in ("", "another key, as long and as random"):
        with following(plane, key=key) as refused:
            assert refused.status == 401
            assert refused.headers["www-authenticate"] == "bearer"


def test_a_shutdown_ends_all_streams_and_says_when_to_come_back():
    plane = DataPlane()
    plane.publish(1)
    with following(plane) as follower:
        follower.until(1)
        plane.close()

        assert follower.read_to_end()


@pytest.mark.parametrize(("coding", "decode"), [("gzip", gzip.decompress), ("zstd", zstandard.decompress), ("", bytes)])
def test_the_ruleset_comes_in_the_coding_that_is_asked_for(plane, coding, decode):
    flags = {f"flag-{number}": {"variants": {"on": True}, "default_variant": "on"} for number in range(50)}
    ruleset = plane.publish(2, flags=flags)

    first = _get(plane, **{"Accept-Encoding": coding or "identity"})
    second = _get(plane, **{"Accept-Encoding": coding or "identity", "If-None-Match": first.headers["ETag"]})

    assert first.headers.get("Content-Encoding", "") == coding
    assert decode(first.raw.read(decode_content=False)) == ruleset.body
    assert int(first.headers["Content-Length"]) <= len(ruleset.body)
    assert "accept-encoding" in first.headers["Vary"]
    assert second.status_code == 304


def test_a_coding_that_is_refused_is_not_used(plane):
    plane.publish(2, flags={f"flag-{n}": {"variants": {"on": True}, "default_variant": "on"} for n in range(50)})

    response = _get(plane, **{"Accept-Encoding": "zstd;q=0, gzip; q=0, identity"})

    assert "Content-Encoding" not in response.headers


def test_a_ruleset_in_one_coding_is_not_changed_for_who_has_it_in_another(plane):
    plane.publish(2, flags={f"flag-{n}": {"variants": {"on": True}, "default_variant": "on"} for n in range(50)})
    tags = {coding: _get(plane, **{"Accept-Encoding": coding}).headers["ETag"] for coding in ("gzip", "identity")}

    assert len(set(tags.values())) == 2
    assert {_get(plane, **{"If-None-Match": tag}).status_code for tag in tags.values()} == {304}


def test_streams_beyond_the_limits_are_told_to_poll():
    from wavegate_controller.delivery import Limits

    with DataPlane(
        limits=Limits(streams=3, streams_of_a_key=2), keys={KEY: "production", STAGING: "production"}
    ) as plane:
        plane.publish(1)
        with following(plane) as one, following(plane) as two, following(plane) as of_the_key:
            assert [one.status, two.status, of_the_key.status] == [200, 200, 429]
            assert int(of_the_key.headers["retry-after"]) >= 1
            with following(plane, key=STAGING) as three, following(plane, key=STAGING) as in_all:
                assert [three.status, in_all.status] == [200, 429]
        wait_until(lambda: plane.streams() == 0)
        with following(plane) as later:
            assert later.status == 200


def test_a_client_that_stops_reading_delays_nobody_and_is_brought_up_to_date_when_it_reads_again(plane):
    """Its buffers hold a bounded part of what it missed; then it gets what leads to the newest revision."""
    with following(plane, receive_buffer=4096) as stalled, following(plane) as good:
        good.until(1)
        for revision in range(2, 400):
            plane.publish(revision, variants={"on": True, "off": "x" * 20_000 + str(revision)})
            good.until(revision)

        stalled.until(399)

        assert stalled.body == good.body
        missed = 398 - stalled.events.count("delta") - stalled.events.count("ruleset")
        assert missed > 100


def test_a_client_that_takes_nothing_is_cut_off_and_holds_a_bounded_part_of_the_memory(plane, monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.channel._PATIENCE", 0.5)
    with following(plane, receive_buffer=4096), following(plane) as good:
        good.until(1)
        wait_until(lambda: plane.streams() == 2)
        held = 0
        for revision in range(2, 10_000):
            if plane.streams() == 1:
                break
            plane.publish(revision, variants={"on": True, "off": "x" * 20_000 + str(revision)})
            good.until(revision)
            held = max([held, *(each.transport.get_write_buffer_size() for each in plane.followers())])

        assert plane.streams() == 1
        assert 20_000 < held < 200_000
        plane.publish(revision)
        good.until(revision)


def test_a_client_that_does_not_take_an_answer_is_dropped(plane):
    plane.publish(2, variants={"on": True, "off": "x" * 10_000_000})
    plane.keep_alive(0.1)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", plane.port))
        slow.sendall(f"GET /sdk/v1/ruleset HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        begun = slow.recv(1)
        wait_until(lambda: plane.connections() == 0, timeout=20)

        assert begun
        assert len(_read_all(slow)) < 10_000_000


def test_a_revision_does_not_wait_until_all_were_asked_whether_they_have_the_one_before(plane, monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.channel._ASKED_PER_SECOND", 0.001)
    with following(plane, Wavegate_Instance="0" * 32) as follower:
        follower.until(1)
        plane.publish(2)
        while "acknowledge" not in follower.events:
            follower.next()
        plane.publish(3)

        follower.until(3)


def test_headers_that_never_end_are_given_up(plane, monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.protocol.HEADER_SECONDS", 0.2)
    for beginning in (b"", b"GET /sdk/v1/ruleset HTTP/1.1\r\nHost: here\r\nX-Slow: "):
        with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as slow:
            slow.sendall(beginning)

            assert _read_all(slow) == b""


def test_headers_beyond_all_measure_are_refused(plane):
    with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as huge:
        huge.sendall(b"GET /sdk/v1/ruleset HTTP/1.1\r\nHost: here\r\nX-Huge: " + b"x" * 500_000)

        assert _read_all(huge)[:12] == b"HTTP/1.1 431"


def test_a_body_that_never_ends_is_given_up(plane, monkeypatch):
    monkeypatch.setattr("wavegate_controller.delivery.asgi._SLOWEST_BODY", 0.2)
    head = f"POST /sdk/v1/counts HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", plane.port), timeout=10) as slow:
        slow.sendall(head.encode() + b"{")

        assert _read_all(slow)[:12] == b"HTTP/1.1 408"


def test_a_stream_shows_signs_of_life():
    with DataPlane(heartbeat=0.1) as plane:
        plane.publish(1)
        with following(plane) as follower:
            follower.until(1)

            assert follower.headers["wavegate-heartbeat"] == "0.1"
            assert [follower.next()[0] for _ in range(3)] == ["comment"] * 3


def _get(plane, **headers):
    return requests.get(f"{plane.url}/sdk/v1/ruleset", headers=AUTHORISED | headers, timeout=10, stream=True)


def _read_all(connection):
    received = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return received
        if not more:
            return received
        received += more
