"""`wavegate backtest` over a past that was made up for a real Prometheus."""

import json
import random
import re
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from signal import SIGINT

import pytest
import yaml
from click.testing import CliRunner

from support.database import database
from support.history import PrometheusWithAPast, series
from support.people import person
from support.prometheus import now
from support.waiting import wait_until
from support.world import ManualClock, World
from wavegate_controller.cli import main
from wavegate_controller.documents import RolloutDocument, parse
from wavegate_controller.domain.errors import HistoryLost
from wavegate_controller.domain.foresight.replayed import Backtested
from wavegate_controller.domain.foresight.supposed import draft
from wavegate_controller.domain.plan import Plan, Wave
from wavegate_controller.domain.rollout import State
from wavegate_controller.providers import PrometheusProvider
from wavegate_controller.providers.past import Past
from wavegate_controller.service.backtest import Replay, backtest, counters_of
from wavegate_controller.service.trying import try_plan
from wavegate_controller.store import SqlStore

STEP = timedelta(seconds=15)
#: Whole minutes, so that looks and samples stay apart.
END = now().replace(second=0, microsecond=0)
BEGIN = END - timedelta(hours=3)
BROKEN_AT = BEGIN + timedelta(minutes=40)
OUTAGE = (BEGIN + timedelta(minutes=20), BEGIN + timedelta(minutes=35))


def past():
    """Three hours of three flags: one fails from minute 40 on, one has an outage of all metrics, one is well."""
    chance = random.Random("past")
    times = [BEGIN + number * STEP + timedelta(seconds=1) for number in range(int((END - BEGIN) / STEP))]
    samples = {}
    for flag in ("breaks", "silent", "well"):
        for variant, a_second in (("on", 1), ("off", 1)):
            for cohort in map(str, range(16)):
                labels = {"flag": flag, "variant": variant, "cohort": cohort}
                requests = bad = 0
                rows = []
                for at in times:
                    if not (flag == "silent" and OUTAGE[0] <= at < OUTAGE[1]):
                        rows.append((at.timestamp(), requests, bad))
                    many = max(0, round(chance.gauss(a_second * 15, (a_second * 15) ** 0.5)))
                    rate = 0.2 if flag == "breaks" and variant == "on" and at >= BROKEN_AT else 0.01
                    requests += many
                    bad += sum(chance.random() < rate for _ in range(many))
                samples[series("wavegate_requests_total", **labels)] = [(at, number) for at, number, _ in rows]
                for kind in ("error", "slow"):
                    samples[series("wavegate_bad_total", kind=kind, **labels)] = [
                        (at, number) for at, _, number in rows
                    ]
    # One flag of a controller of two environments, well in one and failing in the other.
    for environment, like in (("production", "well"), ("staging", "breaks")):
        samples[series("wavegate_connected_clients", environment=environment)] = [(at.timestamp(), 1) for at in times]
        for labels in [dict(key) for key in samples if ("flag", like) in key]:
            posted = labels | {"environment": environment, "flag": "posted"}
            samples[series(posted.pop("__name__"), **posted)] = samples[series(labels.pop("__name__"), **labels)]
    for labels in [each for each in samples if ("flag", "well") in each]:
        renamed = [(name, "renamed" if name == "flag" else value) for name, value in labels]
        kept = samples[labels]
        if ("__name__", "wavegate_bad_total") in labels and ("kind", "error") in labels:
            kept = [(at, value) for at, value in kept if at < BROKEN_AT.timestamp() - 45]
        samples[tuple(renamed)] = kept
    samples[series("queue_length", flag="breaks", variant="on")] = [
        (at.timestamp(), 50 if at >= BROKEN_AT else 5 + number % 3) for number, at in enumerate(times)
    ]
    return samples


@pytest.fixture(scope="module")
def url():
    with PrometheusWithAPast() as server:
        server.remember(past())
        yield server.url


PLAN = {
    "interval": "30s",
    "waves": [{"percent": 50, "bake": "10m", "target": "90m"}, {"percent": 100, "bake": "10m"}],
}


