"""Messages go out through the outbox: none is lost, none tells of what did not happen, each line keeps its order."""

import json
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

from support.mail import mail_server
from support.people import person
from support.waiting import wait_until
from support.world import World
from wavegate_controller.documents import parse
from wavegate_controller.documents.notifications import ChannelDocument
from wavegate_controller.domain.access import Role
from wavegate_controller.domain.audit import AuditFilter
from wavegate_controller.domain.errors import Conflict, Forbidden, Invalid, NotFound
from wavegate_controller.domain.notification import DeliveryState, about_switch
from wavegate_controller.domain.outbound import signature, signing_key
from wavegate_controller.domain.transitions import Event
from wavegate_controller.notify import OutsideMessenger, Sender
from wavegate_controller.service import flags, notifications, rollouts
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.store import SqlStore, open_engine

SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
ADA = person("ada")


class Receiver:
    """Whoever is told: answers as it is told to, and remembers what came."""

    def __init__(self):
        self.answers = []
        self.came = []
        self.over = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append((self.path, dict(self.headers), body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                if answer == "hang":
                    receiver.over.wait(20)
                    return
                self.send_response(answer)
                if 300 <= answer < 400:
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - the name is the server's

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def told(self):
        return [json.loads(body)["data"]["action"] for _, _, body in self.came]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def world(any_database_url, receiver):
    engine = open_engine(any_database_url)
    messenger = OutsideMessenger(
        services=("json",), urls=(f"{receiver.url}/hook",), pages="https://wavegate.example.com", longest=2.0
    )
    yield World.over(SqlStore(engine), messenger=messenger)
    engine.dispose()


def channel(world, receiver, **fields):
    document = {"name": "hook", "type": "webhook", "url": f"{receiver.url}/hook/secret-path"} | fields
    return notifications.add_channel(world.services, parse(ChannelDocument, document), by=ADA)


def send_all(world):
    """Send what is due now, one after the other, as the sender does side by side."""
    sent = []
    while claimed := notifications.claim(world.services, limit=8):
        sent += [notifications.deliver(world.services, where, each) for where, each in claimed]
    return sent


def all_deliveries(world):
    return notifications.deliveries(world.services, limit=100, by=ADA)


def test_a_webhook_is_told_what_happened_why_and_where_to_act_and_it_is_signed(world, receiver):
    world.flag()
    rollout = world.started()
    channel(world, receiver, secret=SECRET)
    rollouts.act(world.services, rollout.id, Event.PAUSE, by=ADA, comment="looks odd")
    (sent,) = send_all(world)

    path, headers, body = receiver.came[0]
    document = json.loads(body)
    assert (sent.state, path) == (DeliveryState.DELIVERED, "/hook/secret-path")
    assert document["type"] == "rollout.pause"
    assert document["data"]["title"] == "ai-summaries (production): paused at 10 %"
    assert document["data"]["text"] == "pause by ada: looks odd"
    assert document["data"]["links"]["roll_back"].startswith("https://wavegate.example.com/flags/ai-summaries/confirm/")
    expected = signature(signing_key("secret", SECRET), headers["webhook-id"], body, now=world.clock.now())
    assert {name: headers[name] for name in expected} == expected
    assert headers["webhook-id"] == sent.message_id


def test_apprise_carries_a_message_to_a_service(world, receiver):
    world.flag()
    host = receiver.url.removeprefix("http://")
    shown = channel(world, receiver, name="chat", type="service", url=f"json://{host}/hook").shown
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA, comment="it lies")
    (sent,) = send_all(world)

    message = json.loads(receiver.came[0][2])
    assert (sent.state, shown) == (DeliveryState.DELIVERED, "json://…")
    assert message["title"] == "ai-summaries (production): stopped: everybody gets 'off'"
    assert "by ada: it lies" in message["message"]
    assert "page: https://wavegate.example.com/flags/ai-summaries?environment=production" in message["message"]
    assert message["type"] == "failure"


def test_nothing_is_told_of_what_was_rolled_back(world, receiver):
    world.flag()
    channel(world, receiver)
    message = message_of(world)
    with pytest.raises(ZeroDivisionError), world.services.store.transaction() as work:  # noqa: PT012 - the case
        notifications.tell(work, message)
        raise ZeroDivisionError

    assert all_deliveries(world) == []


def message_of(world):
    flag = flags.get_flag(world.services, "ai-summaries", by=ADA)
    return about_switch(replace(flag, enabled=False), actor="ada", comment="", now=world.clock.now())


@pytest.mark.parametrize(
    ("answer", "error"),
    [(500, "answers 500"), (404, "answers 404"), (302, "a redirect, which is not followed"), ("hang", "in time")],
)
def test_what_is_not_taken_is_tried_again_later_under_the_same_id(world, receiver, answer, error):
    world.flag()
    channel(world, receiver)
    receiver.answers = [answer]
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    (first,) = send_all(world)
    nothing_due = send_all(world)
    world.clock.advance(seconds=5)
    (second,) = send_all(world)

    assert (first.state, first.attempts) == (DeliveryState.PENDING, 1)
    assert error in first.error or "no answer within" in first.error
    assert "secret-path" not in first.error
    assert timedelta(0) < first.next_attempt_at - first.created_at <= timedelta(seconds=5)
    assert nothing_due == []
    assert (second.state, second.attempts) == (DeliveryState.DELIVERED, 2)
    ids = [headers["webhook-id"] for _, headers, _ in receiver.came]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_service_that_is_not_reached_is_tried_again_and_its_address_is_in_no_error(world, receiver):
    world.flag()
    channel(world, receiver, name="chat", type="service", url="json://user:pass-word@127.0.0.1:1/token-of-mine")
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    (sent,) = send_all(world)

    assert sent.state is DeliveryState.PENDING
    assert sent.error
    assert not [part for part in ("pass-word", "token-of-mine", "127.0.0.1") if part in sent.error]


def test_messages_about_one_flag_keep_their_order_while_others_go_past(world, receiver):
    for key in ("a", "b"):
        world.flag(key)
    channel(world, receiver)
    receiver.answers = [500]
    for enabled in (False, True):
        flags.set_enabled(world.services, "a", enabled=enabled, by=ADA)
    send_all(world)
    flags.set_enabled(world.services, "b", enabled=False, by=ADA)
    send_all(world)
    world.clock.advance(seconds=5)
    send_all(world)

    told = [(json.loads(body)["data"]["flag"], json.loads(body)["data"]["action"]) for _, _, body in receiver.came]
    assert told == [("a", "flag.disable"), ("b", "flag.disable"), ("a", "flag.disable"), ("a", "flag.enable")]


def test_what_fails_too_often_is_given_up_shown_and_can_be_tried_again(world, receiver):
    services = replace(world.services, delivery_attempts=3)
    world.flag()
    channel(world, receiver)
    receiver.answers = [500] * 3
    flags.set_enabled(services, "ai-summaries", enabled=False, by=ADA)
    flags.set_enabled(services, "ai-summaries", enabled=True, by=ADA)
    for _ in range(3):
        for where, each in notifications.claim(services, limit=1):
            dead = notifications.deliver(services, where, each)
        world.clock.advance(minutes=10)

    assert (dead.state, dead.attempts, dead.error.endswith("answers 500")) == (DeliveryState.DEAD, 3, True)
    assert notifications.backlog(services).dead == 1
    assert [each.state for each in send_all(world)] == [DeliveryState.DELIVERED]
    again = notifications.retry_delivery(services, dead.id, by=ADA)
    assert (again.state, again.attempts) == (DeliveryState.PENDING, 0)
    assert [each.id for each in send_all(world)] == [dead.id]
    with pytest.raises(Conflict, match="only a dead one"):
        notifications.retry_delivery(services, dead.id, by=ADA)


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(world, receiver):
    world.flag()
    channel(world, receiver)
    receiver.answers = [410]
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)

    assert [each.state for each in send_all(world)] == [DeliveryState.DEAD]


