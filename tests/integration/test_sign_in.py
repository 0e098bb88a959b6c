"""Coming in by link and password, staying in by a session, and every way in which somebody else must not."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from support.database import database
from support.people import person
from support.world import World
from wavegate_controller.api import make_api
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.domain.credential import Kind
from wavegate_controller.domain.errors import Conflict, Forbidden, Invalid
from wavegate_controller.identity import Identity
from wavegate_controller.service import accounts, credentials
from wavegate_controller.service.environments import create_environment
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore
from wavegate_controller.web import make_door, make_web

PASSWORD = "some words that ada knows"
ADMIN = person()


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine))
        publish_latest(world.services)
        create_environment(world.services, "staging", by=ADMIN)
        yield world


@pytest.fixture
def app(world):
    app = Flask("pages", static_folder=None)
    identity = Identity(world.services)
    for blueprint in (make_api(world.services, identity), make_web(world.services, identity)):
        app.register_blueprint(blueprint)
    app.register_blueprint(make_door(world.services, identity))
    return app


@pytest.fixture
def browser(app):
    return app.test_client()


@pytest.fixture
def ada(world):
    """An engineer with a password."""
    invitation = accounts.create_user(world.services, "ada", {EVERYWHERE: Role.ENGINEER}, by=ADMIN)
    return accounts.accept(world.services, invitation.secret, PASSWORD)


def sign_in(browser, name="ada", password=PASSWORD, **more):
    return browser.post("/login", data={"name": name, "password": password}, **more)


def cookie(browser):
    found = browser.get_cookie("wavegate_session")
    return found and found.value


def csrf(browser):
    return re.search(r'name="csrf" value="([^"]+)"', browser.get("/").text)[1]


def token(world, roles, *, by=ADMIN, **more):
    return credentials.create_token(world.services, "a-token", roles, by=by, **more)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_the_first_start_makes_one_admin_whose_link_is_good_once(world, browser):
    invitation = accounts.first_admin(world.services)
    again = accounts.first_admin(world.services)

    assert browser.get(f"/login/link/{invitation.secret}").status_code == 401, "a newer one has taken its place"
    assert browser.get(f"/login/link/{again.secret}").status_code == 200
    form = {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(f"/login/link/{again.secret}", data=form).status_code == 303
    assert browser.get("/account").status_code == 200
    assert browser.post(f"/login/link/{again.secret}", data=form).status_code == 401
    assert accounts.first_admin(world.services) is None


def test_a_link_runs_out_and_a_weak_password_does_not_use_it_up(world, browser):
    secret = accounts.create_user(world.services, "ada", {EVERYWHERE: Role.VIEWER}, by=ADMIN).secret

    for weak in ("short", "a" * 40, "ada ada ada ada ada"):
        assert browser.post(f"/login/link/{secret}", data={"password": weak, "again": weak}).status_code == 422
    assert browser.post(f"/login/link/{secret}", data={"password": PASSWORD, "again": "other"}).status_code == 422
    world.clock.advance(hours=25)
    assert browser.get(f"/login/link/{secret}").status_code == 401


def test_a_page_leads_to_the_login_and_from_there_back_and_nowhere_else(ada, browser):
    asked = browser.get("/flags/search?environment=staging")

    assert asked.location == "/login?next=/flags/search?environment%3Dstaging"
    arrived = browser.post("/login", data={"name": "ada", "password": PASSWORD, "next": "/flags/search"})
    assert arrived.location == "/flags/search"
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", "javascript:alert(1)"):
        data = {"name": "ada", "password": PASSWORD, "next": evil}
        assert browser.application.test_client().post("/login", data=data).location == "/"


def test_the_cookie_is_for_the_browser_alone(ada, browser):
    plain = sign_in(browser).headers["Set-Cookie"]
    secure = sign_in(browser, base_url="https://localhost").headers["Set-Cookie"]

    assert all(part in plain for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert secure.startswith("__Host-wavegate_session=")
    assert "Secure" in secure
    assert "Domain" not in plain + secure


def test_a_session_that_somebody_planted_is_not_the_one_that_begins(world, ada, browser):
    sign_in(browser)
    planted = cookie(browser)
    sign_in(browser)
    thief = browser.application.test_client()
    thief.set_cookie("wavegate_session", planted)

    assert cookie(browser) != planted
    assert thief.get("/account").status_code == 302


def test_a_session_ends_by_itself_by_signing_out_and_with_the_account(world, ada, browser):
    sign_in(browser)
    kept = cookie(browser)
    assert browser.post("/logout", data={"csrf": csrf(browser)}).status_code == 303
    browser.set_cookie("wavegate_session", kept)
    assert browser.get("/account").status_code == 302

    sign_in(browser)
    world.clock.advance(hours=13)
    assert browser.get("/account").status_code == 302

    sign_in(browser)
    accounts.set_user_enabled(world.services, "ada", enabled=False, by=ADMIN)
    assert browser.get("/account").status_code == 302
    assert sign_in(browser).status_code == 401


def test_a_new_password_ends_all_other_sessions(world, ada, browser):
    other = browser.application.test_client()
    sign_in(browser)
    sign_in(other)
    new = {"current": PASSWORD, "password": "other words that she knows", "again": "other words that she knows"}

    assert browser.post("/account/password", data=new).status_code == 403, "without the page's word"
    wrong = browser.post("/account/password", data=new | {"current": "guessed", "csrf": csrf(browser)})
    changed = browser.post("/account/password", data=new | {"csrf": csrf(browser)})

    assert (wrong.status_code, changed.status_code) == (422, 200)
    assert browser.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    assert sign_in(other).status_code == 401


def test_a_browser_acts_through_the_api_only_on_behalf_of_our_pages(world, ada, browser):
    sign_in(browser)
    word = csrf(browser)
    ours = {"Wavegate-CSRF": word, "Origin": "http://localhost"}

    for headers in (
        {},
        {"Wavegate-CSRF": "guessed"},
        ours | {"Origin": "https://evil.example"},
        ours | {"Origin": "null"},
        ours | {"Sec-Fetch-Site": "cross-site"},
        ours | {"Sec-Fetch-Site": "same-site"},
    ):
        refused = browser.post("/api/v1/flags", json={"key": "f"}, headers=headers)
        assert (refused.status_code, refused.content_type) == (403, "application/problem+json"), headers
    assert browser.post("/api/v1/flags", json={"key": "f"}, headers=ours).status_code == 201
    assert browser.post("/login", data={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_wrong_token_is_not_made_up_for_by_a_cookie(ada, browser):
    sign_in(browser)

    assert browser.get("/api/v1/me").json["name"] == "ada"
    assert browser.get("/api/v1/me", headers=bearer("wgt_wrong")).status_code == 401


def test_guesses_must_wait_longer_each_time_also_across_a_restart(world, ada, browser):
    for _ in range(5):
        assert sign_in(browser, password="guess").status_code == 401
    throttled = sign_in(browser)

    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "1")
    world.clock.advance(seconds=1)
    assert sign_in(browser, password="guess").status_code == 401
    assert sign_in(browser).headers["Retry-After"] == "2"
    assert browser.post("/api/v1/login", json={"name": "ada", "password": PASSWORD}).status_code == 429
    elsewhere = {"REMOTE_ADDR": "198.51.100.7"}
    assert sign_in(browser, environ_base=elsewhere).status_code == 303, "its owner is not locked out elsewhere"


def test_an_address_that_tries_many_accounts_must_wait_and_what_is_remembered_has_an_end(world, browser, monkeypatch):
    from wavegate_controller.service import sessions

    monkeypatch.setattr(sessions, "_MOST_REMEMBERED", 60)
    answers = [sign_in(browser, name=f"user{number}", password="x").status_code for number in range(60)]

    assert answers[:50] == [401] * 50
    assert answers[50:] == [429] * 10
    with world.services.store.transaction() as work:
        table = work._connection.exec_driver_sql("SELECT count(*) FROM login_failure").scalar()
    assert table <= 60


def test_a_name_that_does_not_exist_looks_like_a_wrong_password(ada, browser):
    wrong, unknown = sign_in(browser, password="wrong"), sign_in(browser, name="eve", password="wrong")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("ada", "eve") == unknown.text


@pytest.mark.parametrize("secret", ["", "wgt_", "wgt_" + "A" * 43, "wgk_x", "a b", "x" * 5000, "wgt_\u00fc", "null"])
def test_a_malformed_token_lets_nobody_in(browser, secret):
    headers = {"Authorization": f"Bearer {secret}".encode("latin-1", "replace").decode("latin-1")}

    assert browser.get("/api/v1/flags", headers=headers).status_code == 401


def test_a_token_is_good_until_it_ends_or_is_revoked_and_is_known_by_its_use(world, browser):
    made = token(world, {"production": Role.VIEWER}, expires_in=timedelta(days=1))
    revoked = credentials.create_token(world.services, "other", {"production": Role.VIEWER}, by=ADMIN)
    credentials.revoke(world.services, Kind.API_TOKEN, revoked.credential.id, by=ADMIN)

    assert browser.get("/api/v1/flags", headers=bearer(made.secret)).status_code == 200
    assert browser.get("/api/v1/flags?environment=staging", headers=bearer(made.secret)).status_code == 403
    assert browser.get("/api/v1/flags", headers=bearer(revoked.secret)).status_code == 401
    first = credentials.list_tokens(world.services, by=ADMIN)[0].last_used_at
    world.clock.advance(seconds=59)
    browser.get("/api/v1/flags", headers=bearer(made.secret))
    assert credentials.list_tokens(world.services, by=ADMIN)[0].last_used_at == first == made.credential.created_at
    world.clock.advance(hours=24)
    assert browser.get("/api/v1/flags", headers=bearer(made.secret)).status_code == 401


def test_secrets_are_kept_nowhere(world):
    made = token(world, {"production": Role.VIEWER})
    key = credentials.create_key(world.services, "shop", by=ADMIN)

    with world.services.store.transaction() as work:
        kept = repr(work._connection.exec_driver_sql("SELECT * FROM credential").all())
        kept += repr(work._connection.exec_driver_sql("SELECT * FROM audit").all())

    assert made.credential.secret_hash in kept
    assert made.secret not in kept
    assert key.secret not in kept


def test_a_rotated_secret_is_good_for_the_overlap(world, browser):
    old = token(world, {"production": Role.VIEWER})
    new = browser.post(
        f"/api/v1/tokens/{old.credential.id}/rotate",
        json={"overlap": "1h"},
        headers=bearer(credentials.create_token(world.services, "root", {"*": Role.ADMIN}, by=ADMIN).secret),
    ).json

    for secret in (old.secret, new["secret"]):
        assert browser.get("/api/v1/flags", headers=bearer(secret)).status_code == 200
    world.clock.advance(hours=1)
    assert browser.get("/api/v1/flags", headers=bearer(old.secret)).status_code == 401
    assert browser.get("/api/v1/flags", headers=bearer(new["secret"])).status_code == 200


def test_nobody_makes_anybody_stronger_than_they_are(world, ada, browser):
    weak = credentials.create_token(world.services, "weak", {"staging": Role.VIEWER}, personal=True, by=ada.principal)
    strong = credentials.create_token(world.services, "strong", {"*": Role.ENGINEER}, personal=True, by=ada.principal)
    headers = bearer(weak.secret)

    for body in (
        {"name": "x", "roles": {"*": "admin"}},
        {"name": "x", "roles": {"staging": "engineer"}, "personal": True},
        {"name": "x", "roles": {"production": "viewer"}, "personal": True},
        {"name": "x", "roles": {"staging": "viewer"}},
    ):
        assert browser.post("/api/v1/tokens", json=body, headers=headers).status_code == 403, body
    rotated = browser.post(f"/api/v1/tokens/{strong.credential.id}/rotate", json={}, headers=headers)
    assert rotated.status_code == 403, "a weak token is no way to a strong one"
    for role in ("admin", "engineer"):
        assert browser.put("/api/v1/users/ada/roles", json={"roles": {"*": role}}, headers=headers).status_code == 403
    with pytest.raises(Forbidden):
        credentials.create_token(world.services, "x", {"*": Role.ADMIN}, personal=True, by=ada.principal)


def test_a_personal_token_shrinks_and_ends_with_its_owner(world, ada, browser):
    mine = credentials.create_token(world.services, "mine", {"*": Role.ENGINEER}, personal=True, by=ada.principal)

    def create(key):
        return browser.post("/api/v1/flags", json={"key": key}, headers=bearer(mine.secret)).status_code

    assert create("a") == 201
    accounts.set_roles(world.services, "ada", {"*": Role.VIEWER}, by=ADMIN)
    assert create("b") == 403
    accounts.set_user_enabled(world.services, "ada", enabled=False, by=ADMIN)
    assert create("c") == 401


def test_a_token_does_not_outlive_the_token_that_it_was_made_with(world, ada, browser):
    short = credentials.create_token(
        world.services, "short", {"*": Role.VIEWER}, personal=True, expires_in=timedelta(days=1), by=ada.principal
    )
    body = {"name": "long", "roles": {"*": "viewer"}, "personal": True}

    refused = browser.post("/api/v1/tokens", json=body, headers=bearer(short.secret))
    made = browser.post("/api/v1/tokens", json=body | {"expires_in": "1h"}, headers=bearer(short.secret))

    assert (refused.status_code, refused.json["errors"][0]["field"], made.status_code) == (422, "expires_in", 201)


def test_the_last_admin_stays(world):
    root = accounts.accept(world.services, accounts.first_admin(world.services).secret, PASSWORD)

    with pytest.raises(Conflict, match="the last one"):
        accounts.set_user_enabled(world.services, root.name, enabled=False, by=root.principal)
    with pytest.raises(Conflict, match="the last one"):
        accounts.set_roles(world.services, root.name, {"*": Role.APPROVER}, by=root.principal)
    accounts.create_user(world.services, "eve", {"*": Role.ADMIN}, by=root.principal)
    accounts.set_roles(world.services, root.name, {"*": Role.APPROVER}, by=root.principal)


def test_two_who_would_sign_with_one_name_are_refused(world, ada):
    with pytest.raises(Conflict):
        credentials.create_token(world.services, "Ada", {"*": Role.VIEWER}, by=ADMIN)
    token(world, {"*": Role.VIEWER})
    with pytest.raises(Conflict):
        accounts.create_user(world.services, "a-token", {"*": Role.VIEWER}, by=ADMIN)
    with pytest.raises(Conflict):
        accounts.create_user(world.services, "ADA", {"*": Role.VIEWER}, by=ADMIN)
    with pytest.raises(Invalid):
        accounts.create_user(world.services, "wavegate", {"*": Role.VIEWER}, by=ADMIN)


def test_an_open_controller_answers_only_on_this_machine_and_says_what_it_is(world):
    app = Flask("pages", static_folder=None)
    identity = Identity(world.services, is_open=True)
    for blueprint in (make_api(world.services, identity), make_web(world.services, identity)):
        app.register_blueprint(blueprint)
    app.register_blueprint(make_door(world.services, identity))
    browser = app.test_client()
    evil = {"Origin": "https://evil.example"}

    assert "whoever reaches this page may do everything" in browser.get("/").text
    assert browser.get("/api/v1/flags", base_url="http://127.0.0.1:8080").status_code == 200
    assert browser.get("/api/v1/flags", base_url="http://rebound.example").status_code == 421
    assert browser.post("/api/v1/flags", json={"key": "f"}, headers=evil).status_code == 403
    assert browser.post("/api/v1/flags", json={"key": "f"}).status_code == 201
