"""The page's FastAPI app, called in this process and under a real uvicorn."""

import asyncio
import importlib
import os
import subprocess
import sys
import threading

import httpx
import pytest

from support.listings import RULESET, totals, write_listings
from support.stand_in import StandIn
from support.waiting import wait_until
from wavegate.testing import fixed


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(RULESET)
        yield controller


@pytest.fixture
def shop(tmp_path, monkeypatch, controller):
    write_listings("integrations.md", tmp_path)
    monkeypatch.setenv("WAVEGATE_URL", controller.url)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("fastapi_shop")


def test_the_client_lives_as_long_as_the_app(shop):
    async def ask():
        # What Starlette's own test client does, without the library that it asks for.
        transport = httpx.ASGITransport(shop.app, raise_app_exceptions=False)
        async with shop.lifespan(shop.app), httpx.AsyncClient(transport=transport, base_url="http://shop") as app:
            assert shop.app.state.gate.wait_ready(10)
            before = totals((await app.get("/metrics/")).text)
            paths = ("/summary/anna", "/stream/anna", "/banner/anna", "/summary/unlucky")
            answers = [await app.get(path) for path in paths]
            return before, answers, totals((await app.get("/metrics/")).text)

    (requests, bad), (*answers, failed), (after, bad_after) = asyncio.run(ask())

    assert [answer.text for answer in answers] == ["three points", "three points", "new"]
    assert failed.status_code == 500
    assert after - requests == {"on": 3}
    assert bad_after - bad == {"error": 1}
    assert "wavegate-poller" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def url(tmp_path, controller):
    """Of the app under uvicorn."""
    write_listings("integrations.md", tmp_path)
    command = [sys.executable, "-m", "uvicorn", "fastapi_shop:app", "--port=0"]
    environment = os.environ | {"WAVEGATE_URL": controller.url}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            started = next(line for line in lines if "running on" in line)
            # Read on, so that it never waits for somebody who reads.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield started.split("running on ")[1].split()[0]
        finally:
            process.terminate()
            process.wait(10)


def test_many_at_once_are_answered_and_counted_under_uvicorn(url):
    async def ask_all():
        async with httpx.AsyncClient(base_url=url, trust_env=False) as app:
            paths = [f"/{'stream' if number % 2 else 'summary'}/user-{number}" for number in range(60)]
            return await asyncio.gather(*(app.get(path) for path in paths))

    wait_until(lambda: httpx.get(f"{url}/banner/anna", trust_env=False).text == "new")
    answers = asyncio.run(ask_all())

    assert {answer.text for answer in answers} == {"three points"}
    assert totals(httpx.get(f"{url}/metrics/", trust_env=False).text) == ({"on": 60}, {})


def test_who_hangs_up_in_the_middle_is_no_outcome(shop):
    """The stream is closed after its first word, as the server does when the reader is gone."""
    gate = fixed({"ai-summaries": True})

    async def hang_up():
        answer = await shop.stream("anna", gate)
        words = answer.body_iterator
        first = await anext(words)
        await words.aclose()
        return first

    assert asyncio.run(hang_up()) == "three "
    assert gate.outcomes == []
