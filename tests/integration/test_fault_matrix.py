"""What each fault of a metrics server does to a rollout: the verdict of both kinds of gates, and that nothing moves.

The rows are the table in docs/prometheus.md; `python tests/integration/test_fault_matrix.py` prints it.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the table; pytest has it already

from support.database import database
from support.faults import (
    COMPLETE,
    Fault,
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
from support.world import KINDS, World
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.service.reconcile import reconcile
from wavegate_controller.store import SqlStore

PAGE = Path(__file__).parents[2] / "docs/prometheus.md"
LATENCY = {"type": "threshold", "name": "latency", "query": "p95", "operator": "<", "limit": 0.8}
ERRORS = {"type": "error_rate", "name": "errors"}
#: Seconds for a whole answer, in rows in which something is meant to be slow and in the others.
HURRY, PATIENCE = 0.3, 20.0
#: Looks that the fault lasts: a minute and a half, longer than the bake time and than samples are fresh.
LOOKS = 6


@dataclass
class Metrics:
    """What the server would say if it were well; the test raises the counters."""

    counters: dict[tuple[str, str, str], float]
    p95: float = 0.3

    @classmethod
    def begin(cls) -> "Metrics":
        metrics = ("wavegate_requests_total", "wavegate_bad_total")
        return cls({(name, variant, kind): 0 for name in metrics for variant in ("on", "off") for kind in KINDS[name]})

    def count(self, *, bad: int = 0) -> None:
        self.counters["wavegate_requests_total", "on", ""] += 60
        self.counters["wavegate_requests_total", "off", ""] += 240
        self.counters["wavegate_bad_total", "on", "error"] += bad
        self.counters["wavegate_bad_total", "off", "error"] += 2

    def series(self, time: float, *, rename=None, change: Callable = lambda value: value, **labels: str) -> list:
        rename = rename or {}
        return [
            {
                "metric": {
                    "__name__": rename.get(name, name),
                    "flag": "ai-summaries",
                    "variant": variant,
                    "instance": "app:1",
                    **({"kind": kind} if kind else {}),
                    **labels,
                },
                "values": [[time, change(value)]],
            }
            for (name, variant, kind), value in self.counters.items()
            if rename.get(name, name)
        ]


def is_samples(handler) -> bool:
    return handler.form["query"][0].endswith("ms]")


def at(handler) -> float:
    return float(handler.form["time"][0])


def well(metrics: Metrics, **changes):
    """Both questions answered; `changes` are made to the counters' series."""

    def behave(handler):
        if is_samples(handler):
            gives("matrix", metrics.series(at(handler), **{"change": str} | changes))(handler)
        else:
            gives_vector([at(handler), str(metrics.p95)])(handler)

    return behave


def of(number: Callable, samples: Callable):
    """One behaviour for the question for a number, another for that for samples."""
    return lambda handler: (samples if is_samples(handler) else number)(handler)


def value(text: str, *, ago: float = 0):
    return lambda handler: gives_vector([at(handler) - ago, text])(handler)


