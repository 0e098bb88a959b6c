"""examples/, each run as its README says: a real controller, the app under its own server, and users who ask it.

Those tests are slow; a quick one of each shows that it starts and does what it is for.
"""

import asyncio
import importlib
import os
import re
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from urllib.request import urlopen

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import wavegate
from support.listings import totals
from support.terminal import ROOT, Terminal
from support.waiting import wait_until as wait

EXAMPLES = ROOT / "examples"
#: Each look is several processes, so a busy machine needs its time.
wait_until = partial(wait, timeout=120)
#: Those whose users get a text that begins with NEW, or another one; with the flag of each.
TEXTS = {"flask": "ai-summaries", "fastapi": "ai-answers", "django": "ai-replies", "celery": "ai-digests"}
NEW = "In short:"
USERS = 10
#: Fetched from npm, so it is run by `make test-node`.
NODE = pytest.mark.skipif("WAVEGATE_TEST_NODE" not in os.environ, reason="run by `make test-node`")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("example", "flag"), [*TEXTS.items(), pytest.param("node", "ai-titles", marks=NODE)], ids=[*TEXTS, "node"]
)
def test_users_get_what_the_rollout_says(example, flag, tmp_path):
    with Terminal(example, tmp_path) as terminal:
        begin, create, ask, promote, roll_back = terminal.blocks
        terminal.type(begin)
        terminal.type(create)

        wait_until(lambda: 0 < terminal.type(ask).count(NEW) < USERS, what="new for some")
        terminal.type(promote)
        wait_until(lambda: terminal.type(ask).count(NEW) == USERS, what="new for all")
        terminal.type(roll_back)
        wait_until(lambda: terminal.type(ask).count(NEW) == 0, what="old for all")

        (metrics,) = re.findall(r"""SCRAPE_TARGETS='\["(.*?)"]'""", begin)
        wait_until(lambda: is_counted(metrics, flag), what="both variants in what the gates read")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_gates_on_genai_metrics_open_the_waves_of_a_good_model_and_take_back_a_dear_one(tmp_path):
    with Terminal("llm", tmp_path) as terminal:
        begin, create, ask, large, eager = terminal.blocks
        terminal.type(begin)
        terminal.type(create)
        wait_until(lambda: terminal.type(ask).count("small:") == USERS, what="the small model for all")

        watched = terminal.type(large)
        assert "answer-model:1 completed 100 % gates_passed" in watched
        wait_until(lambda: terminal.type(ask).count("large:") == USERS, what="the large model for all")
        before = terminal.type(ask)

        watched = terminal.type(eager)
        assert re.search(r"answer-model:2 rolled_back 0 % breach: tokens: \d+", watched), watched
        wait_until(lambda: terminal.type(ask) == before, what="the same answers as before for all")


def is_counted(metrics, flag):
    with urlopen(metrics, timeout=10) as answer:
        requests, bad = totals(answer.read().decode(), flag)
    return requests["on"] >= USERS and requests["off"] >= USERS and not bad["error"]


def test_every_example_is_on_its_page():
    page = (ROOT / "docs" / "apps.md").read_text(encoding="utf-8")

    on_the_page = set(re.findall(r"include\} \.\./examples/(\w+)/README\.md", page))
    assert on_the_page == {each.parent.name for each in EXAMPLES.glob("*/README.md")}


@pytest.mark.parametrize("example", sorted(each.parent.name for each in EXAMPLES.glob("*/requirements.txt")))
def test_what_an_example_needs_is_in_the_lock_file(example):
    for requirement in (EXAMPLES / example / "requirements.txt").read_text(encoding="utf-8").split():
        assert version(requirement)


@pytest.fixture
def load(monkeypatch):
    """A module of an example, made anew with those beside it."""

    def load(example, name):
        monkeypatch.syspath_prepend(EXAMPLES / example)
        for file in (EXAMPLES / example).glob("*.py"):
            sys.modules.pop(file.stem, None)
        return importlib.import_module(name)

    return load


def client(flag, weight, *, off=False, on=True):
    rollout = {"stable": "off", "candidate": "on", "weight": weight}
    document = {"variants": {"on": on, "off": off}, "default_variant": "off", "rollout": rollout}
    return wavegate.Client.offline({"schema": 1, "environment": "production", "revision": 1, "flags": {flag: document}})


