"""Counts that apps post: added up once, and shown to Prometheus under the SDK's own names."""

import json
from pathlib import Path
from typing import get_args

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from support.live_controller import live_controller
from support.waiting import wait_until
from wavegate import Client
from wavegate.client import counters
from wavegate_controller.delivery import PostedCounts
from wavegate_controller.documents import counts as documents
from wavegate_controller.documents.counts import read_counts
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.telemetry import PrometheusRecorder

SPEC = json.loads((Path(__file__).parents[1] / "spec" / "counts.json").read_text(encoding="utf-8"))
VARIANTS = {"ai-summaries": frozenset({"on", "off"})}


def exposed(exposition: str) -> dict[tuple[str, frozenset], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


@pytest.mark.parametrize("case", SPEC["accepted"], ids=lambda case: case["why"])
def test_what_is_posted_is_shown(case):
    recorder, posted = PrometheusRecorder(), PostedCounts()
    recorder.show(posted.totals, bounds=documents.BOUNDS)

    for post in case["posts"]:
        posted.take(read_counts(json.dumps(post).encode()), environment="production", variants=VARIANTS)

    shown = exposed(recorder.exposition().decode())
    for series in case["series"]:
        labels = series["labels"] | {"environment": "production"}
        assert shown[series["name"], frozenset(labels.items())] == series["value"], series


@pytest.mark.parametrize("case", SPEC["refused"], ids=lambda case: case["why"])
def test_what_makes_no_sense_is_refused(case):
    with pytest.raises(Invalid):
        read_counts(json.dumps(case["document"]).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_document_is_refused(body: bytes):
    with pytest.raises(Invalid):
        read_counts(body)


def test_flags_and_variants_that_nobody_has_make_no_series():
    posted = PostedCounts()
    arm = {"flag": "made-up", "variant": "on"}
    other = {"flag": "ai-summaries", "variant": "made-up"}
    document = {"schema": 1, "instance": "0" * 32, "sequence": 1, "arms": [arm, other], "evaluations": []}

    posted.take(read_counts(json.dumps(document).encode()), environment="production", variants=VARIANTS)

    assert exposed_of(posted) == {}


def exposed_of(posted):
    recorder = PrometheusRecorder()
    recorder.show(posted.totals, bounds=documents.BOUNDS)
    return {
        (name, labels): value
        for (name, labels), value in exposed(recorder.exposition().decode()).items()
        if "flag" in dict(labels)
    }


def test_the_same_flag_in_two_environments_is_counted_in_each():
    posted = PostedCounts()
    for number, environment in enumerate(("production", "staging"), 1):
        arm = {"flag": "ai-summaries", "variant": "on", "requests": [number] + [0] * 16}
        document = {"schema": 1, "instance": f"{number}" * 32, "sequence": 1, "arms": [arm], "evaluations": []}
        posted.take(read_counts(json.dumps(document).encode()), environment=environment, variants=VARIANTS)

    labels = {"flag": "ai-summaries", "variant": "on", "cohort": "0"}
    shown = exposed_of(posted)
    assert [
        shown["wavegate_requests_total", frozenset((labels | {"environment": name}).items())]
        for name in ("production", "staging")
    ] == [1, 2]


def test_sdk_and_controller_agree_on_the_kinds_and_the_buckets():
    assert set(get_args(documents.BadKind)) == set(counters.BadKind)
    assert set(get_args(documents.ValueKind)) == set(counters.ValueKind)
    assert documents.BOUNDS == counters.DURATION_BOUNDS
    assert len(counters.COHORT_NAMES) == documents.PLACES


def test_an_app_without_a_scrape_endpoint_is_counted_by_the_controller(tmp_path: Path):
    with live_controller(tmp_path) as url:
        requests.post(f"{url}/api/v1/flags", json={"key": "ai-summaries"}, timeout=5).raise_for_status()
        client = Client(url, post_counts=True, poll_interval=0.05, post_interval=0.05)
        assert client.wait_ready(10)
        wait_until(lambda: client.revision == 2)
        for _ in range(3):
            with client.trial("ai-summaries", "user-1"):
                pass
        client.close()

        shown = exposed(requests.get(f"{url}/metrics", timeout=5).text)

    counted = [value for (name, labels), value in shown.items() if name == "wavegate_requests_total" and value]
    assert counted == [3]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 401),
        (b"{}", {"Authorization": "Bearer nobody's key at all"}, 401),
        (b"{}", {"Authorization": "Bearer 0123456789abcdef"}, 422),
        (b"x" * (2 * 1024 * 1024), {"Authorization": "Bearer 0123456789abcdef"}, 413),
    ],
)
def test_counts_are_taken_only_whole_small_and_with_a_key(tmp_path: Path, body: bytes, headers: dict, status: int):
    with live_controller(tmp_path, WAVEGATE_SDK_KEYS='["0123456789abcdef"]') as url:
        answer = requests.post(f"{url}/sdk/v1/counts", data=body, headers=headers, timeout=5)

        assert answer.status_code == status
        assert requests.get(f"{url}/sdk/v1/counts", headers=headers, timeout=5).status_code == 405
