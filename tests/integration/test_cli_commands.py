"""The commands that speak to a controller, against a real one."""

import json
import subprocess
from functools import partial
from itertools import count

import pytest
from click.testing import CliRunner

from support.live_controller import NOWHERE, WAVEGATE, environment, live_controller
from support.waiting import wait_until
from wavegate import Client
from wavegate_controller.cli import main, watching
from wavegate_controller.cli.rollout import ACTS
from wavegate_controller.domain.transitions import REQUESTS
from wavegate_controller.remote import RemoteController, RemoteProblem, RemoteUnreachable

TOKEN = "a-token-of-sixteen-characters"
NUMBERS = count(1)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with live_controller(tmp_path_factory.mktemp("controller")) as url:
        yield url


@pytest.fixture(scope="module")
def guarded_url(tmp_path_factory):
    tokens = json.dumps({"ada": TOKEN})
    with live_controller(tmp_path_factory.mktemp("guarded"), WAVEGATE_API_TOKENS=tokens) as url:
        yield url


def run(*arguments, url, stdin=None, **variables):
    return CliRunner(env={"WAVEGATE_URL": url, "COLUMNS": "100"} | variables).invoke(main, arguments, input=stdin)


@pytest.fixture
def wavegate(url):
    return partial(run, url=url)


@pytest.fixture
def flag(wavegate):
    """A flag of this test's own."""
    key = f"flag-{next(NUMBERS)}"
    assert wavegate("flag", "create", key).exit_code == 0
    return key