def samples(metrics: Metrics, *, ago: float = 0, twice: str = "", **changes):
    def behave(handler):
        time = at(handler) - ago
        copies = [{twice: "a"}, {twice: "b"}] if twice else [{}]
        gives("matrix", [s for copy in copies for s in metrics.series(time, **{"change": str} | changes | copy)])(
            handler
        )

    return behave


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        behave: makes the behaviour, of the server and of what it would say if it were well.
        number: verdict of a gate on one number.
        counters: verdict of a gate on the SDK's counters.
        url: of a server that is not there; otherwise the fault server's.
    """

    number: str
    counters: str
    behave: Callable[[Fault, Metrics], Callable] | None = None
    url: Callable[[str], str] = str
    timeout: float = PATIENCE


def both(reason: str, behave=None, **more) -> Row:
    return Row(f"cannot_measure: {reason}", f"cannot_measure: {reason}", behave, **more)


def always(behaviour: Callable) -> Callable:
    return lambda _fault, _metrics: behaviour


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
NOT_A_NUMBER = Row(
    "not_enough_data: not_a_number",
    "cannot_measure: malformed_response",
)


def not_a_number(text: str) -> Row:
    return replace(NOT_A_NUMBER, behave=lambda _, m: of(value(text), samples(m, change=lambda _: text)))


FAULTS = {
    "connection refused": both("unreachable", url=lambda _: "http://127.0.0.1:1"),
    "no such host": both("unreachable", url=lambda _: "http://prometheus.invalid:9090"),
    "TLS fails": both("unreachable", always(says(COMPLETE)), url=lambda url: url.replace("http", "https")),
    "connection closed without an answer": both("unreachable", always(writes(b""))),
    "redirect": both("server_error", always(says(b"", status=302, Location="/login"))),
    "400 of a proxy": both("server_error", always(says(b"<html>", status=400))),
    "401": both("unauthorized", always(says(b"", status=401))),
    "403": both("unauthorized", always(says(b"", status=403))),
    "404": both("server_error", always(says(b"", status=404))),
    "422: too many samples": Row(
        "cannot_measure: query_rejected",
        "cannot_measure: too_large",
        always(fails(422, "execution", "query processing would load too many samples into memory")),
    ),
    "429": both("server_error", always(says(b"", status=429))),
    "500": both("server_error", always(fails(500))),
    "503": both("server_error", always(says(b"starting", status=503))),
    "503: the server's own query timeout": both("timeout", always(fails(503, "timeout", "query timed out"))),
    "no answer in time": both("timeout", lambda fault, _: hangs(fault), timeout=HURRY),
    "an answer that trickles": both("timeout", lambda fault, _: trickles(fault, HEADERS), timeout=HURRY),
    "truncated JSON": both("malformed_response", always(says(COMPLETE[:-3]))),
    "body cut off": both("malformed_response", always(writes(HEADERS + COMPLETE))),
    "a web page": both("malformed_response", always(says(b"<html>Sign in</html>"))),
    '`status: "error"` in a 200': both("malformed_response", always(fails(200))),
    "warnings beside the values": both(
        "partial_response",
        lambda _, m: of(
            lambda h: gives_vector([at(h), "0.3"], warnings=["store 2 is away"])(h),
            lambda h: gives("matrix", m.series(at(h), change=str), warnings=["store 2 is away"])(h),
        ),
    ),
    "100 MB body": both("too_large", lambda fault, _: streams_without_end(fault)),
    "empty: wrong tenant, nothing scraped": Row(
        "not_enough_data: empty_result",
        "not_enough_data: stale_samples",
        always(of(gives_vector(), gives("matrix", []))),
    ),
    "NaN": not_a_number("NaN"),
    "+Inf": not_a_number("+Inf"),
    "-Inf": not_a_number("-Inf"),
    "several series where one was meant": Row(
        "cannot_measure: several_series",
        "pass",
        lambda _, m: of(lambda h: gives_vector([at(h), "0.3"], [at(h), "0.4"])(h), samples(m)),
    ),
    "ranges where a number was meant": Row(
        "cannot_measure: malformed_response", "pass", lambda _, m: of(samples(m), samples(m))
    ),
    "a number where samples were meant": Row(
        "pass", "cannot_measure: malformed_response", always(of(value("0.3"), value("0.3")))
    ),
    "scalar": Row(
        "pass",
        "cannot_measure: malformed_response",
        always(lambda h: gives("scalar", [at(h), "0.3"])(h)),
    ),
    "string": both("malformed_response", always(lambda h: gives("string", [at(h), "0.3"])(h))),
    "stale timestamps": Row(
        "not_enough_data: stale_samples",
        "not_enough_data: stale_samples",
        lambda _, m: of(value("0.3", ago=3600), samples(m, ago=3600)),
    ),
    "timestamps from the future": both(
        "malformed_response", lambda _, m: of(value("0.3", ago=-60), samples(m, ago=-60))
    ),
    "an empty label value": Row(
        "pass",
        "cannot_measure: counter_missing",
        lambda _, m: of(
            lambda h: gives("vector", [{"metric": {"pod": ""}, "value": [at(h), "0.3"]}])(h), samples(m, kind="")
        ),
    ),
    "failures renamed": Row(
        "pass", "cannot_measure: counter_missing", lambda _, m: well(m, rename={"wavegate_bad_total": "bad_total"})
    ),
    "failures dropped": Row(
        "pass", "cannot_measure: counter_missing", lambda _, m: well(m, rename={"wavegate_bad_total": ""})
    ),
    "requests renamed": Row(
        "pass",
        "cannot_measure: counter_missing",
        lambda _, m: well(m, rename={"wavegate_requests_total": "requests_total"}),
    ),
    "all counters renamed": Row(
        "pass",
        "not_enough_data: stale_samples",
        lambda _, m: well(m, rename={"wavegate_requests_total": "", "wavegate_bad_total": ""}),
    ),
    "copies of several Prometheus": Row(
        "cannot_measure: several_series",
        "cannot_measure: several_series",
        lambda _, m: of(lambda h: gives_vector([at(h), "0.3"], [at(h), "0.3"])(h), samples(m, twice="replica")),
    ),
}


@pytest.fixture
def fault():
    with fault_server() as told:
        yield told


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        world.flag()
        yield world


class Story:
    """A rollout in its first wave, measured over HTTP, one bad look before a breach and past its bake time."""

    def __init__(self, world: World, fault: Fault, *, url: str, timeout: float) -> None:
        self.world, self.fault, self.metrics = world, fault, Metrics.begin()
        self.good = PrometheusProvider(fault.url, timeout=PATIENCE)
        self.faulty = PrometheusProvider(url, timeout=timeout)
        self._services = world.services
        # Counters without cohorts, as an app may have them that drops labels.
        settings = {"cohorts": 1, "stale_after": "30s"}
        waves = [{"percent": share, "bake": "1m", "target": "2m"} for share in (10, 25, 50, 100)]
        world.started(gates=[LATENCY, ERRORS], guardrail=settings, waves=waves)

    def look(self, *, provider=None, bad: int = 0):
        self.world.clock.advance(seconds=15)
        self.metrics.count(bad=bad)
        return reconcile(replace(self._services, provider=provider or self.good), "ai-summaries:1")

    def well(self, looks: int, **changes):
        self.fault.behaviour = well(self.metrics)
        return [self.look(**changes) for _ in range(looks)][-1]


@pytest.mark.parametrize("row", FAULTS.values(), ids=FAULTS)
def test_a_fault_holds_the_wave_by_name_and_counts_nothing_twice_afterwards(world, fault, row):
    story = Story(world, fault, url=row.url(fault.url), timeout=row.timeout)
    story.well(2)
    story.metrics.p95 = 0.9
    almost = story.well(1, bad=5)
    story.metrics.p95 = 0.3
    fault.behaviour = row.behave(fault, story.metrics) if row.behave else None
    during = [story.look(provider=story.faulty) for _ in range(LOOKS)]

    assert {each.kind for each in almost.verdicts} == {"not_enough_data"}
    assert {each.event for each in during} == {Event.TICK}
    assert (world.rollout().state, world.served()) == (State.RUNNING, 10_000)
    assert [said(each) for each in during[-1].verdicts] == [row.number, row.counters]

    story.faulty.close()
    afterwards = story.well(1)
    story.good.close()

    # Whatever came through or did not: each request once, and none from before the first look.
    figures = afterwards.verdicts[1].figures
    assert figures["candidate_requests"] == 60 * (2 + LOOKS + 1)
    assert figures["candidate_bad"] == 5


@pytest.mark.parametrize(
    "change",
    [lambda value: str(max(0, value - 300)), str],
    ids=["every counter fell", "after a gap"],
)
def test_a_reset_or_a_gap_is_no_fault_and_no_evidence(world, fault, change):
    story = Story(world, fault, url=fault.url, timeout=PATIENCE)
    story.well(2)
    fault.behaviour = of(value("0.3"), gives("matrix", []))
    story.look()
    fault.behaviour = well(story.metrics, change=change)
    decision = story.look()

    assert decision.verdicts[1].value <= 1
    assert world.rollout().state is State.RUNNING


def test_a_true_breach_rolls_back_as_soon_as_it_is_seen(world, fault):
    story = Story(world, fault, url="http://127.0.0.1:1", timeout=HURRY)
    story.well(2)
    unseen = [story.look(provider=story.faulty, bad=40) for _ in range(3)]
    fault.behaviour = well(story.metrics)
    story.look(bad=40)

    assert {each.event for each in unseen} == {Event.TICK}
    assert (world.rollout().state, world.served()) == (State.ROLLED_BACK, 0)


def said(verdict) -> str:
    return verdict.kind.value if verdict.kind == "pass" else f"{verdict.kind}: {verdict.reason}"


def table() -> str:
    def cell(text: str) -> str:
        kind, _, reason = text.partition(": ")
        return f"`{kind}`" + (f", `{reason}`" if reason else "")

    rows = [f"| {name} | {cell(row.number)} | {cell(row.counters)} |" for name, row in FAULTS.items()]
    return "\n".join(["| fault | gate on one number | gate on the SDK's counters |", "| --- | --- | --- |", *rows])


def test_the_manual_has_this_table():
    assert table() in PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table())
