"""`wavegate doctor`, `status`, `events` and `completion`."""

import json

import pytest
from click.testing import CliRunner

from support.database import sqlite_url
from support.live_controller import NOWHERE, live_controller
from wavegate_controller.cli import main
from wavegate_controller.remote import RemoteController


def wavegate(*arguments, **variables):
    return CliRunner().invoke(main, arguments, env=variables)


def examined(**variables):
    done = wavegate("doctor", "--json", **{"WAVEGATE_PROMETHEUS_URL": NOWHERE, "WAVEGATE_URL": NOWHERE} | variables)
    return done.exit_code, {each["check"]: each for each in json.loads(done.stdout)}


def test_a_setting_that_cannot_be_used_is_all_that_is_looked_at():
    code, found = examined(WAVEGATE_PORT="many")

    assert (code, list(found)) == (1, ["settings"])
    assert "WAVEGATE_PORT" in found["settings"]["found"]


def test_what_is_missing_is_named_with_what_to_do(tmp_path):
    code, found = examined(WAVEGATE_DATABASE_URL=sqlite_url(tmp_path))

    states = {check: finding["state"] for check, finding in found.items()}
    assert code == 1
    assert states.items() >= {"settings": "ok", "database": "failed", "metrics server": "failed"}.items()
    assert states["controller"] == "warning"
    assert all(finding["do"] for finding in found.values() if finding["state"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_controller_and_a_prometheus_that_work_are_found_well(new_sqlite_url, prometheus):
    code, found = examined(WAVEGATE_DATABASE_URL=new_sqlite_url, WAVEGATE_PROMETHEUS_URL=prometheus.url)

    well = {check for check, finding in found.items() if finding["state"] == "ok"}
    assert {"settings", "database", "schema", "reconciler", "metrics server"} <= well
    assert code == (1 if any(finding["state"] == "failed" for finding in found.values()) else 0)


def test_a_person_reads_a_line_for_each_check_and_what_to_do(tmp_path):
    told = wavegate("doctor", WAVEGATE_DATABASE_URL=sqlite_url(tmp_path), WAVEGATE_PROMETHEUS_URL=NOWHERE)

    assert told.exit_code == 1
    assert "failed   database: there is no file" in told.output
    assert "`wavegate serve` creates it" in told.output


def test_status_and_events_are_told_line_by_line(tmp_path):
    with live_controller(tmp_path) as url:
        RemoteController(url).create_flag({"key": "ai-summaries"})

        status = wavegate("status", "--json", WAVEGATE_URL=url)
        events = wavegate("events", "--after", "0", "--count", "1", "--json", WAVEGATE_URL=url)
        line = wavegate("events", "--after", "0", "--count", "1", WAVEGATE_URL=url)

    assert json.loads(status.stdout)["environment"] == "production"
    assert events.exit_code == line.exit_code == 0, events.output
    assert json.loads(events.stdout).keys() >= {"id", "at", "actor", "action", "subject"}
    assert json.loads(events.stdout)["action"] in line.stdout


def test_events_without_a_controller_end_with_3():
    assert wavegate("events", WAVEGATE_URL=NOWHERE).exit_code == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed_and_asks_the_command(shell):
    printed = wavegate("completion", shell)

    assert printed.exit_code == 0
    assert f"_WAVEGATE_COMPLETE={shell}_complete" in printed.stdout


def test_the_completion_knows_the_commands():
    asked = CliRunner().invoke(
        main,
        [],
        prog_name="wavegate",
        env={"_WAVEGATE_COMPLETE": "bash_complete", "COMP_WORDS": "wavegate ro", "COMP_CWORD": "1"},
    )

    assert "rollout" in asked.output