def test_a_claim_that_expires_is_taken_over_and_who_was_too_slow_settles_nothing(world, receiver):
    world.flag()
    channel(world, receiver)
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    ((where, slow),) = notifications.claim(world.services, limit=8)
    meanwhile = notifications.claim(world.services, limit=8)
    world.clock.advance(seconds=61)
    ((_, taken_over),) = notifications.claim(world.services, limit=8)
    notifications.deliver(world.services, where, slow)
    (kept,) = all_deliveries(world)

    assert meanwhile == []
    assert (taken_over.id, taken_over.attempts) == (slow.id, 2)
    assert kept.state is DeliveryState.PENDING
    assert notifications.deliver(world.services, where, taken_over).state is DeliveryState.DELIVERED


def test_several_senders_deliver_each_message_once(world, receiver):
    channel(world, receiver)
    for number in range(12):
        world.flag(f"flag-{number}")
        flags.set_enabled(world.services, f"flag-{number}", enabled=False, by=ADA)
    senders = [Sender(world.services, every=0.05) for _ in range(3)]
    for sender in senders:
        sender.start()
    try:
        wait_until(lambda: all(each.state is DeliveryState.DELIVERED for each in all_deliveries(world)))
    finally:
        for sender in senders:
            sender.close()

    assert len({headers["webhook-id"] for _, headers, _ in receiver.came}) == len(receiver.came) == 12


