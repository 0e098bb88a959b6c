"""An app under real gunicorn, preloaded, with three workers and prometheus_client's multi-process mode."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from support.stand_in import HALF, StandIn, document
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]
WORKERS = 3
ARMS = ("on", "off")


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(document(1, **HALF))
        yield controller


@pytest.fixture
def gunicorn(controller, tmp_path):
    """The app's URL and its process."""
    (tmp_path / "metrics").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--preload", f"--workers={WORKERS}", f"--bind=127.0.0.1:{port}"]
    variables = {
        "CONTROLLER": controller.url,
        "CACHE": str(tmp_path / "ruleset.json"),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
    }
    with subprocess.Popen(
        [*command, "--log-level=warning", "--no-control-socket", "support.preloaded_app:app"],
        cwd=TESTS,
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _answers(url) or process.poll() is not None, what="gunicorn")
            yield url, process
        finally:
            process.terminate()
            process.wait(20)
        noise = [line for line in process.stderr if "was sent SIGKILL" not in line]
        assert noise == []


def _answers(url):
    try:
        return requests.get(f"{url}/metrics", timeout=5).ok
    except requests.ConnectionError:
        return False


def ask_every_worker(url, condition, timeout=20):
    """Requests until the latest answer of each worker meets the condition; answers how many there were."""
    latest, count, end = {}, 0, time.monotonic() + timeout
    while len(latest) < WORKERS or not all(condition(answer) for answer in latest.values()):
        assert time.monotonic() < end, latest
        answer = requests.get(f"{url}/user-{count}", timeout=5).json()
        latest[answer["worker"]] = answer
        count += 1
    return count


def totals(families):
    added = {}
    for family in families:
        for sample in family.samples:
            added[sample.name] = added.get(sample.name, 0) + sample.value
    return added


def scraped(url):
    """All metrics at one moment; none while a worker is making its files."""
    answer = requests.get(f"{url}/metrics", timeout=5)
    return list(text_string_to_metric_families(answer.text)) if answer.ok else []


def test_preloaded_workers_hear_of_changes_and_count_everything_once(gunicorn, controller, tmp_path):
    url, process = gunicorn

    first = ask_every_worker(url, lambda answer: answer["revision"] == 1)
    controller.serve(document(2, **HALF))
    second = ask_every_worker(url, lambda answer: answer["revision"] == 2)
    all_requests = first + second
    expected = {
        "wavegate_requests_total": all_requests,
        "wavegate_evaluations_total": 2 * all_requests,
        "wavegate_duration_seconds_count": all_requests,
    }
    scrapes = []

    def everything_is_shown():
        # One at a time: a scrape may read a worker's files in the midst of a fold.
        scrapes.append(scraped(url))
        shown = totals(scrapes[-1])
        return all(shown.get(name) == count for name, count in expected.items())

    wait_until(everything_is_shown, timeout=10)
    seen = scrapes[-1]
    # And what was counted since the last fold is there when the workers have ended.
    for number in range(30):
        requests.get(f"{url}/late-{number}", timeout=5)
    process.terminate()
    assert process.wait(20) == 0

    metrics = totals(seen)
    series = [
        sample
        for family in seen
        for sample in family.samples
        if sample.name == "wavegate_bad_total" and sample.value == 0
    ]
    assert len(series) == len(ARMS) * 17 * 5
    assert metrics["wavegate_ruleset_revision"] == 2
    assert metrics["wavegate_stream_connected"] == 1
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(tmp_path / "metrics"))
    at_the_end = totals(registry.collect())
    assert at_the_end["wavegate_requests_total"] == all_requests + 30
    assert at_the_end["wavegate_value_total"] == pytest.approx((all_requests + 30) * 0.25, abs=5)


def test_a_worker_that_replaces_a_dead_one_is_up_to_date(gunicorn, controller):
    url, _ = gunicorn
    before = requests.get(f"{url}/user-1", timeout=5).json()["worker"]
    controller.serve(document(2, **HALF))

    os.kill(before, 9)
    workers = set()

    def replaced():
        try:
            answer = requests.get(f"{url}/user-1", timeout=5).json()
        except requests.ConnectionError:
            return False
        if answer["revision"] == 2:
            workers.add(answer["worker"])
        return len(workers) == WORKERS

    wait_until(replaced)
    assert before not in workers
