"""A trial as a block, an asynchronous block and a decorator; what it measures beside good and bad."""

import asyncio
import inspect
import math
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from wavegate import Client, ConfigError, Trial

# user-1 has cohort 15 and the candidate, user-2 cohort 1 and the stable variant.
DOCUMENT = {
    "schema": 1,
    "environment": "production",
    "revision": 1,
    "flags": {
        "ai-summaries": {
            "variants": {"on": True, "off": False},
            "default_variant": "off",
            "rollout": {"stable": "off", "candidate": "on", "weight": 50_000},
        },
    },
}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def client(registry):
    with Client.offline(DOCUMENT, registry=registry, value_caps={"cost_usd": 2.0}) as client:
        yield client


def total(registry, name, **labels):
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def value(registry, kind):
    labels = {"flag": "ai-summaries", "variant": "on", "cohort": "15", "kind": kind}
    return registry.get_sample_value("wavegate_value_total", labels)


def outcomes(registry):
    requests = total(registry, "wavegate_requests_total", variant="on")
    return requests, total(registry, "wavegate_bad_total", variant="on", kind="error")


def test_an_asynchronous_block_counts_as_the_other_does(client, registry):
    async def work():
        async with client.trial("ai-summaries", "user-1") as trial:
            await asyncio.sleep(0)
            assert trial.enabled
        async with client.trial("ai-summaries", "user-1"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(work())

    assert outcomes(registry) == (2, 1)


def test_every_call_of_a_decorated_function_is_a_trial(client, registry):
    @client.trials("ai-summaries", by="user_id")
    def summary(trial: Trial, text: str, *, user_id: str = "user-1") -> str:
        if text == "bad":
            raise RuntimeError
        return f"{trial.variant}: {text}"

    assert summary("good") == "on: good"
    assert summary("good", user_id="user-2") == "off: good"
    with pytest.raises(RuntimeError):
        summary("bad", user_id="user-1")

    assert outcomes(registry) == (2, 1)
    assert summary.__name__ == "summary"
    assert list(inspect.signature(summary).parameters) == ["text", "user_id"]


def test_whose_trial_it_is_may_be_computed(client):
    @client.trials("ai-summaries", by=lambda user: user["id"])
    def variant(trial, user):
        return trial.variant

    assert variant({"id": "user-1"}) == "on"
    with pytest.raises(KeyError):
        variant({})


def test_what_is_known_of_them_may_be_a_parameter_or_computed(registry):
    rule = {"if": {"attribute": "country", "operator": "equals", "value": "SE"}, "serve": "on"}
    flag = {"variants": {"on": True, "off": False}, "default_variant": "off", "rules": [rule]}
    client = Client.offline(
        {"schema": 1, "environment": "test", "revision": 1, "flags": {"by-country": flag}}, registry=registry
    )

    @client.trials("by-country", by="user_id", attributes="known")
    def named(trial, user_id, known):
        return trial.enabled

    @client.trials("by-country", by="user_id", attributes=lambda user_id, country: {"country": country})
    def computed(trial, user_id, country):
        return trial.enabled

    assert (named("anna", {"country": "SE"}), named("anna", known={"country": "DE"})) == (True, False)
    assert (computed("anna", "SE"), computed("anna", country="DE")) == (True, False)


def test_coroutines_and_generators_are_over_when_their_bodies_are(client, registry):
    @client.trials("ai-summaries", by="user")
    async def awaited(trial, user):
        await asyncio.sleep(0)
        return trial.variant

    @client.trials("ai-summaries", by="user")
    def words(trial, user):
        yield trial.variant
        return "end"

    @client.trials("ai-summaries", by="user")
    async def tokens(trial, user):
        yield trial.variant
        raise RuntimeError

    async def listen():
        stream = tokens("user-1")
        first = await anext(stream)
        with pytest.raises(RuntimeError):
            await anext(stream)
        return first

    assert asyncio.run(awaited("user-1")) == "on"
    generator = words("user-1")
    assert next(generator) == "on"
    assert outcomes(registry) == (1, 0)
    with pytest.raises(StopIteration, match="end"):
        next(generator)
    assert asyncio.run(listen()) == "on"
    assert outcomes(registry) == (3, 1)


def test_a_decorator_refuses_what_cannot_work_when_it_decorates(client):
    with pytest.raises(ConfigError, match=r"by: .*summary has no parameter 'user' after the trial"):

        @client.trials("ai-summaries", by="user")
        def summary(trial, text): ...

    with pytest.raises(ConfigError, match=r"attributes: .*summary has no parameter 'known' after the trial"):

        @client.trials("ai-summaries", by="text", attributes="known")
        def summary(trial, text): ...

    with pytest.raises(ConfigError, match="take the trial as the first"):

        @client.trials("ai-summaries", by="user")
        def nothing(): ...

    with pytest.raises(ConfigError, match="slow_after"):
        client.trials("ai-summaries", by="user", slow_after=0)


def test_what_a_request_cost_is_added_up_to_a_cap(client, registry):
    for dollars in (0.25, 0.5):
        with client.trial("ai-summaries", "user-1") as trial:
            trial.cost_usd(dollars)
            trial.cost_usd(Decimal("0.25"))
            trial.tokens(input=800, output=90)
            trial.custom(7)
    with client.trial("ai-summaries", "user-1") as trial:
        trial.cost_usd(1_000_000)

    assert value(registry, "cost_usd") == 0.5 + 0.75 + 2.0
    assert value(registry, "tokens") == 2 * 890
    assert value(registry, "custom") == 14
    assert 0 < value(registry, "seconds") < 5


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, "much", None, [], object()])
def test_an_amount_that_makes_no_sense_is_ignored_with_one_warning(client, registry, caplog, monkeypatch, amount):
    monkeypatch.setattr("wavegate.client.trial._complained", set())

    for _ in range(2):
        with client.trial("ai-summaries", "user-1") as trial:
            trial.cost_usd(amount)
            trial.cost_usd(0.5)

    assert value(registry, "cost_usd") == 1.0
    assert [record.action for record in caplog.records] == ["value_ignored"]


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        ({"dollars": 1}, "value_caps: 'dollars' is no kind of value; use cost_usd, tokens"),
        ({"tokens": 0}, "value_caps.tokens: is 0; give a number, more than 0"),
        ({"tokens": "many"}, "value_caps.tokens"),
        ({"tokens": math.inf}, "value_caps.tokens"),
    ],
)
def test_caps_that_make_no_sense_are_refused(caps, said, registry):
    with pytest.raises(ConfigError, match=said):
        Client.offline(DOCUMENT, registry=registry, value_caps=caps)