def test_a_channel_that_hangs_keeps_no_other_waiting(world, receiver):
    world.flag()
    channel(world, receiver, name="slow", url=f"{receiver.url}/hook/slow")
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    receiver.answers = ["hang"]
    with sending(world):
        wait_until(lambda: receiver.came)
        begun = monotonic()
        channel(world, receiver, name="quick", url=f"{receiver.url}/hook/quick")
        flags.set_enabled(world.services, "ai-summaries", enabled=True, by=ADA)
        wait_until(lambda: any(path == "/hook/quick" for path, _, _ in receiver.came))
        receiver.over.set()

    assert monotonic() - begun < 30


@contextmanager
def sending(world):
    sender = Sender(world.services, every=0.05)
    sender.start()
    try:
        yield
    finally:
        sender.close()


def test_a_removed_channel_gets_nothing_more(world, receiver):
    world.flag()
    channel(world, receiver)
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    notifications.remove_channel(world.services, "hook", by=ADA)
    flags.set_enabled(world.services, "ai-summaries", enabled=True, by=ADA)

    (given_up,) = all_deliveries(world)
    assert (given_up.state, given_up.error) == (DeliveryState.DEAD, "the channel was removed")
    assert send_all(world) == []
    with pytest.raises(NotFound):
        notifications.retry_delivery(world.services, given_up.id, by=ADA)


def test_what_was_delivered_long_ago_is_forgotten(world, receiver):
    world.flag()
    channel(world, receiver)
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    send_all(world)
    world.clock.advance(days=29)
    notifications.tidy(world.services)
    kept = len(all_deliveries(world))
    world.clock.advance(days=2)
    notifications.tidy(world.services)

    assert (kept, len(all_deliveries(world))) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "http://127.0.0.1:1/hook"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"secret": "easy"}, "secret"),
        ({"type": "service", "url": "syslog://"}, "url"),
        ({"type": "service", "url": "slack://a/b"}, "url"),
        ({"type": "service", "url": "json://"}, "url"),
        ({"type": "service", "url": "json://localhost", "secret": SECRET}, "secret"),
        ({"name": "A b"}, "name"),
    ],
)
def test_an_address_that_may_not_be_reached_or_cannot_work_is_refused_by_name(world, receiver, fields, field):
    with pytest.raises(Invalid) as refused:
        channel(world, receiver, **fields)

    assert refused.value.field == field


def test_who_may_not_administer_adds_no_channel(world, receiver):
    document = parse(ChannelDocument, {"name": "hook", "type": "webhook", "url": f"{receiver.url}/hook"})
    for role in ("viewer", "engineer", "approver"):
        with pytest.raises(Forbidden):
            notifications.add_channel(world.services, document, by=person("eve", role=Role(role)))


def test_a_channel_s_secrets_are_in_no_audit_and_no_log(world, receiver, caplog):
    channel(world, receiver, secret=SECRET)
    with world.services.store.transaction() as work:
        (entry,) = work.audit.list(AuditFilter(action="channel"), limit=5)

    assert (entry.note.action, entry.note.after["address"]) == ("channel.create", f"{receiver.url}/…")
    for secret in (SECRET, "secret-path"):
        assert secret not in repr(entry)
        assert secret not in caplog.text


