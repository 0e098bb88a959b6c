"""The pages of the settings as plain HTTP: what a form does, what it is refused for, and who may send it."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from support.database import database
from support.pages import pages_for, text_of
from support.people import identity, person
from support.world import World
from wavegate_controller.domain.access import EVERYWHERE, Role
from wavegate_controller.domain.credential import Kind
from wavegate_controller.domain.notification import DeliveryState
from wavegate_controller.notify import OutsideMessenger
from wavegate_controller.service import accounts, credentials, environments, notifications, sessions
from wavegate_controller.service.publish import publish_latest
from wavegate_controller.store import SqlStore
from wavegate_controller.web import make_web

ADA = person("ada")
CHANNEL = {"name": "paging", "type": "webhook", "url": "https://hooks.example/x", "environment": "*", "least": "info"}


@pytest.fixture
def world(any_database_url):
    with database(any_database_url) as engine:
        world = World.over(SqlStore(engine), messenger=OutsideMessenger(urls=["https://hooks.example"]))
        publish_latest(world.services)
        yield world


@pytest.fixture
def browser(world):
    return pages_for(world.services)


def secrets_in(page):
    return re.findall(r"wg[tkl]_[\w-]{20,}", page)


def test_a_person_is_let_in_by_a_link_that_is_shown_once(world, browser):
    made = browser.post("/settings/people", data={"name": "grace", "role:*": "viewer", "role:production": "engineer"})

    (secret,) = secrets_in(made.text)
    assert made.status_code == 201
    assert accounts.invited(world.services, secret).roles == {EVERYWHERE: Role.VIEWER, "production": Role.ENGINEER}
    assert secrets_in(browser.get("/settings/people").text) == []


def test_a_person_without_a_role_is_refused_at_the_field_and_the_name_is_kept(world, browser):
    answer = browser.post("/settings/people", data={"name": "grace", "role:*": ""})

    assert answer.status_code == 422
    assert 'id="roles-error">Gives no role anywhere. Needed: a role in one environment' in answer.text
    assert 'value="grace"' in answer.text
    assert accounts.list_users(world.services, by=ADA) == []


def test_people_get_other_roles_leave_and_come_back(world, browser):
    for name in ("grace", "linus"):
        accounts.create_user(world.services, name, {EVERYWHERE: Role.ADMIN}, by=ADA)

    done = [
        browser.post("/settings/people/grace/roles", data={"role:production": "approver"}),
        browser.post("/settings/people/grace/enabled", data={"enabled": "false"}),
    ]
    grace = next(each for each in accounts.list_users(world.services, by=ADA) if each.name == "grace")
    last_admin = browser.post("/settings/people/linus/enabled", data={"enabled": "false"})

    assert [each.status_code for each in done] == [303, 303]
    assert (grace.enabled, grace.roles) == (False, {"production": Role.APPROVER})
    assert last_admin.status_code == 409
    assert "make somebody else one first" in last_admin.text


def test_a_token_s_secret_is_shown_once_and_opens_until_it_is_revoked(world, browser):
    made = browser.post("/settings/tokens", data={"name": "ci", "role:production": "engineer", "expires_in": "90d"})
    (secret,) = secrets_in(made.text)
    holder = credentials.holder(world.services, secret)
    (token,) = credentials.list_tokens(world.services, by=ADA)

    rotated = browser.post(f"/settings/tokens/{token.id}/rotate", data={"overlap": "1h"})
    revoked = browser.post(f"/settings/tokens/{token.id}/revoke")

    assert holder is not None
    assert (holder.name, holder.roles) == ("ci", {"production": Role.ENGINEER})
    assert secrets_in(rotated.text) != [secret]
    assert revoked.status_code == 303
    assert credentials.holder(world.services, secret) is None
    assert secrets_in(browser.get("/settings/tokens").text) == []


def test_a_lifetime_that_is_none_is_refused_at_its_field(world, browser):
    answer = browser.post("/settings/keys", data={"name": "shop", "expires_in": "soon"})

    assert answer.status_code == 422
    assert "a duration such as" in answer.text.partition('id="field-expires_in-error"')[2][:200]
    assert credentials.list_keys(world.services, by=ADA) == []


def test_an_sdk_key_is_of_the_environment_that_the_page_speaks_of(world, browser):
    environments.create_environment(world.services, "staging", by=ADA)

    made = browser.post("/settings/keys?environment=staging", data={"name": "shop", "expires_in": ""})

    (key,) = credentials.list_keys(world.services.within("staging"), by=ADA)
    assert made.status_code == 201
    assert (key.kind, key.expires_at, secrets_in(made.text)[0][:8]) == (Kind.SDK_KEY, None, key.hint)


def test_an_environment_is_made_and_a_taken_name_refused(world, browser):
    made = browser.post("/settings/environments", data={"name": "staging", "description": "For trying"})
    again = browser.post("/settings/environments", data={"name": "staging", "description": "For trying"})
    wrong = browser.post("/settings/environments", data={"name": "No good", "description": ""})

    assert [made.status_code, again.status_code, wrong.status_code] == [303, 409, 422]
    assert "1 to 100 of a-z" in wrong.text.partition('id="field-name-error"')[2]


def test_an_environment_s_words_and_dry_run_are_changed_where_it_stands(world, browser):
    environments.create_environment(world.services, "staging", description="For trying", by=ADA)

    def staging():
        found = environments.list_environments(world.services, by=ADA)
        return next((each.description, each.dry_run) for each in found if each.name == "staging")

    begun = browser.post("/settings/environments/staging", data={"words": "For trying hard", "dry_run": "true"})
    during = (staging(), browser.get("/settings/environments").text)
    ended = browser.post("/settings/environments/staging", data={"words": "For trying hard"})
    unknown = browser.post("/settings/environments/nowhere", data={"words": "x"})

    assert [begun.status_code, ended.status_code, unknown.status_code] == [303, 303, 404]
    assert during[0] == ("For trying hard", True)
    assert "dry run</span>" in during[1]
    assert "--no-dry-run" in during[1]
    assert staging() == ("For trying hard", False)


def test_a_channel_is_added_tested_and_removed(world, browser):
    added = browser.post("/settings/notifications", data=CHANNEL | {"actions": "rollout.roll_back, flag"})
    tested = browser.post("/settings/notifications/paging/test")
    (channel,) = notifications.list_channels(world.services, by=ADA)
    (delivery,) = notifications.deliveries(world.services, limit=5, by=ADA)
    page = text_of(browser.get("/settings/notifications").text)
    removed = browser.post("/settings/notifications/paging/remove")

    assert [added.status_code, tested.status_code, removed.status_code] == [303, 303, 303]
    assert channel.actions == ("rollout.roll_back", "flag")
    assert delivery.state is DeliveryState.PENDING
    assert "A test of channel paging" in page
    assert notifications.list_channels(world.services, by=ADA) == []


def test_an_address_that_is_not_allowed_is_refused_at_its_field_and_its_secret_not_sent_back(browser):
    answer = browser.post("/settings/notifications", data=CHANNEL | {"url": "https://evil.example/", "secret": "mine"})

    assert answer.status_code == 422
    assert 'id="field-url-error"' in answer.text
    assert 'value="mine"' not in answer.text


def test_the_connection_to_the_metrics_server_is_tested_when_somebody_asks(world, browser):
    before = text_of(browser.get("/settings/metrics").text)
    good = text_of(browser.post("/settings/metrics").text)
    world.metrics.away = True
    bad = text_of(browser.post("/settings/metrics").text)

    assert "What the test found" not in before
    assert "the metrics server answers" in good
    assert "connection refused" in bad
    assert "until then every gate holds" in bad


def test_each_role_may_send_what_it_may_do_and_no_more(world):
    forms = {
        "/settings/people": {"name": "eve", "role:*": "viewer"},
        "/settings/keys": {"name": "eve"},
        "/settings/environments": {"name": "eve"},
        "/settings/environments/production": {"words": "eve's"},
        "/settings/notifications": CHANNEL,
        "/settings/tokens": {"name": "eve", "role:*": "viewer"},
    }

    for role in (Role.VIEWER, Role.ENGINEER, Role.APPROVER):
        browser = pages_for(world.services, role)
        assert {browser.post(path, data=data).status_code for path, data in forms.items()} == {403}
    assert pages_for(world.services, Role.VIEWER).post("/settings/metrics").status_code == 403
    assert pages_for(world.services, Role.ENGINEER).post("/settings/metrics").status_code == 200
    assert "web.settings_people" not in pages_for(world.services, Role.ENGINEER).get("/settings").text


def test_every_form_must_show_that_it_comes_from_a_page_of_ours(world):
    app = Flask("pages", static_folder=None)
    app.register_blueprint(make_web(world.services, identity(world.services, root="a-token")))
    invitation = accounts.create_user(world.services, "ada", {EVERYWHERE: Role.ADMIN}, by=ADA)
    accounts.accept(world.services, invitation.secret, "the-quick-brown-fox-jumps")
    began = sessions.begin(world.services, "ada", lifetime=timedelta(hours=1), how="link")
    browser = app.test_client()
    browser.set_cookie("wavegate_session", began.secret)
    posts = [
        re.sub(r"<(?:int:)?\w+>", "1", each.rule)
        for each in app.url_map.iter_rules()
        if "POST" in (each.methods or ()) and each.endpoint.startswith("web.")
    ]

    refused = {path: browser.post(path).status_code for path in posts}

    assert len(refused) > 20
    assert {path for path, status in refused.items() if status != 403} == set()
