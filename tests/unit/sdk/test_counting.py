"""Who is counted where: exposed users, people who were picked, feedback."""

import hmac
import json

import pytest
from prometheus_client import CollectorRegistry

from wavegate import Client
from wavegate.client.counters import Users
from wavegate.client.metrics import counters_in
from wavegate.client.snapshot import Snapshot
from wavegate.evaluation import ruleset_from_json

ROLLOUT = {"stable": "off", "candidate": "on", "weight": 50_000}


def document(revision=1, **fields):
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off", "rollout": ROLLOUT} | fields
    return {"schema": 1, "environment": "production", "revision": revision, "flags": {"ai-summaries": flag}}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def make_client(registry):
    return lambda **fields: Client.offline(document(**fields), registry=registry)


def sample(registry, name, **labels):
    return registry.get_sample_value(name, {"flag": "ai-summaries"} | labels)


def exposed(registry):
    return tuple(sample(registry, "wavegate_exposed_users_total", variant=variant) for variant in ("on", "off"))


def visit(client, user, times=1, **attributes):
    for _ in range(times):
        with client.trial("ai-summaries", user, **attributes) as trial:
            pass
    return trial.variant


def test_a_user_is_exposed_once_however_many_requests_they_make(make_client, registry):
    client = make_client()
    variants = [visit(client, f"user-{number}", times=3) for number in range(1000)]

    # Users with the same 20 bits of hash would count as one; among 1,000 that is one pair every other time.
    assert sum(exposed(registry)) == pytest.approx(1000, abs=4)
    assert exposed(registry)[0] == pytest.approx(variants.count("on"), abs=4)


def test_being_asked_about_is_not_being_exposed(make_client, registry):
    client = make_client()
    client.is_enabled("ai-summaries", "user-1")
    client.trial("ai-summaries", "user-1")

    assert exposed(registry) == (0, 0)


def test_in_the_next_wave_everybody_counts_again(make_client, registry):
    client = make_client()
    visit(client, "user-1")
    same = document(2, variants={"on": True, "off": False, "other": None})
    client._offer(ruleset_from_json(same), False)
    visit(client, "user-1")
    before = exposed(registry)

    client._offer(ruleset_from_json(document(3, rollout=ROLLOUT | {"weight": 60_000})), False)
    visit(client, "user-1", times=2)

    assert before == (1, 0)
    assert exposed(registry) == (2, 0)


def test_users_of_a_flag_that_is_split_by_company_are_companies(make_client, registry):
    client = make_client(bucket_by="company")

    for user in range(100):
        visit(client, f"user-{user}", company="acme")

    assert sum(exposed(registry)) == 1


def test_who_has_no_key_is_not_exposed(make_client, registry):
    client = make_client(rollout=ROLLOUT | {"weight": 100_000})
    visit(client, None)

    assert sum(exposed(registry)) == 0


def test_memory_for_users_is_bounded_and_both_arms_miss_the_same_share():
    users, on, off = Users(), [0], [0]
    users.begin("wave")

    for number in range(200_000):
        users.see(hash(f"user-{number}"), on if number % 4 == 0 else off)

    assert len(users._bits) == 128 << 10
    assert on[0] + off[0] == pytest.approx(200_000 - 200_000**2 / 2**21, rel=0.01)
    assert on[0] / (on[0] + off[0]) == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"allow": {"on": ["user-1"]}},
        {"deny": ["user-1"]},
        {"pilot": {"keys": ["user-1"]}},
        {"rules": [{"if": {"attribute": "country", "operator": "equals", "value": "DE"}, "serve": "on"}]},
    ],
    ids=["allow", "deny", "pilot", "rule"],
)
def test_who_was_picked_is_counted_apart_from_who_was_drawn(make_client, registry, fields):
    client = make_client(**fields)
    variant = visit(client, "user-1", country="DE")

    assert sample(registry, "wavegate_requests_total", variant=variant, cohort="targeted") == 1
    assert sample(registry, "wavegate_requests_total", variant=variant, cohort="15") == 0
    assert exposed(registry) == (0, 0)


def test_who_is_held_out_was_drawn_like_everybody_else(make_client, registry):
    client = make_client(rollout=ROLLOUT | {"holdout": {"weight": 100_000}})
    visit(client, "user-1")

    assert exposed(registry) == (0, 1)
    assert sample(registry, "wavegate_requests_total", variant="off", cohort="15") == 1


