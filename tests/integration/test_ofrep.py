"""OFREP over real sockets, by the published provider and by hand; docs/ofrep.md is the contract."""

import json
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
import requests
from openfeature.api import clear_providers, get_client, set_provider_and_wait
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

from support.data_plane import KEY, DataPlane, following
from support.live_controller import live_controller
from wavegate_controller.delivery import Ofrep

ONE, BULK = "/ofrep/v1/evaluate/flags/", "/ofrep/v1/evaluate/flags"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
CONTEXT = {"targetingKey": "user-1", "plan": "team"}
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}
BOOLEAN = {"variants": {"on": True, "off": False}, "default_variant": "off"}
TEAM = {"if": {"attribute": "plan", "operator": "equals", "value": "team"}, "serve": "on"}
FLAGS = {
    "search": BOOLEAN,
    "split": BOOLEAN | HALF,
    "targeted": BOOLEAN | {"rules": [TEAM]},
    "stopped": BOOLEAN | HALF | {"state": "disabled"},
    "tone": {"variants": {"plain": "plain"}, "default_variant": "plain"},
    "retries": {"variants": {"few": 2}, "default_variant": "few"},
    "temperature": {"variants": {"warm": 2.0}, "default_variant": "warm"},
    "mixed": {"variants": {"warm": 2, "hot": 2.5}, "default_variant": "warm"},
    "model": {"variants": {"large": {"model": "large", "temperature": 0.7}}, "default_variant": "large"},
    "a/b ü%": BOOLEAN,
}
TYPES = {"type": ["boolean", "string", "number", "object"]}
METADATA = {"type": "object", "additionalProperties": {"type": ["boolean", "string", "number"]}}
#: What the protocol promises of one answer, and what its clients need beyond that.
SUCCESS = {
    "type": "object",
    "required": ["key", "value", "reason", "variant"],
    "properties": {
        "key": {"type": "string"},
        "value": TYPES,
        "reason": {"enum": ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]},
        "variant": {"type": "string"},
        "metadata": METADATA,
    },
}
FAILURE = {
    "type": "object",
    "required": ["key", "errorCode", "errorDetails"],
    "properties": {
        "key": {"type": "string"},
        "errorCode": {"enum": ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "FLAG_NOT_FOUND"]},
        "errorDetails": {"type": "string", "minLength": 1},
    },
}
STREAM = {
    "type": "object",
    "required": ["type", "endpoint"],
    "not": {"required": ["url"]},
    "properties": {
        "type": {"const": "sse"},
        "endpoint": {
            "type": "object",
            "required": ["requestUri"],
            "properties": {"requestUri": {"type": "string", "pattern": "^/"}},
        },
        "inactivityDelaySec": {"type": "integer", "minimum": 1},
    },
}
BULK_SUCCESS = {
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {"type": "array", "items": {"oneOf": [SUCCESS, FAILURE]}},
        "eventStreams": {"type": "array", "items": STREAM},
        "metadata": METADATA,
    },
}


@pytest.fixture(scope="module")
def plane():
    """For all who only ask."""
    with DataPlane() as plane:
        plane.publish(1, flags=FLAGS)
        yield plane


@pytest.fixture
def own():
    """For who publishes, revokes or counts."""
    with DataPlane() as plane:
        plane.publish(1, flags=FLAGS)
        yield plane


def post(plane, path, body=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps({"context": CONTEXT} if body is None else body) if not isinstance(body, bytes) else body
    return requests.post(plane.url + path, data=content, headers=AUTHORISED | named, timeout=10)


def test_a_flag_is_evaluated_for_who_asks(plane):
    answer = post(plane, ONE + "targeted")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"key": "targeted", "value": True, "reason": "TARGETING_MATCH", "variant": "on"}


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_a_value_as_the_protocol_has_it(plane, flag):
    path = requests.utils.quote(flag, safe="")

    document = post(plane, ONE + path).json()

    jsonschema.validate(document, SUCCESS)
    assert document["key"] == flag