def document(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_request_to_a_rollout_is_a_command():
    assert set(ACTS) == REQUESTS


def test_a_flag_is_created_and_shown(wavegate, flag):
    shown = document(wavegate("flag", "show", flag, "--json"))

    assert shown["variants"] == {"on": True, "off": False}
    assert flag in wavegate("flag", "show", flag).output
    assert shown in document(wavegate("flag", "list", "--json"))


def test_a_flag_has_the_variants_that_are_given(wavegate):
    variants = ("--variant", 'small={"model": "s"}', "--variant", 'large={"model": "l"}', "--default", "small")

    created = document(wavegate("flag", "create", "answer-model", *variants, "--json"))

    assert created["variants"] == {"small": {"model": "s"}, "large": {"model": "l"}}
    assert created["default_variant"] == "small"


@pytest.mark.parametrize("variant", ["small", "small=s", "=", ""])
def test_a_variant_that_is_no_json_is_wrong_usage(wavegate, variant):
    refused = wavegate("flag", "create", "f", "--variant", variant)

    assert refused.exit_code == 2
    assert "--variant" in refused.output


def test_the_emergency_stop_and_its_undoing(wavegate, flag):
    stopped = document(wavegate("flag", "disable", flag, "-m", "it lies", "--json"))
    enabled = document(wavegate("flag", "enable", flag, "--json"))

    assert (stopped["enabled"], enabled["enabled"]) == (False, True)


def test_a_rollout_is_created_from_options_and_started(wavegate, flag):
    options = ("--candidate", "on", "--waves", "1.5,100", "--bake", "10m", "--start")

    created = document(wavegate("rollout", "create", "--flag", flag, *options, "--json"))

    assert (created["state"], created["percent"]) == ("running", 1.5)
    assert [(wave["percent"], wave["bake"]) for wave in created["plan"]["waves"]] == [(1.5, "10m"), (100, "10m")]


def test_a_rollout_is_created_from_a_file_and_from_stdin(wavegate, flag, tmp_path):
    text = f"flag: {flag}\nplan:\n  waves: [{{percent: 5, bake: 1m, approval: manual}}]\n  on_breach: pause\n"
    file = tmp_path / "rollout.yaml"
    file.write_text(text)

    first = document(wavegate("rollout", "create", "-f", str(file), "--json"))
    wavegate("rollout", "cancel", flag)
    second = document(wavegate("rollout", "create", "-f", "-", "--json", stdin=text))

    assert (first["plan"]["waves"][0]["approval"], first["plan"]["on_breach"]) == ("manual", "pause")
    assert second["plan"] == first["plan"]


def test_the_plan_of_a_draft_is_changed_by_the_file_it_was_created_from(wavegate, flag):
    text = f"flag: {flag}\nplan:\n  waves: [{{percent: 5, bake: 1m}}]\n"
    wavegate("rollout", "create", "-f", "-", stdin=text)

    changed = document(
        wavegate("rollout", "change", flag, "-f", "-", "--json", stdin=text.replace("percent: 5", "percent: 7"))
    )
    of_another = wavegate("rollout", "change", flag, "-f", "-", stdin=text.replace(flag, "another"))

    assert ([wave["percent"] for wave in changed["plan"]["waves"]], changed["version"]) == ([7], 2)
    assert (of_another.exit_code, "flag is 'another'" in of_another.output) == (2, True)


def test_a_mistake_in_a_file_is_named_before_anything_is_sent():
    refused = run("rollout", "create", "-f", "-", url=NOWHERE, stdin="flag: f\nplan: {waves: [{percent: 500}]}")

    assert refused.exit_code == 2
    assert "plan.waves[0].percent" in refused.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("create",),
        ("create", "--flag", "f", "-f", "-"),
        ("create", "-f", "-", "--waves", "10"),
        ("create", "--flag", "f", "--waves", "ten"),
        ("create", "-f", "/does/not/exist"),
        ("watch",),
        ("watch", "f", "--all"),
        ("explode", "f"),
        ("history", "f", "--limit", "0"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_would_be_right(arguments):
    refused = run("rollout", *arguments, url=NOWHERE, stdin="flag: f")

    assert refused.exit_code == 2
    assert "Error: " in refused.output


def test_a_person_takes_a_rollout_through_its_states(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag)

    def state(command):
        return document(wavegate("rollout", command, flag, "-m", "because", "--json"))["state"]

    commands = ("start", "promote", "pause", "resume", "step-back", "roll-back", "restart", "cancel")
    assert [state(command) for command in commands] == [
        "running",
        "running",
        "paused",
        "running",
        "paused",
        "rolled_back",
        "running",
        "cancelled",
    ]


def test_a_refusal_ends_with_1_and_says_what_is_possible(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag)

    refused = wavegate("rollout", "approve", flag, "-m", "fine")

    assert refused.exit_code == 1
    assert "possible: start, cancel" in refused.stderr
    assert not refused.stdout


@pytest.mark.parametrize("url", [NOWHERE, "nonsense", "ftp://127.0.0.1"])
def test_an_absent_controller_ends_with_3_and_says_where_it_was_looked_for(url):
    failed = run("rollout", "list", url=url)

    assert failed.exit_code == 3
    assert url in failed.stderr


def test_status_reads_well_without_colour(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag, "--bake", "10m", "--start", "--as", "ada")

    shown = wavegate("rollout", "status", flag).output

    assert "[10] ─ 25 ─ 50 ─ 100   wave 1 of 4" in shown
    assert "start by ada" in shown
    assert "\x1b" not in shown


def test_history_is_listed_newest_first(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag, "--start")
    wavegate("rollout", "pause", flag, "-m", "lunch")

    decisions = document(wavegate("rollout", "history", flag, "--moves", "--json"))
    older = document(wavegate("rollout", "history", flag, "--before", str(decisions[0]["id"]), "--json"))

    assert [decision["event"] for decision in decisions] == ["pause", "start"]
    assert older[0]["event"] != "pause"
    assert "lunch" in wavegate("rollout", "history", flag, "--limit", "1").output


def test_a_decision_is_explained_by_its_id(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag, "--start")
    decision = document(wavegate("rollout", "history", flag, "--moves", "--json"))[0]["id"]

    explained = wavegate("explain", str(decision))

    assert explained.exit_code == 0
    assert f"decision {decision}" in explained.output
    assert "a person decided" in explained.output
    assert document(wavegate("explain", str(decision), "--json"))["agrees"] is None
    assert wavegate("explain", "999999").exit_code == 1


def test_rollouts_are_listed_by_flag(wavegate, flag):
    wavegate("rollout", "create", "--flag", flag)

    assert [each["flag"] for each in document(wavegate("rollout", "list", "--flag", flag, "--json"))] == [flag]
    assert f"{flag}:1" in wavegate("rollout", "list", "--flag", flag).output


def test_watching_prints_a_line_for_each_change_and_ends_with_the_rollout(wavegate, flag, url):
    wavegate("rollout", "create", "--flag", flag, "--start")
    with subprocess.Popen(
        [WAVEGATE, "rollout", "watch", flag],
        env=environment(WAVEGATE_URL=url, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        first = watching.stdout.readline()
        wavegate("rollout", "roll-back", flag, "--as", "ada")
        last = watching.stdout.read()

    assert first.startswith(f"{flag}:1 running 10 %")
    assert last.startswith(f"{flag}:1 rolled_back 0 % requested: roll back by ada")
    assert watching.returncode == 0


def test_watching_goes_on_when_the_controller_is_away_for_a_while(monkeypatch):
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 0)
    answers = iter([{"state": "running"}, RemoteUnreachable("nobody there"), {"state": "completed"}])

    def look():
        answer = next(answers)
        if isinstance(answer, RemoteUnreachable):
            raise answer
        return [answer], ""

    waits = []
    looks = list(watching._looks(look, lambda **how: waits.append(how), until_ended=True))

    assert [(documents[0]["state"], outage) for (documents, _), outage in looks] == [
        ("running", ""),
        ("running", "nobody there; trying again"),
        ("completed", ""),
    ]
    assert waits == [{"is_settled": True}, {"is_settled": False}]


def test_whoever_watches_hears_at_once_of_what_happens(wavegate, flag, url, monkeypatch):
    monkeypatch.setattr(watching, "_GLANCE_SECONDS", 60)
    news = watching.News(RemoteController(url))
    news.start()
    try:
        wait_until(lambda: news.is_following)
        news.wait(is_settled=True)  # the stream has begun
        wavegate("rollout", "create", "--flag", flag)

        assert news._happened.wait(60)
    finally:
        news.close()


def test_whoever_watches_where_no_events_come_looks_every_second(monkeypatch):
    class Silent:
        def events(self, after):
            raise RemoteProblem(404, "Not Found", "there is nothing here")

    waited = []
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_GLANCE_SECONDS", 60)
    news = watching.News(Silent())
    news.start()
    for _ in range(3):
        news.wait(is_settled=True)
        waited.append(news.is_following)
    news.close()

    assert waited == [False, False, False]


def test_status_and_watch_say_to_how_many_apps_a_change_was_delivered(wavegate, flag, url):
    wavegate("rollout", "create", "--flag", flag, "--start")
    with Client(url) as app:
        wait_until(lambda: app.streaming)
        wait_until(lambda: document(wavegate("rollout", "status", flag, "--json"))["delivery"]["delivered"])
        status = wavegate("rollout", "status", flag).output
        with subprocess.Popen(
            [WAVEGATE, "rollout", "watch", flag],
            env=environment(WAVEGATE_URL=url, PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            text=True,
        ) as watched:
            first = watched.stdout.readline()
            wavegate("rollout", "cancel", flag)
            rest = watched.stdout.read()

    assert "delivered to 1 of 1" in status
    assert "delivered to 1 of 1" in first
    assert "cancelled 0 %" in rest


def test_acts_are_signed_with_the_name_given_or_that_of_this_user(wavegate, flag):
    created = document(wavegate("rollout", "create", "--flag", flag, "--json", LOGNAME="grace"))
    started = document(wavegate("rollout", "start", flag, "--as", "ada", "--json"))

    assert (created["created_by"], started["moved_by"]["actor"]) == ("grace", "ada")


@pytest.mark.parametrize(
    ("signature", "signer"),
    [
        (lambda wavegate, key: wavegate("flag", "create", key, "--as", "ada"), "ada"),
        (lambda wavegate, key: wavegate("flag", "create", key, WAVEGATE_USER="joan", LOGNAME="grace"), "joan"),
        (lambda wavegate, key: wavegate("flag", "create", key, WAVEGATE_USER="", LOGNAME="grace"), "grace"),
    ],
    ids=["name given", "variable", "user"],
)
def test_a_new_flag_is_signed_with_the_name_given_or_that_of_this_user(wavegate, signature, signer):
    key = f"flag-{next(NUMBERS)}"
    assert signature(wavegate, key).exit_code == 0

    (entry,) = document(wavegate("audit", "list", "--subject", key, "--json"))
    assert (entry["action"], entry["actor"]) == ("flag.create", signer)


def test_a_new_environment_is_signed(wavegate):
    name = f"place-{next(NUMBERS)}"
    assert wavegate("environment", "create", name, "--as", "ada").exit_code == 0

    entry = document(wavegate("audit", "list", "--subject", name, "--json"))[-1]
    assert (entry["action"], entry["actor"]) == ("environment.create", "ada")


def test_a_token_signs_with_its_owners_name(guarded_url):
    run("flag", "create", "f", url=guarded_url, WAVEGATE_TOKEN=TOKEN)

    created = document(run("rollout", "create", "--flag", "f", "--json", url=guarded_url, WAVEGATE_TOKEN=TOKEN))

    assert created["created_by"] == "ada"


def test_without_its_token_a_guarded_controller_refuses(guarded_url):
    refused = run("flag", "list", url=guarded_url)

    assert refused.exit_code == 1
    assert "token" in refused.stderr


def test_a_flag_is_changed_by_a_file_archived_and_restored(wavegate, flag):
    segment = "{condition: {attribute: team, operator: equals, value: us}}"
    change = "{description: Ours, rules: [{if: {segment: us}, serve: 'on'}], deny: [mallory]}"

    assert document(wavegate("segment", "save", "us", "-f", "-", "--json", stdin=segment))["version"] >= 1
    changed = document(wavegate("flag", "change", flag, "-f", "-", "-m", "first us", "--json", stdin=change))
    refused = wavegate("flag", "change", flag, "-f", "-", stdin="{rules: [{if: {segment: them}, serve: 'on'}]}")
    wrong = wavegate("flag", "change", flag, "-f", "-", stdin="{rule: []}")
    archived = document(wavegate("flag", "archive", flag, "--json"))
    restored = document(wavegate("flag", "restore", flag, "--json"))

    assert (changed["description"], changed["rules"][0]["if"], changed["deny"]) == (
        "Ours",
        {"segment": "us"},
        ["mallory"],
    )
    assert (refused.exit_code, wrong.exit_code) == (1, 2)
    assert "rules[0].if.segment" in refused.stderr
    assert archived["archived_at"] is not None
    assert restored["archived_at"] is None
    assert "us" in wavegate("segment", "list").output
    assert wavegate("segment", "show", "us").exit_code == 0
    assert wavegate("segment", "remove", "us").exit_code == 1


def test_a_rollout_takes_its_plan_from_a_template_and_is_pinned(wavegate, flag):
    plan = "{description: slow, plan: {waves: [{percent: 5, bake: 1h}, {percent: 100, bake: 1h}]}}"

    saved = document(wavegate("template", "save", "slow", "-f", "-", "--json", stdin=plan))
    made = document(wavegate("rollout", "create", "--flag", flag, "--template", "slow", "--start", "--json"))
    pinned = document(wavegate("rollout", "pin", flag, "--percent", "5", "-m", "wait for the vendor", "--json"))
    shown = wavegate("rollout", "status", flag).output
    free = document(wavegate("rollout", "unpin", flag, "--json"))

    assert made["template"] == f"slow@{saved['version']}"
    assert pinned["pin"]["reason"] == "wait for the vendor"
    assert "pinned by" in shown
    assert free["pin"] is None
    assert "slow@" in wavegate("template", "list").output
    assert "5 %, 100 %" in wavegate("template", "show", "slow").output
    assert wavegate("rollout", "create", "--flag", flag, "--template", "slow", "--bake", "1m").exit_code == 2


def test_a_freeze_window_holds_and_an_admin_may_override_it(wavegate, flag):
    week = "{freeze_windows: [{name: all of it, from: mon 00:00, to: sun 23:59}, {from: sun, to: tue}]}"
    document(wavegate("rollout", "create", "--flag", flag, "--json"))

    document(wavegate("freeze", "set", "-f", "-", "-m", "audit", "--json", stdin=week))
    try:
        refused = wavegate("rollout", "start", flag)
        overridden = document(wavegate("rollout", "start", flag, "--override-freeze", "-m", "the fix", "--json"))
        shown = wavegate("freeze", "show").output
    finally:
        document(wavegate("freeze", "set", "-f", "-", "--json", stdin="{freeze_windows: []}"))

    assert refused.exit_code == 1
    assert "nothing raises exposure" in refused.stderr
    assert overridden["state"] == "running"
    assert "all of it" in shown
    assert "no freeze windows" in wavegate("freeze", "show").output


def test_stale_flags_are_listed_with_the_reason(wavegate, flag):
    report = document(wavegate("flag", "stale", "--days", "0", "--json"))

    assert "nobody" in {
        reason["reason"] for each in report["items"] if each["flag"] == flag for reason in each["reasons"]
    }
    assert flag in wavegate("flag", "stale", "--days", "0").output


def test_a_stages_document_is_text_or_a_page(wavegate, flag):
    text = wavegate("stage", "document", flag)
    page = wavegate("stage", "document", flag, "--html")
    both = wavegate("stage", "document", flag, "--html", "--json")

    assert text.output.startswith(f"# One-page case: {flag}")
    assert f"<h1>One-page case: {flag}</h1>" in page.output
    assert both.exit_code == 2
    assert "either --html or --json" in both.output