#: Content with less evidence, so that several fit into the time.
QUICK = PLAN | {"gates": [{"type": "error_rate", "final_margin": 2, "early_harm": 1}]}


def run(url, flag, *arguments, plan=PLAN, since=BEGIN, until=END):
    text = yaml.safe_dump({"flag": flag, "plan": plan})
    command = ["backtest", "-f", "-", "--prometheus", url, "--from", since.isoformat(), "--to", until.isoformat()]
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [*command, *arguments], input=text)


def found(url, flag, *arguments, **options):
    done = run(url, flag, "--json", *arguments, **options)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    return document["plans"][0] | {"said": document["said"]}


def test_a_planted_regression_is_found_at_the_right_minute(url):
    plan = PLAN | {"waves": [{"percent": 50, "bake": "1h", "target": "90m"}, {"percent": 100, "bake": "10m"}]}

    (rollout,) = found(url, "breaks", plan=plan)["rollouts"]

    (move,) = rollout["moves"]
    assert (move["event"], move["reason"], rollout["state"]) == ("roll_back", "breach", "rolled_back")
    assert BROKEN_AT < datetime.fromisoformat(move["at"]) <= BROKEN_AT + timedelta(minutes=2)


def test_a_planted_outage_only_holds(url):
    plan = PLAN | {"waves": [{"percent": 50, "bake": "15m"}, {"percent": 100, "bake": "10m"}]}

    silent = found(url, "silent", plan=plan)

    (rollout,) = silent["rollouts"]
    assert silent["rolled_back"] == 0
    assert rollout["state"] == "completed"
    moved = [datetime.fromisoformat(move["at"]) for move in rollout["moves"]]
    assert not any(OUTAGE[0] + timedelta(minutes=5) < at < OUTAGE[1] for at in moved)
    assert silent["share_without_data"] > 0.1


def test_harmless_rollouts_one_after_the_other_are_counted_by_the_week(url):
    well = found(url, "well", "--repeat", plan=QUICK)

    assert well["rolled_back"] == 0
    assert well["rolled_back_a_week"] == 0
    assert well["completed"] >= 2
    assert [each["began"] for each in well["rollouts"][1:]] == [each["ended"] for each in well["rollouts"][:-1]]


@pytest.mark.parametrize(("environment", "rolled_back"), [("production", 0), ("staging", 1)])
def test_what_the_controller_counted_for_another_environment_is_no_evidence(url, environment, rolled_back):
    plan = PLAN | {"waves": [{"percent": 50, "bake": "1h", "target": "90m"}, {"percent": 100, "bake": "10m"}]}

    there = found(url, "posted", "--environment", environment, plan=plan)

    assert there["rolled_back"] == rolled_back
    assert there["share_without_data"] < 0.1


def test_before_there_was_a_candidate_half_of_the_users_play_its_part(url):
    shadow = found(url, "breaks", "--shadow")

    assert shadow["rolled_back"] == 0
    assert shadow["rollouts"][0]["holds"]
    assert [move["event"] for move in shadow["rollouts"][0]["moves"]][:1] == ["promote"]


def test_what_a_threshold_would_have_had_to_be_is_said(url):
    query = 'queue_length{flag="{{flag}}",variant="{{candidate}}"}'
    gate = {"type": "threshold", "name": "queue", "query": query, "operator": "<", "limit": 20, "failures": 2, "of": 3}

    queue = found(url, "breaks", plan=PLAN | {"gates": [gate], "waves": [{"percent": 50, "bake": "1h"}]})

    assert queue["rolled_back"] == 1
    (move,) = queue["rollouts"][0]["moves"]
    assert BROKEN_AT < datetime.fromisoformat(move["at"]) <= BROKEN_AT + timedelta(minutes=1, seconds=30)
    assert queue["limits"] == {"queue": {"has": 20, "would_have_needed": 50}}


