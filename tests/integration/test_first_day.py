"""A closed controller as somebody new meets it: a printed link, a password, a token in a file, and every refusal."""

import json
import re
import stat
import subprocess
from contextlib import contextmanager
from threading import Thread

import pytest
import requests
from click.testing import CliRunner

from support.live_controller import NOWHERE, WAVEGATE, environment
from wavegate import Client
from wavegate_controller.cli import main

PASSWORD = "some words that admin knows"


@contextmanager
def closed_controller(database):
    """The link that a new controller prints: who has it is in."""
    command = subprocess.Popen(
        [WAVEGATE, "serve"],
        env=environment(WAVEGATE_PORT="0", WAVEGATE_DATABASE_URL=database, WAVEGATE_PROMETHEUS_URL=NOWHERE),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with command as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if "Lost it?" in line:
                    break
            # Read on, or the controller would one day wait for somebody to read it.
            reader = Thread(target=process.stdout.read)
            reader.start()
            yield "".join(said)
        finally:
            process.terminate()
            process.wait(timeout=20)
        reader.join()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('closed') / 'wavegate.db'}"


@pytest.fixture(scope="module")
def said(database):
    with closed_controller(database) as said:
        yield said


@pytest.fixture(scope="module")
def url(said):
    """The controller's address, where `admin` has chosen a password as a browser does."""
    link = re.search(r"http://\S+/login/link/\S+", said)[0]
    address = link.partition("/login")[0]
    browser = requests.Session()
    page = browser.get(link, timeout=10)
    fields = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"', page.text))
    form = fields | {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(link, data=form, headers={"Origin": address}, timeout=10).status_code == 200
    assert browser.get(f"{address}/account", timeout=10).ok
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.get(address, timeout=10).text)[1]
    assert browser.post(f"{address}/logout", data={}, headers={"Origin": address}, timeout=10).status_code == 403
    assert browser.post(f"{address}/logout", data={"csrf": csrf}, headers={"Origin": address}, timeout=10).ok
    return address


@pytest.fixture
def wavegate(url, database, tmp_path):
    """The command line of a person with an empty home, in a terminal of 80 columns."""

    def run(*arguments, stdin=None, **variables):
        mine = {"WAVEGATE_URL": url, "COLUMNS": "80", "HOME": str(tmp_path), "WAVEGATE_DATABASE_URL": database}
        others = {"WAVEGATE_TOKEN": None, "XDG_CONFIG_HOME": None, "WAVEGATE_CONFIG": None}
        return CliRunner(env=others | mine | variables).invoke(main, arguments, input=stdin)

    return run


@pytest.fixture
def admin(wavegate):
    assert wavegate("login", "--as", "admin", stdin=PASSWORD).exit_code == 0
    return wavegate


def refused(result, *, code=1):
    """The one sentence that a refused command says."""
    assert result.exit_code == code, result.output
    assert not result.stdout
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def secret_of(result):
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def tokens(wavegate):
    """Those that are good."""
    return [each for each in json.loads(wavegate("token", "list", "--json").stdout) if each["is_good"]]


def test_the_link_that_is_lost_can_be_made_anew_as_the_controller_says(said, url, wavegate):
    command = re.search(r"`wavegate (user link admin .*)`", said)[1]

    made = wavegate(*command.split())

    assert made.exit_code == 0, made.output
    assert re.fullmatch(rf"{url}/login/link/wgl_\S+\n", made.stdout), "one line, though longer than the terminal"
    assert requests.get(made.stdout.strip(), timeout=10).ok


def test_who_has_not_signed_in_is_told_to(wavegate, url):
    assert f"you are not signed in at {url}; run `wavegate login`" in refused(wavegate("flag", "list"))
    assert "name or password is wrong" in refused(wavegate("login", "--as", "admin", stdin="some other words that"))
    assert "this token is not good" in refused(wavegate("login", "--token", stdin="wgt_nonsense"))
    assert "the token in $WAVEGATE_TOKEN is not good" in refused(wavegate("flag", "list", WAVEGATE_TOKEN="wgt_no"))


def test_a_day_from_the_first_login_to_logout(admin, url, tmp_path):
    (file,) = tmp_path.rglob("tokens.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert admin("flag", "create", "search").exit_code == 0
    started = admin("rollout", "create", "--flag", "search", "--waves", "10,100", "--bake", "10m", "--start")
    assert "start by admin" in started.stdout
    assert secret_of(admin("user", "create", "ada", "--role", "engineer")).startswith(f"{url}/login/link/wgl_")
    assert "there is a user 'ada' already" in refused(admin("user", "create", "ada", "--role", "engineer"))
    assert secret_of(admin("user", "link", "ada")).startswith(f"{url}/login/link/wgl_")
    with Client(url, secret_of(admin("key", "create", "shop"))) as client:
        assert client.wait_ready(20)

    kept = json.loads(file.read_text())[url]
    assert admin("logout").exit_code == 0
    assert "you are not signed in" in refused(admin("flag", "list"))
    assert "is not good" in refused(admin("flag", "list", WAVEGATE_TOKEN=kept))


def test_a_token_is_made_rotated_and_revoked_by_the_id_that_the_list_shows(admin):
    first = secret_of(admin("token", "create", "ci", "--role", "engineer@production"))
    listed = admin("token", "list").stdout
    (number,) = re.findall(r"^([0-9a-f]{12}) +ci ", listed, re.MULTILINE)
    second = secret_of(admin("token", "rotate", number, "--overlap", "0s"))

    assert "is not good" in refused(admin("flag", "list", WAVEGATE_TOKEN=first)), "its overlap is over"
    assert admin("flag", "list", WAVEGATE_TOKEN=second).exit_code == 0
    assert "takes the role admin" in refused(admin("key", "create", "k", WAVEGATE_TOKEN=second))
    (number,) = [each["id"] for each in tokens(admin) if each["name"] == "ci"]
    assert admin("token", "revoke", number).exit_code == 0
    assert "is not good" in refused(admin("flag", "list", WAVEGATE_TOKEN=second))


def test_a_new_login_ends_the_token_of_the_one_before_on_this_machine(admin, url, tmp_path):
    (file,) = tmp_path.rglob("tokens.json")
    before = json.loads(file.read_text())[url]

    assert admin("login", "--as", "admin", stdin=PASSWORD).exit_code == 0

    assert "is not good" in refused(admin("flag", "list", WAVEGATE_TOKEN=before))
    assert admin("flag", "list").exit_code == 0


def test_who_was_signed_in_with_a_token_that_ended_is_told_so_and_can_sign_in_again(admin, url, tmp_path):
    (file,) = tmp_path.rglob("tokens.json")
    kept = json.loads(file.read_text())[url]
    (mine,) = [each["id"] for each in tokens(admin) if kept.startswith(each["hint"])]
    assert admin("token", "revoke", mine).exit_code == 0

    assert f"not signed in at {url} any more" in refused(admin("flag", "list"))
    assert admin("login", "--as", "admin", stdin=PASSWORD).exit_code == 0
    assert admin("flag", "list").exit_code == 0
