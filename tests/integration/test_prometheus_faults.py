"""Everything that can go wrong between the provider and a metrics server: one row per fault, the answer beside it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.faults import (
    COMPLETE,
    fails,
    fault_server,
    gives,
    gives_vector,
    hangs,
    says,
    streams_without_end,
    trickles,
    writes,
)
from support.waiting import wait_until
from wavegate_controller.domain.counts import CounterSelector, Needs
from wavegate_controller.domain.measurement import (
    Broken,
    BrokenReason,
    NoData,
    NoDataReason,
    Series,
    Value,
)
from wavegate_controller.providers import Access, PrometheusProvider, response
from wavegate_controller.providers.http import MAX_BODY, MAX_OPEN

AT = datetime(2026, 1, 14, 12, 0, tzinfo=UTC)
T = AT.timestamp()
#: Seconds for rows in which nothing is meant to be slow, and for those in which something is.
PATIENCE, HURRY = 10.0, 0.3
EMPTY = NoData(reason=NoDataReason.EMPTY_RESULT)
NOT_A_NUMBER = NoData(reason=NoDataReason.NOT_A_NUMBER)


@pytest.fixture
def fault():
    with fault_server() as told:
        yield told


@pytest.fixture
def ask(fault):
    """Query a server that behaves like this."""
    providers = []

    def ask(behaviour, *, timeout=PATIENCE, promql="up", **arguments):
        fault.behaviour = behaviour
        provider = PrometheusProvider(fault.url, timeout=timeout, access=Access(**arguments))
        providers.append(provider)
        return provider.query(promql, at=AT)

    yield ask
    for provider in providers:
        provider.close()


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"

ANSWERS = {
    # values, and no data
    "vector of one": (gives_vector([T, "0.25"]), Value(value=0.25)),
    "whole seconds": (gives_vector([int(T), "3"]), Value(value=3.0)),
    "scalar": (gives("scalar", [T, "1e+06"]), Value(value=1e6)),
    "milliseconds rounded up": (gives_vector([T + 0.0005, "1"]), Value(value=1.0)),
    "infos, which are no warnings": (gives_vector([T, "1"], infos=["might not be a counter"]), Value(value=1.0)),
    "empty vector": (gives_vector(), EMPTY),
    "NaN": (gives_vector([T, "NaN"]), NOT_A_NUMBER),
    "+Inf": (gives_vector([T, "+Inf"]), NOT_A_NUMBER),
    "as of an hour ago": (gives_vector([T - 3600, "1"]), NoData(reason=NoDataReason.STALE_SAMPLES)),
    "as of a minute ago": (gives_vector([T - 60, "1"]), Value(value=1.0)),
    "empty label": (gives("vector", [{"metric": {"pod": ""}, "value": [T, "1"]}]), Value(value=1.0)),
    "-Inf": (gives("scalar", [T, "-Inf"]), NOT_A_NUMBER),
}

BROKEN = {
    # refusals
    "401": (says(b"who are you", status=401), "unauthorized", "status 401; check the credentials"),
    "403": (fails(403, message="no tenant"), "unauthorized", "status 403: no tenant; check the credentials"),
    "400": (fails(400, "bad_data", "1:5: parse error: x"), "query_rejected", "1:5: parse error: x"),
    "422": (fails(422, "execution", "too many samples"), "query_rejected", "too many samples"),
    "400 of a proxy": (says(b"<html>Bad Request", status=400), "server_error", "status 400"),
    "404": (says(b"not found", status=404), "server_error", "status 404; is this URL the root"),
    "405": (says(b"", status=405), "server_error", "status 405"),
    "429": (says(b"slow down", status=429), "server_error", "status 429"),
    "500": (fails(500, message="disk full"), "server_error", "status 500: disk full"),
    "502": (says(b"<html>", status=502), "server_error", "status 502"),
    "503": (says(b"starting", status=503), "server_error", "status 503"),
    "503 query timeout": (fails(503, "timeout", "query timed out"), "timeout", "status 503: query timed out"),
    "204": (says(b"", status=204), "server_error", "status 204"),
    "301": (
        says(b"", status=301, Location="http://127.0.0.1:1/?token=secret"),
        "server_error",
        "status 301 to http://127.0.0.1:1/, not followed; configure the final URL",
    ),
    "302 without a location": (says(b"", status=302), "server_error", "status 302 to nowhere"),
    # partial
    "warnings": (
        gives_vector([T, "1"], warnings=["store 2 is away", "store 3 too"]),
        "partial_response",
        "the server warns: store 2 is away; store 3 too",
    ),
    "warnings beside nothing": (gives_vector(warnings=["store 2 is away"]), "partial_response", "store 2"),
    "isPartial": (gives_vector([T, "1"], isPartial=True), "partial_response", "some of its storage"),
    # several series
    "several series": (
        gives_vector([T, "1"], [T, "NaN"]),
        "several_series",
        'aggregate, such as sum(...): {pod="p0"}, {pod="p1"}',
    ),
    "many series": (
        gives_vector(*[[T, "1"]] * 500),
        "several_series",
        'aggregate, such as sum(...): {pod="p0"}, {pod="p1"}, {pod="p2"}, …',
    ),
    # not one number
    "matrix": (gives("matrix", []), "malformed_response", "ranges where one number was meant: put it into"),
    "string": (gives("string", [T, "x"]), "malformed_response", "a string where one number was meant"),
    "histogram": (
        gives("vector", [{"metric": {}, "histogram": [T, {}]}]),
        "malformed_response",
        "take histogram_quantile(...)",
    ),
    # not what was promised
    "status error in a 200": (fails(200, message="oops"), "malformed_response", "error inside: oops"),
    "empty body": (says(b""), "malformed_response", "an empty body"),
    "web page": (says(b"<html>Sign in</html>"), "malformed_response", "not JSON: it begins with '<html>Sign in"),
    "truncated JSON": (says(COMPLETE[:-3]), "malformed_response", "not JSON"),
    "body cut off": (writes(HEADERS + COMPLETE), "malformed_response", "broke off"),
    "chunk cut off": (
        writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + COMPLETE),
        "malformed_response",
        "broke off",
    ),
    "not gzip": (says(COMPLETE, Content_Encoding="gzip"), "malformed_response", "broke off"),
    "not UTF-8": (says(b'{"status": "\xff"}'), "malformed_response", "not JSON"),
    "deeply nested": (says(b"[" * 200_000), "malformed_response", "not JSON"),
    "nested in a message": (
        says(b'{"status":"error","error":' + b"[" * 500 + b"]" * 500 + b"}"),
        "malformed_response",
        "[[[[[[",
    ),
    "NaN in the JSON": (says(COMPLETE.replace(b"[]", b"NaN")), "malformed_response", "not JSON"),
    "not HTTP": (writes(b"SSH-2.0-OpenSSH_9.2\r\n"), "malformed_response", "does not speak HTTP"),
    "a list": (says([]), "malformed_response", "not a JSON object"),
    "no status": (says({}), "malformed_response", "neither success nor error"),
    "no data": (says({"status": "success"}), "malformed_response", "no resultType and result"),
    "data of labels": (says({"status": "success", "data": ["up"]}), "malformed_response", "no resultType"),
    "result is null": (gives("vector", None), "malformed_response", "no resultType and result"),
    "unknown type": (gives("tensor", []), "malformed_response", "unknown resultType tensor"),
    "no value": (gives("vector", [{"metric": {}}]), "malformed_response", "a series without a value"),
    "series is a text": (gives("vector", ["up"]), "malformed_response", "a series without a value"),
    "value is a number": (gives_vector([T, 1]), "malformed_response", "not [time, value]"),
    "value is a word": (gives_vector([T, "one"]), "malformed_response", "not [time, value]"),
    "time is a text": (gives_vector([str(T), "1"]), "malformed_response", "not [time, value]"),
    "time is true": (gives_vector([True, "1"]), "malformed_response", "not [time, value]"),
    "time is huge": (gives_vector([-(10**400), "1"]), "malformed_response", "not [time, value]"),
    "empty scalar": (gives("scalar", []), "malformed_response", "not [time, value]"),
    "from the future": (gives_vector([T + 1, "1"]), "malformed_response", "after the asked time 12:00:00 UTC"),
}


@pytest.mark.parametrize(("behaviour", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_a_healthy_answer_is_a_value_or_no_data(ask, behaviour, expected):
    assert ask(behaviour) == expected


@pytest.mark.parametrize(("behaviour", "reason", "words"), BROKEN.values(), ids=BROKEN)
def test_each_fault_is_broken_with_its_reason_and_a_short_detail(ask, behaviour, reason, words):
    answer = ask(behaviour)

    assert isinstance(answer, Broken)
    assert answer.reason == reason
    assert words in answer.detail
    assert "secret" not in answer.detail
    assert len(answer.detail) <= 300


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "127.0.0.1:1: Connection refused"),
        ("http://prometheus.invalid:9090", "prometheus.invalid:9090: "),
        ("https://127.0.0.1:1/prometheus/", "127.0.0.1:1: Connection refused"),
    ],
    ids=["refused", "unknown host", "refused with TLS"],
)
def test_a_server_that_is_not_there_is_unreachable(url, words):
    provider = PrometheusProvider(url, timeout=PATIENCE)

    answer = provider.query("up", at=AT)
    provider.close()

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.UNREACHABLE
    assert answer.detail.startswith(words)


def test_a_connection_that_closes_without_an_answer_is_unreachable(ask):
    answer = ask(writes(b""))

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.UNREACHABLE


def test_plain_http_behind_an_https_url_is_unreachable(fault):
    provider = PrometheusProvider(fault.url.replace("http", "https"), timeout=PATIENCE)

    answer = provider.query("up", at=AT)
    provider.close()

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.UNREACHABLE
    assert "SSL" in answer.detail


@pytest.mark.parametrize(
    "slow",
    [
        hangs,
        lambda fault: trickles(fault, HEADERS),
        lambda fault: trickles(fault, b"HTTP/1.1 200 OK\r\nX-Slow:"),
        lambda fault: trickles(fault, b""),
    ],
    ids=["silence", "trickling body", "trickling header", "trickling status line"],
)
def test_whatever_is_slow_is_a_timeout_within_the_whole_time_allowed(ask, fault, slow):
    began = monotonic()
    answer = ask(slow(fault), timeout=HURRY)
    took = monotonic() - began

    assert answer == Broken(
        reason=BrokenReason.TIMEOUT,
        detail=f"no complete answer from 127.0.0.1:{fault.server.server_port} within 0.3 s",
    )
    assert took < HURRY + 1


def test_a_body_that_trickles_on_does_not_hold_a_thread_beyond_its_time(ask, fault):
    ask(trickles(fault, HEADERS), timeout=HURRY)

    wait_until(lambda: not any(each.name == "wavegate-metrics" for each in threading.enumerate()), timeout=3)


def test_a_body_without_end_is_given_up_at_the_bound(ask, fault):
    answer = ask(streams_without_end(fault))

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.TOO_LARGE
    assert answer.detail == f"127.0.0.1:{fault.server.server_port} says more than {MAX_BODY // 1024**2} MiB"


def test_a_redirect_is_neither_followed_nor_read_beyond_the_bound(ask, fault):
    answer = ask(streams_without_end(fault, status=302, location=f"{fault.url}/login"))

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.TOO_LARGE
    assert [path for path, _, _ in fault.requests] == ["/api/v1/query"]


def test_a_server_that_leaves_every_question_open_is_not_asked_for_more(ask, fault):
    fault.behaviour = trickles(fault, b"HTTP/1.1 200 OK\r\nX-Slow:")
    provider = PrometheusProvider(fault.url, timeout=HURRY)
    threads = [threading.Thread(target=provider.query, args=["up"], kwargs={"at": AT}) for _ in range(MAX_OPEN)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer = provider.query("up", at=AT)
    provider.close()

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.TIMEOUT
    assert f"leaves {MAX_OPEN} earlier questions unanswered" in answer.detail
    assert len(fault.requests) <= MAX_OPEN


def test_questions_asked_at_once_get_each_its_own_answer_over_connections_that_close_unannounced(fault):
    def echo(handler):
        (value,) = handler.form["query"]
        gives("scalar", [T, value])(handler)

    fault.behaviour = echo
    provider = PrometheusProvider(fault.url, timeout=PATIENCE)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: provider.query(str(number), at=AT), range(200)))
    provider.close()

    assert answers == [Value(value=number) for number in range(200)]


def test_a_question_carries_query_time_and_timeout_below_the_root_given(ask, fault):
    ask(gives_vector(), promql='sum(rate(x{a="ü"}[5m]))', timeout=2.5)
    (asked,) = fault.requests

    path, _, form = asked
    assert path == "/api/v1/query"
    assert form == {"query": ['sum(rate(x{a="ü"}[5m]))'], "time": [f"{T:.3f}"], "timeout": ["2500ms"]}


@pytest.mark.parametrize(
    ("arguments", "header", "value"),
    [
        ({"bearer_token": "s3cret-token"}, "Authorization", "Bearer s3cret-token"),
        ({"basic_auth": ("me", "s3cret-token")}, "Authorization", "Basic bWU6czNjcmV0LXRva2Vu"),
        ({"headers": {"X-Api-Key": "s3cret-token"}}, "X-Api-Key", "s3cret-token"),
    ],
    ids=["bearer", "basic", "header"],
)
def test_credentials_are_sent_and_never_shown_even_when_a_server_echoes_them(ask, fault, arguments, header, value):
    answer = ask(lambda handler: fails(403, message=f"bad {dict(handler.headers)} s3cret-token")(handler), **arguments)
    _, headers, _ = fault.requests[0]

    assert headers[header] == value
    assert isinstance(answer, Broken)
    assert "***" in answer.detail
    assert "s3cret" not in answer.detail
    assert "bWU6" not in answer.detail


def test_credentials_of_the_machines_netrc_are_not_sent(fault, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fault.behaviour = gives_vector()
    provider = PrometheusProvider(fault.url, timeout=PATIENCE, access=Access(bearer_token="ours"))
    # As for a host that is not loopback.
    provider._server._session.trust_env = True

    provider.query("up", at=AT)
    provider.close()

    assert fault.requests[0][1]["Authorization"] == "Bearer ours"


def test_a_proxy_of_the_environment_is_not_between_us_and_loopback(ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert ask(gives_vector([T, "1"])) == Value(value=1.0)


def test_a_detail_is_one_short_printable_line_whatever_the_server_says(ask):
    answer = ask(fails(500, message="\x1b[2J\n\ud800 much " + "too long " * 1000))

    assert isinstance(answer, Broken)
    assert answer.detail.startswith("status 500: [2J much too long")
    assert answer.detail.isprintable()
    assert len(answer.detail) == 300


# Raw samples

COUNTERS = CounterSelector(flags=("f",), needs=Needs(bad=frozenset({"error"})))
LABELS = {"__name__": "x_total", "variant": "new"}
SAMPLES = {
    "none": (gives("matrix", []), ()),
    "one": (
        gives("matrix", [{"metric": LABELS, "values": [[T - 1, "1"], [T, "2"]]}]),
        (Series(labels=LABELS, samples=((T - 1, 1.0), (T, 2.0))),),
    ),
    "a series without samples": (gives("matrix", [{"metric": LABELS, "values": []}]), ()),
}
BROKEN_SAMPLES = {
    "vector": (gives_vector([T, "1"]), "malformed_response", "vector where raw samples"),
    "warnings": (gives("matrix", [], warnings=["w"]), "partial_response", "the server warns: w"),
    "500": (fails(500), "server_error", "status 500"),
    "NaN": (
        gives("matrix", [{"metric": LABELS, "values": [[T, "NaN"]]}]),
        "malformed_response",
        'not a finite number in series x_total{variant="new"}',
    ),
    "unordered": (
        gives("matrix", [{"metric": LABELS, "values": [[T, "1"], [T - 1, "1"]]}]),
        "malformed_response",
        "not in the order of time",
    ),
    "from the future": (
        gives("matrix", [{"metric": LABELS, "values": [[T + 1, "1"]]}]),
        "malformed_response",
        "after the asked time",
    ),
    "histograms": (gives("matrix", [{"metric": LABELS, "histograms": []}]), "malformed_response", "histogram"),
    "not samples": (gives("matrix", [{"metric": LABELS, "values": ["1"]}]), "malformed_response", "[time, value]"),
    "not series": (gives("matrix", [1]), "malformed_response", "without metric and values"),
    "not labels": (gives("matrix", [{"metric": {"a": 1}, "values": []}]), "malformed_response", "label"),
}


@pytest.mark.parametrize(("behaviour", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_raw_samples_come_back_as_series(fault, behaviour, expected):
    fault.behaviour = behaviour
    provider = PrometheusProvider(fault.url, timeout=PATIENCE)

    series = provider.samples(COUNTERS, at=AT, lookback=timedelta(seconds=90))
    provider.close()

    assert series == expected
    assert fault.requests[0][2]["query"] == [f"{COUNTERS.promql}[90000ms]"]


@pytest.mark.parametrize(("behaviour", "reason", "words"), BROKEN_SAMPLES.values(), ids=BROKEN_SAMPLES)
def test_raw_samples_that_cannot_be_trusted_are_broken(fault, behaviour, reason, words):
    fault.behaviour = behaviour
    provider = PrometheusProvider(fault.url, timeout=PATIENCE)

    answer = provider.samples(COUNTERS, at=AT, lookback=timedelta(seconds=90))
    provider.close()

    assert isinstance(answer, Broken)
    assert answer.reason == reason
    assert words in answer.detail


def test_the_manual_names_every_reason():
    manual = (Path(__file__).parents[2] / "docs/prometheus.md").read_text()

    assert [reason for reason in (*BrokenReason, *NoDataReason) if f"`{reason}`" not in manual] == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["success", "error", "vector", "matrix", "scalar", "string", "1", "NaN", T]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "resultType", "result", "metric", "value", "values", "warnings", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
RESULTS = st.fixed_dictionaries(
    {"resultType": st.sampled_from(["vector", "matrix", "scalar", "string", "x"]), "result": st.lists(JSON, max_size=2)}
)
BODIES = st.binary(max_size=40) | (
    JSON | st.fixed_dictionaries({"status": st.just("success"), "data": RESULTS | JSON})
).map(lambda document: json.dumps(document).encode())


@given(body=BODIES)
def test_no_body_whatever_makes_reading_it_raise(body):
    response.error_of(body)
    data = response.data_of(body)

    if isinstance(data, Broken):
        assert data.detail
    else:
        assert isinstance(response.number(data, at=AT), Value | NoData | Broken)
        assert isinstance(response.raw_samples(data, at=AT), tuple | Broken)
