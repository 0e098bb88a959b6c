"""The provider against a real Prometheus: healthy, stopped, frozen, restarted."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from support.prometheus import now
from support.waiting import wait_until
from wavegate_controller.demo.prometheus import LocalPrometheus, PrometheusError, find_prometheus
from wavegate_controller.domain.counts import BAD_METRIC, REQUESTS_METRIC, CounterSelector, Needs, advance
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.measurement import ArmCounts, Broken, BrokenReason, NoData, NoDataReason, Value
from wavegate_controller.providers import Access, PrometheusProvider

LOOKBACK = timedelta(minutes=1)


class Counted:
    """Reads the counters of one flag as the reconciler does, with a cursor from look to look."""

    def __init__(self, provider, flag):
        self.provider = provider
        self.selector = CounterSelector(flags=(flag,), needs=Needs(bad=frozenset({"error"})))
        self.cursor = None

    def look(self) -> dict[str, ArmCounts]:
        at = now()
        series = self.provider.samples(self.selector, at=at, lookback=LOOKBACK)
        assert not isinstance(series, Broken), series
        increments, self.cursor = advance(self.cursor, series, at=at)
        return {
            variant: ArmCounts(
                requests=round(increments.total(REQUESTS_METRIC, variant)),
                bad=round(increments.total(BAD_METRIC, variant, kinds=["error"])),
            )
            for variant in ("new", "old")
        }


@pytest.fixture(scope="module")
def idle():
    """A Prometheus without targets, which tests may stop and freeze."""
    with LocalPrometheus({}) as server:
        yield server


@pytest.fixture
def provider(prometheus):
    return prometheus.provider


@pytest.mark.parametrize(
    ("promql", "answer"),
    [
        ("vector(42)", Value(value=42.0)),
        ("1.5", Value(value=1.5)),
        ("time() > bool 0", Value(value=1.0)),
        ("no_such_metric", NoData(reason=NoDataReason.EMPTY_RESULT)),
        ("vector(0) / 0", NoData(reason=NoDataReason.NOT_A_NUMBER)),
        ("vector(1) / 0", NoData(reason=NoDataReason.NOT_A_NUMBER)),
        ("-1 / 0", NoData(reason=NoDataReason.NOT_A_NUMBER)),
    ],
)
def test_one_number_or_the_reason_why_there_is_none(provider, promql, answer):
    assert provider.query(promql, at=now()) == answer


@pytest.mark.parametrize(
    ("promql", "reason", "words"),
    [
        ("sum(rate(x[5m])", BrokenReason.QUERY_REJECTED, "unclosed left parenthesis"),
        ("", BrokenReason.QUERY_REJECTED, "no expression found"),
        ("up\ud800", BrokenReason.QUERY_REJECTED, "not Unicode text"),
        ("vector(1) + on() (up or vector(2))", BrokenReason.QUERY_REJECTED, "many-to-many"),
        ("test_mark[5m]", BrokenReason.MALFORMED_RESPONSE, "put it into a function such as rate(...)"),
        ('"text"', BrokenReason.MALFORMED_RESPONSE, "gives a string where one number was meant"),
    ],
)
def test_a_query_that_cannot_work_is_broken_in_prometheus_own_words(provider, start_app, promql, reason, words):
    start_app(flag="broken-queries").wait_scraped()

    answer = provider.query(promql, at=now())

    assert isinstance(answer, Broken)
    assert answer.reason == reason
    assert words in answer.detail


def test_several_series_are_refused_with_their_labels_shown(provider, start_app):
    start_app(flag="several").wait_scraped()

    answer = provider.query('wavegate_requests_total{flag="several"}', at=now())

    assert isinstance(answer, Broken)
    assert answer.reason == BrokenReason.SEVERAL_SERIES
    assert answer.detail.startswith("2 series where one number was meant")
    assert 'variant="new"' in answer.detail
    assert 'variant="old"' in answer.detail


def test_a_query_is_answered_as_of_the_time_asked_for(provider):
    at = now() - timedelta(hours=1)

    answer = provider.query("time()", at=at)

    assert answer == Value(value=pytest.approx(at.timestamp(), abs=0.001))


@pytest.mark.parametrize(
    ("promql", "words"),
    [
        ("sum(", "parse error"),
        ("rate(errors_total)", "expected type range vector"),
        ("errors_total[5m]", "rate(...)"),
        ('"text"', "string"),
    ],
)
def test_checking_refuses_a_query_that_can_never_give_one_number(provider, promql, words):
    refusal = provider.check(promql)

    assert refusal is not None
    assert refusal.reason == BrokenReason.QUERY_REJECTED
    assert words in refusal.detail


@pytest.mark.parametrize("promql", ["not_there_yet", "up", "1 / 0", "vector(1) + on() (up or vector(2))"], ids=str)
def test_checking_lets_pass_what_depends_on_the_data(provider, start_app, promql):
    start_app(flag="checked").wait_scraped()

    assert provider.check(promql) is None


def test_counts_are_exact_whatever_apps_come_restart_and_go(provider, prometheus, start_app):
    steady, restarting = start_app(flag="exact"), start_app(flag="exact")
    steady.count("old", requests=1_000, errors=10)
    restarting.count("new", requests=5)
    for app in (steady, restarting):
        app.wait_scraped()
    counted = Counted(provider, "exact")

    first = counted.look()
    steady.count("old", requests=9)
    restarting.count("new", requests=7, errors=2)
    for app in (steady, restarting):
        app.wait_scraped()
    second = counted.look()
    restarting.start(flag="exact")
    restarting.count("new", requests=6, errors=1)
    arriving = start_app(flag="exact")
    arriving.count("new", requests=4)
    for app in (restarting, arriving):
        app.wait_scraped()
    third = counted.look()
    restarting.count("new", requests=3)
    restarting.wait_scraped()
    restarting.stop()
    wait_until(lambda: provider.query(f'up{{instance=~".*{restarting.path}"}}', at=now()) == Value(value=0.0))
    fourth = counted.look()
    nothing_happened = counted.look()

    # What was counted before the first look belongs to nobody's wave.
    assert first == {"new": ArmCounts(), "old": ArmCounts()}
    assert second == {"new": ArmCounts(requests=7, bad=2), "old": ArmCounts(requests=9)}
    assert third == {"new": ArmCounts(requests=6 + 4, bad=1), "old": ArmCounts()}
    assert fourth == {"new": ArmCounts(requests=3), "old": ArmCounts()}
    assert nothing_happened == {"new": ArmCounts(), "old": ArmCounts()}


def test_samples_are_raw_oldest_first_and_none_is_later_than_asked(provider, start_app):
    app = start_app(flag="raw")
    app.wait_scraped()
    app.count("new", requests=2)
    app.wait_scraped()
    at = now()
    app.count("new", requests=1)
    app.wait_scraped()

    series = provider.samples(CounterSelector(flags=("raw",), needs=Needs()), at=at, lookback=LOOKBACK)

    assert isinstance(series, tuple)
    (only,) = (each for each in series if each.labels["variant"] == "new")
    times, values = zip(*only.samples, strict=True)
    assert only.labels["__name__"] == REQUESTS_METRIC
    assert list(times) == sorted(times)
    assert times[-1] <= at.timestamp()
    assert set(values) == {0.0, 2.0}


def test_a_selector_that_matches_nothing_gives_no_series(provider):
    assert provider.samples(CounterSelector(flags=("nobody-s",), needs=Needs()), at=now(), lookback=LOOKBACK) == ()


def test_counts_stay_exact_over_a_restart_of_prometheus(provider, prometheus, start_app):
    app = start_app(flag="outage")
    app.wait_scraped()
    counted = Counted(provider, "outage")
    counted.look()
    app.count("new", requests=3)
    app.wait_scraped()

    prometheus.stop()
    during = provider.samples(counted.selector, at=now(), lookback=LOOKBACK)
    app.count("new", requests=8, errors=4)
    prometheus.start()
    app.wait_scraped()
    after = counted.look()

    assert isinstance(during, Broken)
    assert during.reason == BrokenReason.UNREACHABLE
    assert after["new"] == ArmCounts(requests=11, bad=4)


def test_a_stopped_prometheus_is_unreachable_until_it_is_back(idle):
    provider = PrometheusProvider(idle.url, timeout=5)

    before = provider.query("vector(1)", at=now())
    idle.stop()
    stopped = provider.query("vector(1)", at=now())
    unchecked = provider.check("sum(")
    idle.start()
    back = provider.query("vector(1)", at=now())
    provider.close()

    assert before == back == Value(value=1.0)
    assert isinstance(stopped, Broken)
    assert stopped.reason == BrokenReason.UNREACHABLE
    assert "Connection refused" in stopped.detail
    assert unchecked is None


def test_a_frozen_prometheus_is_a_timeout_until_it_goes_on(idle):
    provider = PrometheusProvider(idle.url, timeout=0.3)

    idle.pause()
    frozen = provider.query("vector(1)", at=now())
    idle.unpause()
    idle.wait_ready()
    back = provider.query("vector(1)", at=now())
    provider.close()

    assert isinstance(frozen, Broken)
    assert frozen.reason == BrokenReason.TIMEOUT
    assert "0.3 s" in frozen.detail
    assert back == Value(value=1.0)


def test_a_frozen_prometheus_can_be_stopped(idle):
    idle.pause()

    idle.stop()
    stopped = idle.running
    idle.start()

    assert not stopped
    assert idle.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_prometheus_dies_with_a_parent_that_is_killed(tmp_path):
    script = (
        "from wavegate_controller.demo.prometheus import LocalPrometheus\n"
        "import os\n"
        "server = LocalPrometheus({}); server.start()\n"
        "print(server._process.pid, flush=True)\n"
        "input()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "WAVEGATE_PROMETHEUS": str(find_prometheus())}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as parent:
        pid = int(parent.stdout.readline())
        running = is_prometheus(pid)

        parent.send_signal(signal.SIGKILL)
        parent.wait()

    assert running
    wait_until(lambda: not is_prometheus(pid))


def is_prometheus(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "prometheus"
    except FileNotFoundError:
        return False


def test_a_prometheus_that_cannot_start_shows_the_end_of_its_log():
    server = LocalPrometheus({"": []})

    with pytest.raises(PrometheusError, match=r"ended before it could start.*job_name is empty"):
        server.start()
    server.close()


def test_without_a_prometheus_the_refusal_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("WAVEGATE_PROMETHEUS", "/nowhere/prometheus")

    with pytest.raises(PrometheusError, match=r"WAVEGATE_PROMETHEUS=/nowhere/prometheus cannot be run.*make setup"):
        find_prometheus()


def test_a_prometheus_in_the_checkout_is_found_from_below_it(monkeypatch, tmp_path):
    binary = tmp_path / ".tools/prometheus/usr/bin/prometheus"
    binary.parent.mkdir(parents=True)
    binary.touch(mode=0o755)
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.delenv("WAVEGATE_PROMETHEUS", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(below)

    assert find_prometheus() == binary


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "prometheus:9090"}, "url: is not an http or https URL"),
        ({"url": "http://"}, "url: is not a URL"),
        ({"url": "http://host:port"}, "url: is not a URL"),
        ({"url": "http://me:secret@host"}, "url: carries credentials"),
        ({"url": "http://host/?a=1"}, "url: carries a query"),
        ({"timeout": 0}, "timeout: 0 is not a time to wait"),
        ({"timeout": float("nan")}, "timeout: nan is not a time to wait"),
        ({"access": Access(bearer_token="a secret")}, "bearer_token: has spaces"),
        ({"access": Access(bearer_token="a", basic_auth=("b", "c"))}, "bearer_token: is given beside basic_auth"),
        ({"access": Access(basic_auth=("a:b", "secret"))}, "basic_auth: has a colon"),
        ({"access": Access(headers={"X Y": "secret"})}, "headers: 'X Y' is not a header name"),
        ({"access": Access(headers={"X-Key": "secret\r\nHost: x"})}, "headers.X-Key: is not a header value"),
        ({"access": Access(ca_file="/nowhere.pem")}, "ca_file: cannot be used: [Errno 2] No such file"),
        ({"access": Access(ca_file=__file__)}, "ca_file: cannot be used"),
        ({"access": Access(client_cert="/nowhere.pem")}, "client_cert: cannot be used"),
        ({"access": Access(client_key="/nowhere.pem")}, "client_key: is given without client_cert"),
        ({"lag": timedelta(seconds=-1)}, "lag: -1 day, 23:59:59 would ask for the future"),
    ],
)
def test_arguments_that_cannot_work_are_refused_without_showing_a_secret(arguments, message):
    with pytest.raises(Invalid) as refusal:
        PrometheusProvider(**{"url": "http://host", **arguments})

    assert message in str(refusal.value)
    assert "secret" not in str(refusal.value)
