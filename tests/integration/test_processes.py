"""Several processes on one PostgreSQL, each with its role; one alone on SQLite; and how they end."""

import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import requests

from support.controllers import ControllerProcess
from support.data_plane import following
from support.database import sqlite_url
from support.live_controller import WAVEGATE, environment
from support.waiting import wait_until
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.store import OnlyProcess, open_engine


def test_sqlite_is_refused_to_a_second_process_which_says_who_has_it_until_that_one_is_killed(tmp_path):
    url = sqlite_url(tmp_path)
    with ControllerProcess(url) as first:
        first.wait_ready()
        refused = [
            subprocess.run(
                [WAVEGATE, *command],
                env=environment(WAVEGATE_DATABASE_URL=url, WAVEGATE_PORT="0"),
                capture_output=True,
                text=True,
                check=False,
            )
            for command in (["serve"], ["db", "upgrade"])
        ]
        first.kill()

    for each in refused:
        assert each.returncode == 2
        assert f"wavegate.db is in use by process {first.process.pid}, and SQLite is for one process" in each.stderr
        assert "PostgreSQL for several processes" in each.stderr
    engine = open_engine(url)
    OnlyProcess(engine).close()
    engine.dispose()


def test_a_database_has_one_lock_whatever_name_leads_to_it(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "data" / "wavegate.db")
    engines = [open_engine(sqlite_url(tmp_path / "data")), open_engine(f"sqlite:///{tmp_path}/link.db")]
    alone = OnlyProcess(engines[0])

    with pytest.raises(Invalid, match="is in use by process"):
        OnlyProcess(engines[1])
    alone.close()
    OnlyProcess(engines[1]).close()
    for engine in engines:
        engine.dispose()


def test_any_number_of_processes_may_share_a_postgres(postgres_url):
    engine = open_engine(postgres_url)
    for _ in range(2):
        OnlyProcess(engine)
    engine.dispose()


def status(controller: ControllerProcess, path: str) -> int:
    return requests.get(controller.url + path, timeout=10).status_code


@pytest.mark.slow
def test_each_process_plays_its_role_and_what_one_commits_all_others_serve(postgres_url):
    with (
        ControllerProcess(postgres_url, WAVEGATE_ROLE="control") as control,
        ControllerProcess(postgres_url, WAVEGATE_ROLE="data") as data,
        ControllerProcess(postgres_url, WAVEGATE_ROLE="reconcile") as reconcile,
    ):
        processes = [control.wait_ready(), data.wait_ready(), reconcile.wait_ready()]
        paths = ("/healthz", "/metrics", "/api/v1/flags", "/sdk/v1/ruleset")
        answered = [[status(each, path) for path in paths] for each in processes]
        created = requests.post(f"{control.url}/api/v1/flags", json={"key": "ai-summaries"}, timeout=10)
        wait_until(lambda: requests.get(f"{data.url}/sdk/v1/ruleset", timeout=10).json()["flags"].get("ai-summaries"))

    assert answered == [[200, 200, 200, 404], [200, 200, 404, 200], [200, 200, 404, 404]]
    assert created.status_code == 201


@pytest.mark.slow
def test_a_key_that_is_revoked_at_one_process_ends_its_streams_at_all_others(postgres_url):
    with (
        ControllerProcess(postgres_url, WAVEGATE_ROLE="control") as control,
        ControllerProcess(postgres_url, WAVEGATE_ROLE="data") as data,
    ):
        keys = f"{control.wait_ready().url}/api/v1/keys"
        address = SimpleNamespace(port=int(data.wait_ready().url.rpartition(":")[2]))
        made = [requests.post(keys, json={"name": name}, timeout=10).json() for name in ("shop", "till")]
        wait_until(
            lambda: all(
                requests.get(
                    f"{data.url}/sdk/v1/ruleset", headers={"Authorization": f"Bearer {each['secret']}"}, timeout=10
                ).ok
                for each in made
            )
        )
        with (
            following(address, key=made[0]["secret"]) as revoked,
            following(address, key=made[1]["secret"]) as kept,
        ):
            revoked.next()
            ended = requests.post(f"{keys}/{made[0]['credential']['id']}/revoke", json={}, timeout=10)
            cut = revoked.read_to_end()
            requests.post(f"{control.url}/api/v1/flags", json={"key": "ai-summaries"}, timeout=10).raise_for_status()
            while "ai-summaries" not in kept.body.decode():
                kept.next()

    assert ended.ok
    assert cut


def test_processes_that_start_at_once_on_an_empty_postgres_all_begin(postgres):
    with (
        postgres.empty_database() as url,
        ControllerProcess(url) as first,
        ControllerProcess(url) as second,
    ):
        assert [status(each.wait_ready(), "/healthz") for each in (first, second)] == [200, 200]
        first.kill()
        second.kill()


_STOPPED_AT_ONCE = """
import os, signal
from wavegate_controller import bootstrap

class StoppedAtOnce(bootstrap.DataPlaneServer):
    def run(self, sockets):
        os.kill(os.getpid(), signal.SIGTERM)
        super().run(sockets)

bootstrap.DataPlaneServer = StoppedAtOnce
bootstrap.run(None, bootstrap.listen("127.0.0.1", 0))
print("stopped in order")
"""


def test_a_stop_that_comes_before_the_server_listens_to_signals_is_heard():
    command = [sys.executable, "-c", _STOPPED_AT_ONCE]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)

    assert process.stdout == "stopped in order\n", process.stderr


def test_a_stop_does_not_wait_for_a_prometheus_that_hangs(postgres_url):
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        prometheus = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        settings = {
            "WAVEGATE_PROMETHEUS_URL": prometheus,
            "WAVEGATE_PROMETHEUS_TIMEOUT": "60s",
            "WAVEGATE_TICK": "100ms",
        }
        with ControllerProcess(postgres_url, **settings) as controller:
            controller.wait_ready()
            api = f"{controller.url}/api/v1"
            requests.post(f"{api}/flags", json={"key": "ai-summaries"}, timeout=10).raise_for_status()
            plan = {"gates": [{"type": "error_rate"}], "interval": "1s"}
            rollout = {"flag": "ai-summaries", "plan": plan, "actor": "anna"}
            requests.post(f"{api}/rollouts", json=rollout, timeout=10).raise_for_status()
            started = requests.post(f"{api}/rollouts/ai-summaries:1/start", json={"actor": "anna"}, timeout=10)
            hanging.settimeout(30)
            asked, _ = hanging.accept()
            controller.signal(signal.SIGTERM)
            code = controller.wait(timeout=20)
            asked.close()

    assert started.status_code == 200
    assert code == 0
    assert "action=stopped" in "".join(controller.log)
