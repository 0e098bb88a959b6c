"""What the controller tells of itself: counts, log lines and spans of real ticks."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from support.waiting import wait_until
from support.world import World
from wavegate_controller.api import tell_requests
from wavegate_controller.bootstrap import make_flask
from wavegate_controller.config import Config
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import Broken, BrokenReason, Value
from wavegate_controller.scheduler import Reconciler
from wavegate_controller.service.reconcile import reconcile, tick
from wavegate_controller.store import SqlStore, migrate, open_engine
from wavegate_controller.telemetry import CountedProvider, NoSpans, PrometheusRecorder, TracedSink, open_spans
from wavegate_controller.telemetry.logs import JsonFormatter
from wavegate_controller.telemetry.spans import OtelSpans

THRESHOLD = {"type": "threshold", "name": "errors", "query": "errors", "operator": "<", "limit": 0.1}


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'wavegate.db'}")
    migrate.upgrade(engine)
    world = World.over(SqlStore(engine))
    yield world
    engine.dispose()


class Spanned:
    """A world's services whose spans can be read."""

    def __init__(self, world):
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = OtelSpans(provider)
        self.services = replace(
            world.services,
            provider=CountedProvider(world.services.provider, world.services.recorder, self.spans),
            sink=TracedSink(world.services.sink, self.spans),
        )

    def named(self, name):
        return [each for each in self.exporter.get_finished_spans() if each.name == name]


def nearly_broken(world):
    """The next look at the rollout is the second one in a row beyond the limit."""
    world.metrics.value = Value(value=0.5)
    world.clock.advance(seconds=15)
    reconcile(world.services, "ai-summaries:1")
    world.clock.advance(seconds=15)


def shown(recorder, name, **labels):
    return recorder._registry.get_sample_value(name, labels)


def test_a_tick_has_a_span_with_its_queries_and_publications_within(world):
    world.flag()
    world.started(gates=[THRESHOLD])
    nearly_broken(world)
    spanned = Spanned(world)
    reconciler = Reconciler(
        spanned.services, every=timedelta(milliseconds=20), around=lambda: spanned.spans.span("tick", {})
    )

    reconciler.start()
    wait_until(lambda: spanned.named("publish") and spanned.named("query") and spanned.named("tick"))
    reconciler.close()

    wait_until(
        lambda: spanned.named("publish")[0].parent.span_id in {each.context.span_id for each in spanned.named("tick")}
    )
    (published,) = spanned.named("publish")
    query = next(each for each in spanned.named("query") if each.context.trace_id == published.context.trace_id)
    assert query.parent.span_id == published.parent.span_id
    assert query.attributes["db.query.text"] == "errors"
    assert published.attributes["wavegate.environment"] == "production"


def test_a_question_that_is_not_answered_fails_its_span_and_is_counted(world):
    spanned = Spanned(world)
    away = Broken(reason=BrokenReason.TIMEOUT, detail="nobody there")

    class Away:
        def query(self, promql, *, at):
            return away

    provider = CountedProvider(Away(), world.services.recorder, spanned.spans)

    assert provider.query("up", at=datetime(2026, 3, 2, tzinfo=UTC)) is away
    (span,) = spanned.named("query")
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "timeout")
    recorder = world.services.recorder
    assert shown(recorder, "wavegate_controller_query_failures_total", reason="timeout") == 1
    assert shown(recorder, "wavegate_controller_query_seconds_count", question="number") == 1


def test_a_query_that_is_refused_is_an_answer_to_whoever_asked_whether_it_can_be_asked():
    recorder = PrometheusRecorder()
    refusal = Broken(reason=BrokenReason.QUERY_REJECTED, detail="parse error")

    class Refuses:
        def check(self, promql):
            return refusal

    assert CountedProvider(Refuses(), recorder, NoSpans()).check("sum(") is refusal
    assert shown(recorder, "wavegate_controller_query_failures_total", reason="query_rejected") == 0
    assert shown(recorder, "wavegate_controller_query_seconds_count", question="check") == 1


def test_a_tick_counts_verdicts_decisions_and_what_it_claimed(world):
    world.flag()
    world.started(gates=[THRESHOLD])
    nearly_broken(world)

    with ThreadPoolExecutor(1) as executor:
        tick(world.services, executor)

    recorder = world.services.recorder
    assert shown(recorder, "wavegate_controller_verdicts_total", gate="errors", verdict="breach") == 1
    assert shown(recorder, "wavegate_controller_decisions_total", event="roll_back", reason="breach") == 1