def test_plans_stand_side_by_side_and_the_report_is_one_file(url, tmp_path):
    for name, bake in (("short.yaml", "10m"), ("long.yaml", "1h")):
        waves = [{"percent": 50, "bake": bake, "target": "90m"}, {"percent": 100, "bake": "10m"}]
        (tmp_path / name).write_text(yaml.safe_dump({"flag": "breaks", "plan": PLAN | {"waves": waves}}))
    report = tmp_path / "report.html"

    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        main,
        [
            "backtest",
            *("-f", str(tmp_path / "short.yaml"), "-f", str(tmp_path / "long.yaml")),
            *("--prometheus", url, "--from", BEGIN.isoformat(), "--html", str(report)),
        ],
    )

    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()[:3]] == ["plan", "short.yaml", "long.yaml"]
    page = report.read_text()
    assert re.findall(r'<figure class="chart" id="([^"]+)">', page) == ["chart-1-1", "chart-2-1"]
    assert "rolled back" in page
    assert not any(marker in page for marker in ("http://", "https://", "<script", "@import", "url(/", "src="))


def test_a_pull_request_may_expect_an_end(url):
    assert run(url, "well", "--expect", "no-rollback").exit_code == 0
    assert run(url, "well", "--expect", "rollback").exit_code == 5


def test_a_replay_that_was_kept_goes_on_when_there_is_more_to_replay(url, tmp_path):
    file = tmp_path / "kept.json"
    whole = found(url, "well", "--repeat", plan=QUICK)
    for minutes in (25, 70):
        found(url, "well", "--repeat", "--resume", str(file), plan=QUICK, until=BEGIN + timedelta(minutes=minutes))

    again = found(url, "well", "--repeat", "--resume", str(file), plan=QUICK)

    assert again == whole


def test_what_was_kept_of_another_plan_is_not_gone_on_with(url, tmp_path):
    file = tmp_path / "kept.json"
    found(url, "well", "--resume", str(file), plan=QUICK)

    done = run(url, "well", "--resume", str(file), plan=PLAN)

    assert done.exit_code == 2
    assert "belongs to another plan" in " ".join(done.stderr.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_shows_what_there_is_and_the_same_command_goes_on_there(url, tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({"flag": "well", "plan": QUICK | {"interval": "1s"}}))
    command = [Path(sys.executable).with_name("wavegate"), "backtest", "-f", tmp_path / "plan.yaml", "--json"]
    command += ["--prometheus", url, "--from", BEGIN.isoformat(), "--to", END.isoformat(), "--repeat"]
    whole = subprocess.run(command, check=True, capture_output=True, timeout=300)
    file = tmp_path / "kept.json"

    for _ in range(5):  # it may end before the signal arrives
        file.unlink(missing_ok=True)
        process = subprocess.Popen([*command, "--resume", file], stdout=subprocess.PIPE)
        wait_until(lambda process=process: file.exists() or process.poll() is not None, timeout=200)
        process.send_signal(SIGINT)
        interrupted = json.loads(process.communicate(timeout=300)[0])
        if process.returncode:
            break
    again = subprocess.run([*command, "--resume", file], check=True, capture_output=True, timeout=300)

    assert process.returncode == 130
    assert "goes on" in " ".join(interrupted["said"])
    assert interrupted["plans"][0]["rollouts"]
    assert json.loads(again.stdout)["plans"] == json.loads(whole.stdout)["plans"]


@pytest.mark.parametrize(
    ("flag", "since", "said"),
    [
        ("nobody", BEGIN, "There is no sample for flag nobody"),
        ("well", BEGIN - timedelta(hours=3), "There is nothing before"),
    ],
)
def test_a_time_without_data_is_said(url, flag, since, said):
    assert said in " ".join(found(url, flag, "--repeat", since=since, plan=PLAN | {"interval": "1m"})["said"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "tomorrow"], "is no time; such as 2026-03-01T09:00, or 7d"),
        (["--from", "2099-01-01"], "is not before"),
        (["--step", "1ms"], "makes too many looks"),
        (["--shadow", "--split", "a=b/c"], "give one of them"),
        (["--split", "version"], "tells no two groups apart"),
    ],
)
def test_what_makes_no_sense_is_refused(url, arguments, said):
    done = run(url, "well", *arguments)

    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


