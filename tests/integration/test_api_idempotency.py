"""A POST that is sent again under the same Idempotency-Key is not carried out again, whatever dies in between."""

from threading import Barrier, Thread

import pytest

from support import control_plane
from wavegate_controller.service import flags, rollouts

TOKENS = {"ada": "ada-s-secret-token", "bob": "bob-s-secret-token"}
FLAG = {"key": "ai-summaries"}


@pytest.fixture
def world(any_database_url):
    with control_plane.world(any_database_url) as world:
        yield world


@pytest.fixture
def api(world):
    return control_plane.client(world.services, **TOKENS)


def headers(key, name="ada"):
    return {"Authorization": f"Bearer {TOKENS[name]}", "Idempotency-Key": key}


def create(api, key="k-1", document=FLAG, name="ada"):
    return api.post("/api/v1/flags", json=document, headers=headers(key, name))


def audit(world):
    with world.services.store.transaction() as work:
        return [entry.note.action for entry in work.audit.after(0, limit=100)]


def die_when_answering(world, monkeypatch, *, after_commit):
    """The process dies in the middle of creating a flag, as far as a test can let it."""
    if after_commit:
        monkeypatch.setattr(type(world.services.sink), "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    else:
        monkeypatch.setattr(flags, "next_revision", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        create(control_plane.client(world.services, **TOKENS))
    monkeypatch.undo()


def test_a_request_that_is_sent_again_gets_the_same_answer_and_does_nothing(api, world):
    first, again = create(api), create(api)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert again.headers["Location"] == first.headers["Location"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert audit(world) == ["flag.create"]


def test_another_request_under_the_same_key_is_refused(api):
    create(api)

    refused = create(api, document={"key": "other"})
    elsewhere = api.post("/api/v1/flags/ai-summaries/disable", json={}, headers=headers("k-1"))

    assert (refused.status_code, elsewhere.status_code) == (422, 422)
    assert refused.json["errors"][0]["field"] == "Idempotency-Key"


def test_another_sender_may_choose_the_same_key(api):
    create(api)

    assert create(api, name="bob", document={"key": "other"}).status_code == 201


def test_a_request_that_was_refused_gives_its_key_back(api):
    refused = api.post("/api/v1/flags/ai-summaries/disable", json={}, headers=headers("k-2"))
    create(api)

    done = api.post("/api/v1/flags/ai-summaries/disable", json={}, headers=headers("k-2"))

    assert (refused.status_code, done.status_code, done.json["enabled"]) == (404, 200, False)


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "k" * 256])
def test_a_key_that_makes_no_sense_is_refused(api, key):
    refused = create(api, key)

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_of_many_at_once_one_is_carried_out(world):
    together, answers = Barrier(5, timeout=60), []

    def ask(client):
        together.wait()
        answers.append(create(client))

    clients = [control_plane.client(world.services, **TOKENS) for _ in range(5)]
    threads = [Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    others = [answer for answer in answers if answer.status_code != 201]
    assert audit(world) == ["flag.create"]
    assert len(others) < 5
    assert all(answer.json["type"] == "urn:wavegate:problem:in-progress" for answer in others)
    assert all(answer.headers["Retry-After"] == "1" for answer in others)


def test_a_request_whose_process_died_before_the_commit_is_carried_out_when_it_is_sent_again(world, api, monkeypatch):
    die_when_answering(world, monkeypatch, after_commit=False)

    at_once = create(api)
    world.clock.advance(seconds=61)
    later = create(api)

    assert (at_once.status_code, at_once.json["type"]) == (409, "urn:wavegate:problem:in-progress")
    assert later.status_code == 201
    assert audit(world) == ["flag.create"]


def test_a_request_whose_process_died_after_the_commit_is_not_carried_out_again(world, api, monkeypatch):
    die_when_answering(world, monkeypatch, after_commit=True)

    world.clock.advance(seconds=61)
    again = create(api)

    assert (again.status_code, again.json["type"]) == (409, "urn:wavegate:problem:conflict")
    assert "was carried out" in again.json["detail"]
    assert audit(world) == ["flag.create"]


def test_whoever_was_taken_for_dead_and_lives_changes_nothing_any_more(world, api, monkeypatch):
    """A slow one holds the claim for longer than anybody waits, and would commit after another has taken over."""
    world.flag()
    world.started()
    act = rollouts.act

    def promote(client):
        comment = {"comment": "reads well"}
        return client.post("/api/v1/rollouts/ai-summaries/promote", json=comment, headers=headers("k-3"))

    def slowly(*arguments, **named):
        monkeypatch.setattr(rollouts, "act", act)
        world.clock.advance(seconds=61)
        assert promote(control_plane.client(world.services, **TOKENS)).json["percent"] == 25
        return act(*arguments, **named)

    monkeypatch.setattr(rollouts, "act", slowly)

    overtaken = promote(api)

    assert (overtaken.status_code, overtaken.json["type"]) == (409, "urn:wavegate:problem:stale-version")
    assert world.rollout().weight == 25_000
    assert audit(world).count("rollout.promote") == 1


def test_a_key_may_be_used_again_after_a_day(api, world):
    create(api)
    world.clock.advance(hours=25)

    again = create(api, document={"key": "other"})

    assert again.status_code == 201