def test_a_tick_without_a_database_is_counted(world, monkeypatch):
    reconciler = Reconciler(world.services, every=timedelta(milliseconds=20))
    monkeypatch.setattr(type(world.services.store), "transaction", lambda _: (_ for _ in ()).throw(OSError("away")))

    reconciler.start()
    wait_until(lambda: shown(world.services.recorder, "wavegate_controller_tick_failures_total") > 0)
    reconciler.close()

    assert shown(world.services.recorder, "wavegate_controller_last_tick_timestamp_seconds") == 0


def logged(template, *args, exc_info=None):
    record = logging.LogRecord("wavegate", logging.INFO, "file", 1, template, args, exc_info)
    document = json.loads(JsonFormatter().format(record))
    assert document.pop("time").endswith("+00:00")
    assert (document.pop("level"), document.pop("logger")) == ("info", "wavegate")
    return document


@pytest.mark.parametrize(
    ("line", "document"),
    [
        (
            ("action=%s flag=%s weight=%d: %s", "roll_back", "a b=c: d", 7, "it is 50% = much"),
            {"action": "roll_back", "flag": "a b=c: d", "weight": 7, "message": "it is 50% = much"},
        ),
        (
            ("action=message_%s error=%r", "dead", 'no "host"\nat all'),
            {"action": "message_dead", "error": 'no "host"\nat all'},
        ),
        (
            ("action=serving url=http://%s:%d role=%s", "::1", 80, "data"),
            {"action": "serving", "url": "http://::1:80", "role": "data"},
        ),
        (
            ("action=open whoever has a=b may do 100 %% of it",),
            {"action": "open", "message": "whoever has a=b may do 100 %% of it"},
        ),
        (("action=stopped",), {"action": "stopped"}),
        (("action=x level=%s message=%s", "high", None), {"action": "x", "level_": "high", "message_": None}),
        (("of a library: %s=%d", "n", 1), {"message": "of a library: n=1"}),
    ],
)
def test_a_line_for_machines_has_the_values_of_its_keys(line, document):
    assert logged(*line) == document


def test_a_line_for_machines_holds_the_traceback_of_what_went_wrong():
    with pytest.raises(OSError, match="disk full") as raised:
        (Path(__file__) / "disk full").read_text()

    document = logged("action=tick_failed", exc_info=(raised.type, raised.value, raised.tb))

    assert document["error"].startswith("NotADirectoryError")
    assert "disk full" in document["traceback"].splitlines()[-1]


def test_requests_are_counted_by_operation_and_nonsense_is_one_operation(world):
    recorder = PrometheusRecorder()
    app = make_flask(world.services, recorder, Config(open=True))
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    world.flag()
    ask = app.test_client().open

    for method, path in (
        ("GET", "/api/v1/flags"),
        ("GET", "/api/v1/flags/ai-summaries"),
        ("GET", "/api/v1/flags/nobody-has-it"),
        ("GET", "/flags/ai-summaries"),
        ("BREW", "/coffee/1"),
        ("BREW", "/coffee/2"),
        ("GET", "/broken"),
    ):
        ask(path, method=method)

    counted = {
        (sample.labels["operation"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in recorder._registry.collect()
        for sample in family.samples
        if sample.name == "wavegate_controller_requests_total"
    }
    assert counted == {
        ("list_flags", "GET", "2xx"): 1,
        ("show_flag", "GET", "2xx"): 1,
        ("show_flag", "GET", "4xx"): 1,
        ("web.flag", "GET", "2xx"): 1,
        ("other", "other", "4xx"): 2,
        ("broken", "GET", "5xx"): 1,
    }
    assert shown(recorder, "wavegate_controller_request_seconds_count", operation="show_flag") == 2


def test_how_long_a_request_took_is_told():
    told, times = [], iter([10.0, 10.5])
    app = Flask("app")
    tell_requests(app, lambda *which, **how: told.append((*which, how)), clock=lambda: next(times))
    app.add_url_rule("/", "root", lambda: "yes")

    app.test_client().get("/")

    assert told == [("root", {"method": "GET", "status": 200, "seconds": 0.5})]


def test_spans_without_opentelemetry_are_refused_by_name(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(Invalid, match="otel"):
        open_spans(wanted=True)


def test_no_spans_are_no_reason_to_load_opentelemetry():
    assert isinstance(open_spans(wanted=False), NoSpans)