SHORT = replace(Plan(), waves=(Wave(weight=50_000, bake=timedelta(minutes=10)),), interval=timedelta(seconds=30))


DRAFT = draft("well", SHORT, stable="off", candidate="on", at=BEGIN)


def test_a_server_that_goes_away_ends_the_replay_and_what_was_found_is_kept(url):
    class Away:
        def __init__(self, history, after):
            self._history, self._after = history, after

        def samples(self, selector, *, at, lookback):
            there = self._history if at < self._after else PrometheusProvider("http://127.0.0.1:9", timeout=1)
            return there.samples(selector, at=at, lookback=lookback)

    history = PrometheusProvider(url)
    looks = [BEGIN + number * SHORT.interval for number in range(300)]
    past = Past(Away(history, BEGIN + timedelta(hours=2)), looks, step=SHORT.interval)
    into = Backtested(name="", plan=SHORT, begin=BEGIN, until=BEGIN)

    with pytest.raises(HistoryLost, match="UTC: "):
        backtest(past, DRAFT, into, repeat=True)

    history.close()
    assert into.runs[0].state is State.COMPLETED
    assert into.until > BEGIN + timedelta(minutes=30)


def test_a_replay_that_ends_long_behind_the_newest_sample_says_what_that_may_be(url):
    silent = found(url, "silent", until=OUTAGE[1] - timedelta(minutes=1))

    assert "was the app gone, or does the clock here run ahead" in " ".join(silent["said"])


def test_counters_that_are_renamed_in_the_middle_hold_and_are_named(url):
    renamed = found(url, "renamed", plan=PLAN | {"waves": [{"percent": 50, "bake": "30m"}, {"percent": 100}]})

    (said,) = [each for each in renamed["said"] if "absent" in each]
    assert f"From {BROKEN_AT:%Y-%m-%d %H:%M} to" in said
    assert 'wavegate_bad_total{kind="error",variant="' in said
    assert "is it renamed or dropped on the way" in said
    assert renamed["rolled_back"] == 0
    assert renamed["holds"]["cannot_measure"] > 100
    assert renamed["troubles"][0]["looks"] > 100


def test_a_query_whose_series_have_other_labels_is_told_in_one_sentence(url):
    gate = {"type": "threshold", "name": "queue", "query": "wavegate_requests_total", "operator": "<", "limit": 20}
    odd = gate | {"name": "odd", "query": 'queue_length{flag="{{flag}}",version="{{candidate}}"}'}

    several = found(url, "breaks", plan=PLAN | {"gates": [gate]}, until=BEGIN + timedelta(minutes=10))
    nothing = found(url, "breaks", plan=PLAN | {"gates": [odd]}, until=BEGIN + timedelta(minutes=10))

    assert "series where one number was meant; narrow the selector" in " ".join(several["said"])
    assert "There is no sample for flag breaks" in " ".join(nothing["said"])
    assert several["rolled_back"] == nothing["rolled_back"] == 0


@pytest.mark.slow
def test_a_server_that_gives_few_samples_at_once_is_asked_for_little_and_answers_the_same(url):
    plan = PLAN | {"waves": [{"percent": 50, "bake": "1h", "target": "90m"}, {"percent": 100, "bake": "10m"}]}
    with PrometheusWithAPast(most_samples=1500) as server:
        server.remember({labels: samples for labels, samples in past().items() if ("flag", "breaks") in labels})
        little = found(server.url, "breaks", plan=plan)

    assert little["rollouts"] == found(url, "breaks", plan=plan)["rollouts"]
    assert little["rolled_back"] == 1