@pytest.mark.parametrize(("weight", "answer"), [(100_000, "In short: 3 things happened."), (0, "The loop is closed")])
def test_flask(load, weight, answer):
    app = load("flask", "app").create_app(client("ai-summaries", weight)).test_client()
    before, _ = totals(app.get("/metrics").text, "ai-summaries")

    assert app.get("/summary/ann").text == answer
    after, _ = totals(app.get("/metrics").text, "ai-summaries")
    assert after - before == {"on" if weight else "off": 1}


def test_fastapi(load):
    app = load("fastapi", "app").create_app(client("ai-answers", 100_000))

    async def ask():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as user,
        ):
            before = totals((await user.get("/metrics/")).text, "ai-answers")
            answer = await user.get("/answer/ann")
            thumbs = await user.post("/feedback/ann", params={"thumbs_up": False})
            return before, answer, thumbs, totals((await user.get("/metrics/")).text, "ai-answers")

    (requests, bad), answer, thumbs, (requests_after, bad_after) = asyncio.run(ask())

    assert answer.text == "In short: 4 words, one switch."
    assert thumbs.status_code == httpx.codes.NO_CONTENT
    assert requests_after - requests == {"on": 1}
    assert bad_after - bad == {"thumbs_down": 1}


#: In a process of its own, because Django can be set up only once.
ASK_DJANGO = """
import django
django.setup()
from django.apps import apps
from django.test import Client
from wavegate.testing import fixed
apps.get_app_config("shop").gate.close()
apps.get_app_config("shop").gate = gate = fixed({"ai-replies": True})
for mail in ("Where is my parcel?", ""):
    print(Client(headers={"host": "127.0.0.1"}).get("/reply/ann", {"mail": mail}).text)
print([each.bad for each in gate.outcomes])
"""


def test_django():
    asked = subprocess.run(
        [sys.executable, "-c", ASK_DJANGO],
        cwd=EXAMPLES / "django",
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "shop.settings", "WAVEGATE_URL": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert asked.stdout.splitlines() == [
        "In short: your parcel is on its way.",
        "Thank you for your mail. We will be in touch.",
        "[None, 'fallback']",
    ], asked.stderr


def test_celery(load, monkeypatch, wavegate_flags):
    monkeypatch.setenv("WAVEGATE_URL", "http://127.0.0.1:1")
    tasks = load("celery", "tasks")
    with tasks.gate:
        wavegate_flags.replace(tasks.gate)
        wavegate_flags.serve({"ai-digests": True})

        assert tasks.digest("ann", "One thing. And another one.") == "In short: 2 things happened."
    (outcome,) = wavegate_flags.outcomes
    assert outcome.values == {"cost_usd": pytest.approx(0.001)}


def test_llm_counts_what_its_model_read_and_wrote_by_variant(load):
    module = load("llm", "app")
    eager = {"model": "large", "layers": 4, "sentences": 20, "longest": 400}
    app = module.create_app(client("answer-model", 50_000, off=module.SMALL, on=eager))
    try:
        user = app.test_client()
        answers = [user.get(f"/answer/user-{number}", query_string={"question": "Who?"}) for number in range(20)]
        refused = user.get("/answer/user-1", query_string={"question": "who " * 201})
        shown = user.get("/metrics").text
    finally:
        app.extensions["gen_ai_metrics"].close()

    assert refused.status_code == 413
    samples = [each for family in text_string_to_metric_families(shown) for each in family.samples]
    for variant, model in (("off", "small"), ("on", "large")):
        mine = [int(answer.headers["X-Tokens"]) for answer in answers if answer.headers["X-Model"] == model]
        assert mine
        assert summed(samples, "gen_ai_client_token_usage_sum", variant, gen_ai_token_type="output") == sum(mine)
        assert summed(samples, "gen_ai_client_token_usage_sum", variant, gen_ai_token_type="input") == 2 * len(mine)
        assert summed(samples, "gen_ai_client_operation_time_to_first_chunk_seconds_count", variant) == len(mine)
        answered = summed(samples, "gen_ai_client_operation_duration_seconds_count", variant)
        failed = summed(samples, "gen_ai_client_operation_duration_seconds_count", variant, error_type="TooLong")
        assert answered - failed == len(mine)
    assert sum(each.labels.get("error_type") == "TooLong" for each in samples if each.name.endswith("_count")) == 1


def summed(samples, name, variant, **labels):
    wanted = labels | {"feature_flag_key": "answer-model", "feature_flag_result_variant": variant}
    return sum(each.value for each in samples if each.name == name and wanted.items() <= each.labels.items())
