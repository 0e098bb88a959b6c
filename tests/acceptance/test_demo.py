"""The demo as a newcomer's machine runs it: a process, a JSON document, an exit code, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(240)]

WAVEGATE = Path(sys.executable).with_name("wavegate")


@pytest.fixture
def room(tmp_path):
    """The demo's directory for temporary files, which also marks every process that inherits it."""
    return tmp_path


@pytest.fixture
def demo(room):
    """A demo without a person, under way."""
    with subprocess.Popen(
        [WAVEGATE, "demo", "--headless"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(room)},
    ) as process:
        said = []
        while process.poll() is None and "watch it at" not in "".join(said):
            said.append(process.stdout.readline())
        assert process.poll() is None, "".join(said)
        yield process
        process.kill()


def run(room, *arguments, **variables):
    environment = os.environ | {"TMPDIR": str(room)} | variables
    return subprocess.run([WAVEGATE, "demo", *arguments], capture_output=True, text=True, env=environment, check=False)


def processes_of(room):
    mark = f"TMPDIR={room}".encode()
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in environment_of(path)]


def environment_of(path):
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []  # it has just ended, or is somebody else's


def test_the_good_feature_completes_the_bad_one_is_rolled_back_and_an_outage_only_holds(room):
    demo = run(room, "--headless", "--json")

    assert demo.returncode == 0, demo.stderr
    summary = json.loads(demo.stdout)
    assert summary["ok"], summary["failures"]
    assert summary["failures"] == []
    good, bad = summary["features"]["ai-summaries"], summary["features"]["ai-answers"]
    assert (good["state"], good["percent"]) == ("completed", 100)
    assert [move["percent"] for move in good["moves"]] == [10, 25, 50, 100, 100]
    assert (bad["state"], bad["percent"], bad["reason"]) == ("rolled_back", 0, "breach")
    assert bad["moves"][-1]["actor"] == "wavegate", "nobody watches"
    assert 0 < bad["seconds_from_breach_to_decision"] < 20
    decided, off = (bad[f"seconds_from_breach_to_{what}"] for what in ("decision", "last_app_off"))
    assert decided - 1 < off < decided + 5
    assert all(app["answers_since_candidate"] >= 100 for app in bad["apps"].values())
    outage = summary["outage"]
    assert not outage["moved"]
    for feature in outage["features"].values():
        assert set(feature["holds"]) == {"cannot_measure"}
        assert len(feature["percent"]) == len(feature["state"]) == 1
    assert processes_of(room) == []
    assert list(room.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_that_is_killed_leaves_neither_processes_nor_files_behind(demo, room, number):
    # The demo itself, the controller, Prometheus, two apps, and who cleans up after a kill.
    assert len(processes_of(room)) >= 6

    demo.send_signal(number)
    demo.communicate()

    wait_until(lambda: not processes_of(room) and not list(room.iterdir()), what="an empty room")


def test_a_demo_that_cannot_start_says_what_failed(room):
    demo = run(room, "--headless", "--json", WAVEGATE_PROMETHEUS=str(room / "nowhere"))

    assert demo.returncode == 1
    assert "WAVEGATE_PROMETHEUS" in demo.stderr
    assert "Traceback" not in demo.stderr
    assert json.loads(demo.stdout)["ok"] is False


def test_without_a_running_demo_there_is_nothing_to_inject_into(room):
    injecting = run(room, "inject", "errors")

    assert injecting.returncode == 3
    assert "no demo is running" in injecting.stderr