@pytest.mark.slow
def test_a_server_that_gives_less_than_one_look_needs_says_so_and_what_was_found_is_kept(tmp_path):
    with PrometheusWithAPast(most_samples=50) as server:
        server.remember({labels: samples for labels, samples in past().items() if ("flag", "breaks") in labels})
        none = found(server.url, "breaks", "--resume", str(tmp_path / "kept.json"))

    assert "not even one sample of each counter at once" in " ".join(none["said"])
    assert (tmp_path / "kept.json").exists()


def test_a_chunk_that_is_too_large_is_asked_for_in_parts(url):
    history = PrometheusProvider(url)
    looks = [BEGIN + number * SHORT.interval for number in range(60)]

    def events(source):
        past = Past(source, looks, step=SHORT.interval)
        return [(look.at, look.decision) for look in Replay(past, DRAFT, counters_of(past, DRAFT)).looks()]

    class Small:
        asked = 0

        def samples(self, selector, *, at, lookback):
            from wavegate_controller.domain.measurement import Broken, BrokenReason

            if lookback > timedelta(minutes=16):
                Small.asked += 1
                return Broken(reason=BrokenReason.TOO_LARGE, detail="too many samples")
            return history.samples(selector, at=at, lookback=lookback)

    whole = events(history)
    parts = events(Small())

    history.close()
    assert Small.asked
    assert parts == whole


def test_a_freeze_window_of_the_plan_holds_and_approvals_are_taken_for_given(url):
    until = BEGIN + timedelta(minutes=100)
    window = {"name": "fair", "from": f"{BEGIN:%Y-%m-%d %H:%M}", "to": f"{until:%Y-%m-%d %H:%M}"}
    waves = [{"percent": 50, "bake": "10m", "approval": "manual", "approvers": 2}, {"percent": 100, "bake": "10m"}]

    free, held = (
        found(url, "well", plan=QUICK | {"waves": waves} | more) for more in ({}, {"freeze_windows": [window]})
    )

    assert free["completed"] == 1
    assert held["holds"]["freeze_window"] > 50


def test_a_freeze_window_of_the_environment_holds_like_one_of_the_plan(url, tmp_path):
    until = BEGIN + timedelta(minutes=100)
    window = {"name": "fair", "from": f"{BEGIN:%Y-%m-%d %H:%M}", "to": f"{until:%Y-%m-%d %H:%M}"}
    (tmp_path / "freeze.yaml").write_text(yaml.safe_dump({"freeze_windows": [window]}))

    planned = found(url, "well", plan=QUICK | {"freeze_windows": [window]})
    around = found(url, "well", "--calendar", str(tmp_path / "freeze.yaml"), plan=QUICK)

    assert around == planned
    assert around["holds"]["freeze_window"] > 50


def test_times_are_told_in_utc_where_they_say_nothing_else(url):
    done = run(url, "well", "--from", BEGIN.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"))

    assert f"{BEGIN:%Y-%m-%d %H:%M} to" in done.stdout


def test_a_page_tries_a_plan_on_the_last_hours_with_and_without_a_candidate(url, tmp_path):
    with database(tmp_path) as engine, closing(PrometheusProvider(url)) as provider:
        world = World.over(SqlStore(engine))
        for flag in ("breaks", "well"):
            world.flag(flag)
        clock = ManualClock(END)
        services = replace(world.services, clock=clock, provider=provider, rewind=partial(Past, provider))
        over = END - BEGIN

        def tried(flag, **how):
            document = parse(RolloutDocument, {"flag": flag, "plan": QUICK})
            return try_plan(services, document, over=over, by=person(), patience=60, **how)

        broken, shadowed = tried("breaks", shadow=False), tried("well", shadow=True)
        ended_early = try_plan(
            services,
            parse(RolloutDocument, {"flag": "well", "plan": QUICK}),
            over=over,
            shadow=True,
            by=person(),
            patience=0,
        )

    assert broken.found.rollbacks >= 1
    assert broken.said == []
    assert shadowed.found.first_data is not None
    assert shadowed.found.rollbacks == 0
    assert ended_early.found.until < shadowed.found.until
    assert "a page waits no longer" in ended_early.said[0]