def test_a_float_stays_a_float(plane):
    assert b'"value":2.0' in post(plane, ONE + "temperature").content
    assert b'"value":2.0' in post(plane, ONE + "mixed").content
    assert b'"value":2,' in post(plane, ONE + "retries").content


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (ONE + "nobody-has-it", None, 404, "FLAG_NOT_FOUND"),
        (ONE + "search", b"{", 400, "PARSE_ERROR"),
        (ONE + "search", {"context": 1}, 400, "INVALID_CONTEXT"),
        (ONE + "search", {"context": {"targetingKey": 1}}, 400, "INVALID_CONTEXT"),
        (ONE + "split", {"context": {}}, 400, "TARGETING_KEY_MISSING"),
        (ONE + "split", {}, 400, "TARGETING_KEY_MISSING"),
        (ONE + "search", {"context": {"x": "y" * 70_000}}, 413, "INVALID_CONTEXT"),
    ],
)
def test_a_refusal_says_what_was_wrong(plane, path, body, status, code):
    answer = post(plane, path, body)

    assert answer.status_code == status
    jsonschema.validate(answer.json(), FAILURE)
    assert answer.json()["errorCode"] == code
    assert answer.json()["key"] == path.removeprefix(ONE)


@pytest.mark.parametrize(("body", "code"), [(b"", "PARSE_ERROR"), ({"context": []}, "INVALID_CONTEXT")])
def test_a_refusal_of_all_flags_says_what_was_wrong(plane, body, code):
    answer = post(plane, BULK, body)

    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert answer.json()["errorDetails"]


@pytest.mark.parametrize("path", ["/ofrep/v1/evaluate/flags/", "/ofrep/v1/configuration", "/ofrep/", "/ofrep/v2/x"])
def test_where_there_is_nothing_json_says_so(plane, path):
    answer = post(plane, path)

    assert answer.status_code == 404
    assert answer.json()["errorDetails"]


@pytest.mark.parametrize("path", [ONE + "search", BULK])
def test_only_post_evaluates(plane, path):
    answer = requests.get(plane.url + path, headers=AUTHORISED, timeout=10)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_all_flags_are_evaluated_together(plane):
    answer = post(plane, BULK)

    jsonschema.validate(answer.json(), BULK_SUCCESS)
    assert [document["key"] for document in answer.json()["flags"]] == sorted(FLAGS)
    assert answer.json()["metadata"] == {"environment": "production", "revision": 1}


def test_flags_that_need_somebody_refuse_nobody_among_the_others(plane):
    documents = post(plane, BULK, {"context": {}}).json()["flags"]

    refused = {document["key"]: document["errorCode"] for document in documents if "errorCode" in document}
    assert refused == {"split": "TARGETING_KEY_MISSING"}


def test_what_a_client_has_is_not_sent_again_until_it_changes_for_it(own):
    etag = post(own, BULK).headers["etag"]

    def again(context=None, held=etag):
        return post(own, BULK, {"context": context or CONTEXT}, If_None_Match=held)

    assert again().status_code == 304
    assert not again().content
    assert again().headers["etag"] == etag
    assert again(dict(reversed(CONTEXT.items()))).status_code == 304
    assert again(held=f'"other", W/{etag}').status_code == 304
    assert again(CONTEXT | {"plan": "solo"}).status_code == 200
    own.publish(2, flags=FLAGS | {"search": BOOLEAN | {"default_variant": "on"}})
    assert again().status_code == 200


def test_who_shows_no_key_learns_nothing(plane):
    etag = post(plane, BULK).headers["etag"]
    for shown in ({}, {"Authorization": "Bearer another"}, {"Authorization": KEY}, {"X-API-Key": "another"}):
        headers = shown | {"If-None-Match": etag}
        for path in (ONE + "search", ONE + "nobody-has-it", BULK):
            answer = requests.post(plane.url + path, data=b"{", headers=headers, timeout=10)

            assert answer.status_code == 401
            assert answer.json()["errorDetails"]


def test_a_key_may_come_in_either_header(plane):
    answer = requests.post(plane.url + ONE + "search", data=b"{}", headers={"X-API-Key": KEY}, timeout=10)

    assert answer.status_code == 200


def test_a_key_evaluates_in_its_own_environment():
    staging = "a key for staging, as long and random"
    with DataPlane(keys={KEY: "production", staging: "staging"}) as plane:
        plane.publish(1, flags={"search": BOOLEAN})
        plane.publish(1, flags={"other": BOOLEAN}, environment="staging")

        assert post(plane, ONE + "search").status_code == 200
        assert post(plane, ONE + "search", Authorization=f"Bearer {staging}").status_code == 404


