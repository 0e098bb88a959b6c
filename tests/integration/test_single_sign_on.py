"""Signing in at an identity provider that really signs, over real HTTP."""

import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask

from support.database import database
from support.identity_provider import CLIENT, identity_provider
from support.people import person
from support.world import World
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.identity import Identity
from wavegate_controller.oidc import OidcProvider
from wavegate_controller.service import accounts, credentials
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore
from wavegate_controller.web import make_door, make_web

ROLES = {
    "search": {"staging": Role.ENGINEER, "production": Role.VIEWER},
    "leads": {"production": Role.APPROVER},
    "platform": {EVERYWHERE: Role.ADMIN},
}


@pytest.fixture(scope="module")
def provider():
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def world(new_sqlite_url):
    with database(new_sqlite_url) as engine:
        world = World.over(SqlStore(engine))
        # Tokens carry the provider's time.
        world.clock._now = datetime.fromtimestamp(time.time(), UTC)
        publish_latest(world.services)
        yield world


@pytest.fixture
def browser(world, provider):
    provider.wrong, provider.claims = {}, {"sub": "1234", "email": "ada@example.com", "groups": ["search"]}
    identity = Identity(world.services)
    oidc = OidcProvider(
        provider.url,
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
        scopes=["openid", "email"],
        claims=("email", "groups"),
        roles=ROLES,
        label="the company",
    )
    app = Flask("pages", static_folder=None)
    app.register_blueprint(make_web(world.services, identity))
    app.register_blueprint(make_door(world.services, identity, oidc))
    return app.test_client()


def come_back(browser, path="/login/oidc"):
    """Leave for the provider, and come back with what it says."""
    left = browser.get(path)
    assert left.status_code == 303, left.text
    there = requests.get(left.location, allow_redirects=False, timeout=10)
    back = urlsplit(there.headers["Location"])
    return browser.get(f"{back.path}?{back.query}")


def users(world):
    return {each.name: (dict(each.roles), each.subject) for each in accounts.list_users(world.services, by=person())}


def test_whoever_the_provider_vouches_for_is_in_with_the_roles_of_their_groups(world, provider, browser):
    provider.claims["groups"] = ["search", "leads", "unheard-of"]

    arrived = come_back(browser, "/login/oidc?next=/account")

    assert (arrived.status_code, arrived.location) == (303, "/account")
    assert users(world) == {
        "ada@example.com": ({"staging": "engineer", "production": "approver"}, f"{provider.url} 1234")
    }
    assert "ada@example.com" in browser.get("/account").text


def test_the_login_page_leads_there(browser):
    assert "Continue with the company" in browser.get("/login").text


def test_roles_follow_the_groups_at_each_sign_in(world, provider, browser):
    come_back(browser)
    provider.claims["groups"] = ["platform"]
    come_back(browser)

    assert users(world)["ada@example.com"][0] == {"*": "admin"}


def test_the_last_one_who_may_do_everything_stays_so_whatever_the_provider_says(world, provider, browser):
    provider.claims["groups"] = ["platform"]
    come_back(browser)
    provider.claims["groups"] = ["search"]
    come_back(browser)
    assert users(world)["ada@example.com"][0] == {"*": "admin", "staging": "engineer", "production": "viewer"}

    accounts.create_user(world.services, "root", {EVERYWHERE: Role.ADMIN}, by=person())
    come_back(browser)
    assert users(world)["ada@example.com"][0] == {"staging": "engineer", "production": "viewer"}


def test_who_comes_under_another_subject_is_somebody_else_whatever_their_name(world, provider, browser):
    come_back(browser)
    provider.claims["sub"] = "5678"

    refused = come_back(browser)

    assert refused.status_code == 401
    assert "There is a user &#39;ada@example.com&#39; already" in refused.text


@pytest.mark.parametrize("taken_by", ["person", "token"])
def test_a_name_that_signs_already_is_not_given_away(world, provider, browser, taken_by):
    if taken_by == "person":
        accounts.create_user(world.services, "ada@example.com", {EVERYWHERE: Role.VIEWER}, by=person())
    else:
        credentials.create_token(world.services, "ada@example.com", {EVERYWHERE: Role.VIEWER}, by=person())

    assert come_back(browser).status_code == 401
    assert [name for name, (_, subject) in users(world).items() if subject] == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"claims": {"iss": "https://evil.example"}}, "does not hold"),
        ({"claims": {"aud": "another-client"}}, "does not hold"),
        ({"claims": {"nonce": "replayed"}}, "does not hold"),
        ({"now": 1_000_000_000}, "does not hold"),
        ({"key": True}, "does not hold"),
        ({"unsigned": True}, "does not hold"),
        ({"no_id_token": True}, "sent no ID token"),
        ({"error": "access_denied"}, "refused: access_denied"),
        ({"claims": {"email": None}}, "does not say"),
        ({"claims": {"email": "wavegate"}}, "taken by the controller itself"),
        ({"claims": {"email_verified": False}}, "has not verified"),
        ({"claims": {"groups": ["nobodys"]}}, "has no role here"),
    ],
)
def test_what_the_provider_says_wrong_is_named_and_lets_nobody_in(world, provider, browser, wrong, said):
    provider.wrong = wrong

    refused = come_back(browser)

    assert refused.status_code == 401
    assert said in refused.text
    assert users(world) == {}
    assert browser.get("/account").status_code == 302


def test_a_provider_that_calls_itself_something_else_is_none(provider, browser):
    provider.wrong = {"discovered_issuer": "https://evil.example"}

    refused = browser.get("/login/oidc")

    assert refused.status_code == 401
    assert "calls itself" in refused.text


def test_an_answer_counts_only_in_the_browser_that_left_and_only_once(world, provider, browser):
    left = browser.get("/login/oidc")
    back = urlsplit(requests.get(left.location, allow_redirects=False, timeout=10).headers["Location"])
    other = browser.application.test_client()

    planted = other.get(f"{back.path}?{back.query}")
    arrived = browser.get(f"{back.path}?{back.query}")
    again = browser.get(f"{back.path}?{back.query}")

    assert (planted.status_code, arrived.status_code, again.status_code) == (401, 303, 401)
    assert "was not begun in this browser" in planted.text


def test_an_issuer_in_the_answer_that_is_another_is_refused(provider, browser):
    left = browser.get("/login/oidc")
    back = urlsplit(requests.get(left.location, allow_redirects=False, timeout=10).headers["Location"])

    refused = browser.get(f"{back.path}?{back.query}&iss=https://evil.example")

    assert refused.status_code == 401
    assert "not from the issuer of the settings" in refused.text


def test_a_provider_that_is_away_is_named(world, browser, provider):
    provider.url, url = "http://127.0.0.1:1", provider.url
    try:
        app = Flask("pages", static_folder=None)
        oidc = OidcProvider(
            "http://127.0.0.1:1",
            client_id="w",
            client_secret=None,
            scopes=["openid"],
            claims=("email", "groups"),
            roles=ROLES,
            label="the company",
        )
        identity = Identity(world.services)
        app.register_blueprint(make_web(world.services, identity))
        app.register_blueprint(make_door(world.services, identity, oidc))
        refused = app.test_client().get("/login/oidc")
    finally:
        provider.url = url

    assert refused.status_code == 401
    assert "cannot be asked" in refused.text
