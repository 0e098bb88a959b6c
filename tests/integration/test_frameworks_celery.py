"""The page's Celery app under a real prefork worker; files in a folder are its broker."""

import json
import os
import subprocess
import sys

import pytest

from support.listings import RULESET, write_listings
from support.stand_in import StandIn
from support.waiting import wait_until

CELERYCONFIG = """
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control", "polling_interval": 0.05,
}
"""
CALLER = """
import json, celery_shop
celery_shop.app.config_from_object("celeryconfig")
for user in json.loads(input()):
    celery_shop.summarize.delay(user, "a long text")
celery_shop.gate.close()
"""
#: On a busy machine one worker could take all tasks: each waits in its first one until the other has one, too.
WORKER = """
import multiprocessing
import celery.signals
import celery_shop
both, begun = multiprocessing.Barrier(2), []

@celery.signals.task_prerun.connect(weak=False)
def wait_for_the_other(**_):
    if not begun:
        begun.append(True)
        both.wait(60)

celery_shop.app.config_from_object("celeryconfig")
celery_shop.gate.wait_ready(10)
celery_shop.app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=INFO",
                             "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


@pytest.fixture
def controller():
    with StandIn() as controller:
        controller.serve(RULESET)
        yield controller


@pytest.fixture
def run(tmp_path, controller):
    """Runs code beside the listing."""
    write_listings("integrations.md", tmp_path)
    (tmp_path / "queue").mkdir()
    (tmp_path / "celeryconfig.py").write_text(CELERYCONFIG)
    environment = os.environ | {"WAVEGATE_URL": controller.url, "CELERY_BROKER_URL": "filesystem://"}

    def run(code, log):
        with log.open("w") as output:
            return subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    return run


@pytest.mark.slow
def test_forked_workers_count_every_task_once(run, controller, tmp_path):
    users = [f"user-{number}" for number in range(30)] + ["unlucky"] * 3
    log = tmp_path / "worker.log"
    worker = run(WORKER, log)
    try:
        run(CALLER, tmp_path / "caller.log").communicate(json.dumps(users), timeout=60)
        wait_until(lambda: log.read_text().count("succeeded") == 30 and log.read_text().count("raised") == 3)
    finally:
        worker.terminate()
        worker.communicate(timeout=30)

    arms = [(post["instance"], arm) for post in controller.posts() for arm in post["arms"]]
    assert sum(sum(arm.get("requests", [])) for _, arm in arms) == 33, log.read_text()
    assert sum(sum(arm.get("bad", {}).get("error", [])) for _, arm in arms) == 3
    assert sum(sum(arm.get("values", {}).get("cost_usd", [])) for _, arm in arms) == pytest.approx(30 * 0.002)
    assert {arm["variant"] for _, arm in arms if sum(arm.get("requests", []))} == {"on"}
    assert len({instance for instance, arm in arms if sum(arm.get("requests", []))}) == 2