def test_before_there_is_a_ruleset_clients_are_told_to_come_back():
    with DataPlane() as plane:
        answer = post(plane, ONE + "search")

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        jsonschema.validate(answer.json(), FAILURE)


def test_a_key_that_asks_too_often_is_told_how_long_to_wait():
    with DataPlane(rate=0.5) as plane:
        plane.publish(1, flags=FLAGS)
        assert post(plane, ONE + "search").status_code == 200
        for path in (ONE + "search", BULK):
            answer = post(plane, path)

            assert answer.status_code == 429
            assert answer.headers["retry-after"] in ("1", "2")
            assert answer.json()["errorCode"] == "GENERAL"


class TestPagesOfOtherOrigins:
    @pytest.fixture(scope="class")
    @classmethod
    def plane(cls):
        with DataPlane(origins=["https://shop.example"]) as plane:
            plane.publish(1, flags=FLAGS)
            yield plane

    def test_may_ask_if_they_are_named(self, plane):
        asked = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,if-none-match",
        }

        answer = requests.options(plane.url + BULK, headers=asked, timeout=10)

        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        for name in ("authorization", "content-type", "if-none-match"):
            assert name in answer.headers["access-control-allow-headers"]

    def test_may_read_answers_their_validators_and_refusals(self, plane):
        origin = {"Origin": "https://shop.example"}
        etag = post(plane, BULK, **origin).headers["etag"]
        answers = [
            post(plane, BULK, **origin),
            post(plane, BULK, If_None_Match=etag, **origin),
            post(plane, BULK, Authorization="", **origin),
            post(plane, ONE + "nobody-has-it", **origin),
        ]

        assert [answer.status_code for answer in answers] == [200, 304, 401, 404]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
            assert "etag" in answer.headers["access-control-expose-headers"]

    def test_may_not_if_they_are_not(self, plane):
        for answer in (
            requests.options(plane.url + BULK, headers={"Origin": "https://else.example"}, timeout=10),
            post(plane, BULK, Origin="https://else.example"),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "origin"


def test_all_pages_may_ask_where_all_are_named():
    with DataPlane(origins=["*"]) as plane:
        plane.publish(1, flags=FLAGS)

        assert post(plane, BULK, Origin="https://any.example").headers["access-control-allow-origin"] == "*"


class TestNotices:
    """Event streams, as a browser would follow them: by the address alone."""

    def address(self, plane):
        (stream,) = post(plane, BULK).json()["eventStreams"]
        return stream["endpoint"]["requestUri"]

    def test_say_that_something_changed_and_what_to_ask_for(self, own):
        with following(own, key=None, path=self.address(own)) as follower:
            assert follower.headers["content-type"] == "text/event-stream"
            first = self.notice(follower)
            own.publish(2, flags=FLAGS | {"search": BOOLEAN | {"default_variant": "on"}})
            second = self.notice(follower)

        assert first["type"] == second["type"] == "refetchEvaluation"
        assert first["etag"] != second["etag"]
        assert follower.id == second["etag"]
        assert follower.revision is None

    def test_are_not_repeated_to_who_comes_back(self, own):
        address = self.address(own)
        with following(own, key=None, path=address) as follower:
            self.notice(follower)
            held = follower.id
        with following(own, key=None, path=address, held=held) as again:
            assert again.next() == ("comment", "")
            own.publish(2, flags={"search": BOOLEAN})
            assert self.notice(again)["etag"].startswith("2-")

    def test_end_when_the_key_is_revoked(self, own):
        address = self.address(own)
        with following(own, key=None, path=address) as follower:
            self.notice(follower)
            own.allow({"another key, long and random": "production"})

            assert follower.read_to_end()
        assert requests.get(own.url + address, timeout=10).status_code == 401

    def test_are_for_who_was_let_in(self, plane):
        for path in ("/ofrep/v1/events", "/ofrep/v1/events?ticket=made-up", "/ofrep/v1/events?ticket="):
            assert requests.get(plane.url + path, timeout=10).status_code == 401

    def test_a_ticket_opens_nothing_else(self, plane):
        ticket = self.address(plane).partition("=")[2]

        assert post(plane, BULK, Authorization=f"Bearer {ticket}").status_code == 401

    def test_an_open_environment_asks_for_no_ticket(self):
        with DataPlane() as plane:
            plane.keys.replace({}, unkeyed="production")
            plane.publish(1, flags=FLAGS)

            assert self.address(plane) == "/ofrep/v1/events"
            with following(plane, key=None, path="/ofrep/v1/events") as follower:
                assert self.notice(follower)["type"] == "refetchEvaluation"

    @staticmethod
    def notice(follower):
        while (event := follower.next())[0] != "message":
            pass
        return json.loads(event[1])


def test_who_was_told_of_a_revision_waits_for_it_here(own):
    """Another replica may have told of what this one is about to hear."""
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(post, own, f"{BULK}?flagConfigEtag=2-0123456789abcdef")
        own.publish(2, flags={"search": BOOLEAN})

        assert asked.result().json()["metadata"]["revision"] == 2


@pytest.mark.parametrize("told", ["nonsense", "9" * 5000, "٣-x", ""])
def test_who_was_told_nonsense_is_answered(plane, told):
    assert post(plane, f"{BULK}?flagConfigEtag={told}").status_code == 200


def test_answers_are_counted_under_the_sdk_s_names(own):
    for number in range(20):
        post(own, ONE + "split", {"context": {"targetingKey": f"user-{number % 5}"}})
    post(own, BULK)

    totals = own.counts.totals()["production"]

    split = {key: count for key, count in totals.evaluations.items() if key[0] == "split"}
    assert sum(split.values()) == 21
    assert {reason for _, _, reason in split} == {"SPLIT"}
    assert sum(arm.exposed_users for (flag, _), arm in totals.arms.items() if flag == "split") == 5
    assert not any(sum(arm.requests) for arm in totals.arms.values())


class TestThePublishedProvider:
    """openfeature-provider-ofrep against a controller as people run it."""

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, tmp_path_factory):
        key = "0123456789abcdef"
        with live_controller(tmp_path_factory.mktemp("ofrep"), WAVEGATE_SDK_KEYS=json.dumps([key])) as url:
            for flag, fields in FLAGS.items():
                if "/" in flag:
                    continue
                variants = fields["variants"] if len(fields["variants"]) > 1 else fields["variants"] | {"other": None}
                if None in variants.values():
                    variants["other"] = next(iter(fields["variants"].values()))
                document = {"key": flag, "variants": variants, "default_variant": fields["default_variant"]}
                requests.post(f"{url}/api/v1/flags", json=document, timeout=5).raise_for_status()
            yield url

    @pytest.fixture
    def client(self, url):
        headers = {"Authorization": "Bearer 0123456789abcdef"}
        set_provider_and_wait(OFREPProvider(url, headers_factory=lambda: headers))
        yield get_client()
        clear_providers()

    def test_gets_values_of_every_type(self, client):
        somebody = EvaluationContext("user-1", {"plan": "team"})

        assert client.get_boolean_value("search", True, somebody) is False
        assert client.get_string_value("tone", "", somebody) == "plain"
        assert client.get_integer_value("retries", 0, somebody) == 2
        assert client.get_float_value("temperature", 0.0, somebody) == 2.0
        assert client.get_float_value("mixed", 0.0, somebody) == 2.0
        assert client.get_object_value("model", {}, somebody) == {"model": "large", "temperature": 0.7}

    def test_gets_details(self, client):
        details = client.get_boolean_details("search", True, EvaluationContext("user-1"))

        assert (details.variant, details.reason, details.error_code) == ("off", "STATIC", None)

    def test_needs_no_context(self, client):
        assert client.get_boolean_details("search", True).error_code is None

    def test_is_told_of_flags_that_are_not_there(self, client):
        details = client.get_boolean_details("nobody-has-it", True, EvaluationContext("user-1"))

        assert (details.value, details.error_code) == (True, "FLAG_NOT_FOUND")

    def test_is_told_of_types_that_do_not_fit(self, client):
        assert client.get_string_details("search", "", EvaluationContext("user-1")).error_code == "TYPE_MISMATCH"

    def test_is_told_that_it_has_no_key(self, url):
        set_provider_and_wait(OFREPProvider(url))
        details = get_client().get_boolean_details("search", True, EvaluationContext("user-1"))
        clear_providers()

        assert (details.value, details.error_message) == (True, "unauthorized")


def test_a_mistake_of_ours_is_an_answer_that_clients_know(own, monkeypatch):
    monkeypatch.setattr(Ofrep, "_evaluator", lambda *_: 1 / 0)

    answer = post(own, ONE + "search")

    assert answer.status_code == 500
    jsonschema.validate(answer.json(), FAILURE)