_SENDS_AND_DIES = """
import os, sys
from support.world import World
from wavegate_controller.notify import OutsideMessenger
from wavegate_controller.service import notifications
from wavegate_controller.store import SqlStore, open_engine

class Dies(OutsideMessenger):
    def send(self, channel, delivery, *, now):
        super().send(channel, delivery, now=now)
        os.kill(os.getpid(), 9)

world = World.over(SqlStore(open_engine(sys.argv[1])), messenger=Dies(urls=[sys.argv[2]]))
for channel, delivery in notifications.claim(world.services, limit=8):
    notifications.deliver(world.services, channel, delivery)
"""


def test_a_process_that_is_killed_between_sending_and_settling_leaves_it_to_be_sent_again(
    world, receiver, any_database_url
):
    world.flag()
    channel(world, receiver)
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)
    killed = subprocess.run(
        [sys.executable, "-c", _SENDS_AND_DIES, any_database_url, f"{receiver.url}/hook"],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path.endswith("tests"))},
        check=False,
    )
    world.clock.advance(seconds=61)
    (again,) = send_all(world)

    assert killed.returncode == -signal.SIGKILL
    assert (again.state, again.attempts) == (DeliveryState.DELIVERED, 2)
    assert receiver.told == ["flag.disable"] * 2
    assert len({headers["webhook-id"] for _, headers, _ in receiver.came}) == 1


def test_mail_arrives_and_a_server_that_has_no_time_is_asked_again(new_sqlite_url):
    engine = open_engine(new_sqlite_url)
    world = World.over(SqlStore(engine), messenger=OutsideMessenger(services=("mailto",), longest=10.0))
    world.flag()
    with mail_server() as server:
        port = server.server_address[1]
        url = f"mailto://127.0.0.1:{port}?from=wavegate@example.com&to=team@example.com&mode=insecure"
        document = {"name": "mail", "url": url}
        notifications.add_channel(world.services, parse(ChannelDocument, document), by=ADA)
        flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA, comment="it lies")
        server.refuses = True
        (refused,) = send_all(world)
        server.refuses = False
        world.clock.advance(seconds=5)
        (sent,) = send_all(world)
    engine.dispose()

    assert (refused.state, sent.state) == (DeliveryState.PENDING, DeliveryState.DELIVERED), sent.error
    (mail,) = server.mails
    assert mail["To"] == "team@example.com"
    assert "ai-summaries (production): stopped" in mail["Subject"]
    assert "by ada: it lies" in mail.as_string()


def test_what_waits_and_how_long_the_audit_is_are_metrics(world, receiver):
    world.flag()
    channel(world, receiver)
    receiver.answers = [500] * 3
    flags.set_enabled(world.services, "ai-summaries", enabled=False, by=ADA)

    def exposed():
        return world.services.recorder.exposition().decode().splitlines()

    with sending(world):
        wait_until(lambda: 'wavegate_controller_deliveries_total{channel="hook",outcome="failed"} 1.0' in exposed())
    world.clock.advance(seconds=60)
    sender = Sender(world.services)
    sender.look()

    assert {"wavegate_controller_outbox_pending 1.0", "wavegate_controller_outbox_dead 0.0"} <= set(exposed())
    assert "wavegate_controller_outbox_age_seconds 60.0" in exposed()
    assert "wavegate_controller_audit_entries 3.0" in exposed()


def test_who_asks_for_it_hears_once_that_a_rollout_can_no_longer_be_measured(world, receiver):
    world.flag()
    world.started(gates=[{"type": "threshold", "name": "p95", "query": "up", "operator": "<", "limit": 0.5}])
    channel(world, receiver, name="all")
    channel(world, receiver, name="holds", actions=["rollout.hold"])

    def look(*, away):
        world.metrics.away = away
        world.clock.advance(seconds=15)
        return reconcile(world.services, "ai-summaries:1").reason

    reasons = [look(away=away) for away in (False, True, True, False, True)]

    told = [(each.channel, each.message.action) for each in all_deliveries(world)]
    assert reasons.count("cannot_measure") == 3
    assert told == [("holds", "rollout.hold")] * 2
    assert "cannot be measured, holds at 10 %" in all_deliveries(world)[0].message.title