def test_feedback_counts_for_the_variant_that_the_person_has(make_client, registry):
    client = make_client()
    for thumbs_up in (True, False, False):
        client.feedback("ai-summaries", "user-1", thumbs_up=thumbs_up)
    client.feedback("ai-summaries", "user-2", thumbs_up=True, comment="never in a metric")

    assert sample(registry, "wavegate_bad_total", variant="on", cohort="15", kind="thumbs_down") == 2
    assert sample(registry, "wavegate_value_total", variant="on", cohort="15", kind="thumbs_up") == 1
    assert sample(registry, "wavegate_value_total", variant="off", cohort="1", kind="thumbs_up") == 1
    assert sample(registry, "wavegate_requests_total", variant="on", cohort="15") == 0


@pytest.mark.parametrize("key", [None, "", "\ud800", 42, [], object()])
@pytest.mark.parametrize("flag_key", ["ai-summaries", "no-such-flag", None, []])
def test_feedback_never_raises(make_client, flag_key, key):
    make_client().feedback(flag_key, key, thumbs_up=False, comment=key)


def test_asking_counts_no_evaluation_twice_when_feedback_is_given(make_client, registry):
    client = make_client()
    client.feedback("ai-summaries", "user-1", thumbs_up=True)

    assert sample(registry, "wavegate_evaluations_total", variant="on", reason="SPLIT") == 0


def test_a_ruleset_of_many_flags_shows_no_outcomes_of_those_without_a_rollout(registry):
    flags = {
        f"flag-{number}": {"variants": {"on": True, "off": False}, "default_variant": "on"} for number in range(200)
    }
    text = json.dumps({"schema": 1, "environment": "production", "revision": 1, "flags": flags})
    Client.offline(text, registry=registry)

    client = Client.offline(text, registry=registry)
    client.is_enabled("flag-1", "user-1")
    names = [sample.name for family in registry.collect() for sample in family.samples]

    assert names.count("wavegate_evaluations_total") == 200 * 2 + 1
    assert names.count("wavegate_requests_total") == 0


PEOPLE = {"keys": ["ann", "bob", "cleo"], "opted_out": ["cleo"], "usage_key": "random"}
NOBODY_YET = ROLLOUT | {"weight": 0}


def people(registry):
    """Requests by person, as anybody reads them who may see the metrics."""
    return {
        (each.labels["variant"], each.labels["person"]): each.value
        for metric in registry.collect()
        for each in metric.samples
        if each.name == "wavegate_pilot_requests_total"
    }


def test_a_pilots_people_are_counted_each_by_a_hash_that_names_nobody(make_client, registry):
    client = make_client(rollout=NOBODY_YET, pilot=PEOPLE)
    before = people(registry)
    visit(client, "ann", times=3)
    visit(client, "zoe")

    after = people(registry)

    ann, bob = (hmac.digest(b"random", name, "sha256").hex()[:16] for name in (b"ann", b"bob"))
    assert set(before.values()) == {0}
    assert (after["on", ann], after["on", bob]) == (3, 0)
    assert sum(after.values()) == 3
    assert {person for _, person in after} == {ann, bob}


@pytest.mark.parametrize(
    "pilot", [{"keys": ["ann"]}, {"if": {"attribute": "a", "operator": "exists"}, "usage_key": "k"}]
)
def test_nobody_is_counted_by_person_without_a_key_or_without_names(make_client, registry, pilot):
    visit(make_client(rollout=NOBODY_YET, pilot=pilot), "ann", a="1")

    assert people(registry) == {}


def test_who_leaves_a_pilot_and_a_pilot_that_ends_are_counted_no_longer(registry):
    counters = counters_in(registry)
    for names in ({"keys": ["ann", "bob"]}, {"keys": ["ann", "bob"], "opted_out": ["bob"]}):
        ruleset = ruleset_from_json(json.dumps(document(rollout=NOBODY_YET, pilot=names | {"usage_key": "random"})))
        Snapshot(ruleset, counters).complete()
    staying = people(registry)
    Snapshot(ruleset_from_json(json.dumps(document(rollout=NOBODY_YET))), counters).complete()

    assert len({person for _, person in staying}) == 1
    assert people(registry) == {}


def test_an_app_with_a_name_says_it_beside_its_counts(registry):
    with Client("http://127.0.0.1:9", registry=registry, app_name="shop", stream=False):
        assert registry.get_sample_value("wavegate_client_info", {"app": "shop"}) == 1
