"""A command line is let in by somebody who signs in with a browser, at a real identity provider over real HTTP."""

import json
import re
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner

from support.control_plane import client, world
from support.identity_provider import CLIENT, identity_provider
from support.live_controller import live_controller
from support.people import person
from wavegate_controller.cli import login, main
from wavegate_controller.domain.access import Kind, Principal, Role
from wavegate_controller.domain.errors import NotFound, SignInRefused, Throttled
from wavegate_controller.service import accounts, devices


@pytest.fixture
def services(new_sqlite_url):
    with world(new_sqlite_url) as found:
        accounts.create_user(found.services, "ada", {"*": Role.ENGINEER}, by=person())
        yield found


ADA = person("ada", Role.ENGINEER)


def test_a_command_line_has_its_token_once_it_was_let_in_and_only_once(services):
    begun = devices.begin(services.services, "cli-laptop")
    before = devices.token_of(services.services, begun.secret)

    devices.let_in(services.services, begun.login.code.lower().replace("-", " "), by=ADA)
    made = devices.token_of(services.services, begun.secret)

    assert before is None
    assert (made.credential.owner, made.credential.name) == ("ada", "cli-laptop")
    assert made.credential.expires_at - services.clock.now() == timedelta(days=30)
    with pytest.raises(NotFound):
        devices.token_of(services.services, begun.secret)
    with pytest.raises(NotFound):
        devices.let_in(services.services, begun.login.code, by=ADA)


def test_its_time_ends(services):
    begun = devices.begin(services.services, "cli")
    services.clock.advance(minutes=10)

    for ask in (
        lambda: devices.token_of(services.services, begun.secret),
        lambda: devices.let_in(services.services, begun.login.code, by=ADA),
    ):
        with pytest.raises(NotFound):
            ask()


@pytest.mark.parametrize("kind", [Kind.TOKEN, Kind.UNPROVEN])
def test_no_program_and_nobody_unknown_lets_a_command_line_in(services, kind):
    begun = devices.begin(services.services, "cli")

    with pytest.raises(SignInRefused):
        devices.let_in(
            services.services, begun.login.code, by=Principal(name="ada", kind=kind, roles={"*": Role.ENGINEER})
        )


def test_whoever_has_left_meanwhile_lets_nobody_in(services):
    begun = devices.begin(services.services, "cli")
    devices.let_in(services.services, begun.login.code, by=ADA)
    accounts.set_user_enabled(services.services, "ada", enabled=False, by=person())

    with pytest.raises(SignInRefused):
        devices.token_of(services.services, begun.secret)


def test_no_more_wait_than_can_be_kept(services, monkeypatch):
    monkeypatch.setattr(devices, "_MOST_WAITING", 2)
    for _ in range(2):
        devices.begin(services.services, "cli")
    with pytest.raises(Throttled):
        devices.begin(services.services, "cli")
    services.clock.advance(minutes=10)

    devices.begin(services.services, "cli")


def test_by_http_nothing_but_the_secret_gives_the_token(services):
    api = client(services.services)
    begun = api.post("/api/v1/login/device", json={"token_name": "cli"}).json

    waiting = api.post("/api/v1/login/device/token", json={"secret": begun["secret"]}).json
    guessed = api.post("/api/v1/login/device/token", json={"secret": begun["code"]})

    assert waiting == {"state": "waiting", "secret": None}
    assert guessed.status_code == 404


def test_a_person_signs_in_at_the_identity_provider_and_lets_the_command_line_in(tmp_path, monkeypatch):
    monkeypatch.setattr(login, "_PAUSE_SECONDS", 0.05)
    with (
        identity_provider() as provider,
        live_controller(
            tmp_path,
            WAVEGATE_API_TOKENS="{}",
            WAVEGATE_OIDC_ISSUER=provider.url,
            WAVEGATE_OIDC_CLIENT_ID=CLIENT[0],
            WAVEGATE_OIDC_CLIENT_SECRET=CLIENT[1],
            WAVEGATE_OIDC_NAME_CLAIM="email",
            WAVEGATE_OIDC_ROLES=json.dumps({"search": "engineer"}),
        ) as url,
    ):
        opened = threading.Event()
        pages = []
        monkeypatch.setattr(login.click, "echo", lambda text, **_: (pages.append(text), opened.set()))

        def browse():
            opened.wait(30)
            with requests.Session() as browser:
                # To the login page, from there to the provider, and back to the page with the code.
                address = re.search(r"http\S+", pages[0])[0]
                path = urlsplit(address)
                there = browser.get(f"{url}/login/oidc", params={"next": f"{path.path}?{path.query}"}, timeout=30)
                field = re.search(r'name="(\w+)" value="([^"]+)"[^>]*>\s*<input type="hidden" name="code"', there.text)
                code = re.search(r"<strong>(\S+)</strong>", there.text)[1]
                assert code in pages[0]
                said = browser.post(
                    f"{url}/login/device",
                    data={field[1]: field[2], "code": code},
                    headers={"Origin": url},
                    timeout=30,
                )
                assert "It is in" in said.text, said.text

        person_there = threading.Thread(target=browse)
        person_there.start()
        env = {"WAVEGATE_URL": url, "HOME": str(tmp_path), "XDG_CONFIG_HOME": None, "WAVEGATE_TOKEN": None}
        result = CliRunner(env=env).invoke(main, ["login", "--web"])
        person_there.join(30)
        monkeypatch.undo()
        listed = CliRunner(env=env).invoke(main, ["flag", "list"])

    assert result.exit_code == 0, result.output
    assert listed.exit_code == 0, listed.output
    assert (tmp_path / ".config" / "wavegate" / "tokens.json").exists()
