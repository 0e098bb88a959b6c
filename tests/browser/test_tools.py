"""Playground, clients and audit in a browser: what is asked, opened and set back, and nothing that keeps people out."""

import re

import pytest
from playwright.sync_api import expect

from wavegate_controller.remote import RemoteController


def give_people(controller):
    controller.remote.create_flag({"key": "ai-answers", "deny": ["mallory"]})
    controller.remote.change_flag("ai-answers", {"deny": ["mallory", "eve"], "comment": "spam"}, actor="grace")


def test_somebody_is_told_why_they_get_what_they_get(controller, page, axe):
    give_people(controller)

    page.goto(controller.url + "/playground")
    page.get_by_label("Targeting key").fill("eve")
    page.get_by_label("Attributes").fill("country=NO")
    page.get_by_role("button", name="Evaluate").click()

    expect(page.locator(".chain-decided")).to_contain_text("the targeting key is listed")
    axe(page)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/playground", "/playground?key=eve", "/clients", "/audit", "/audit/2/restore"])
def test_a_page_is_accessible_in_light_and_dark_and_no_wider_than_a_phone(controller, open_window, axe, path):
    give_people(controller)

    for options in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = open_window(**options)
        page.goto(controller.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for each in page.locator("details:not(.act-more) > summary:visible").all():
            each.click()
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_an_entry_is_opened_and_set_back_by_keyboard_alone(controller, page):
    give_people(controller)
    page.goto(controller.url + "/audit?action=flag.change")

    page.locator(".line > summary").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Restore what was before").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Why").fill("eve asked nicely")
    page.keyboard.press("Enter")

    expect(page.locator(".line").first).to_contain_text("eve asked nicely (restores what was before audit entry")
    assert controller.remote.flag("ai-answers")["deny"] == ["mallory"]


@pytest.mark.slow
def test_a_connected_app_is_shown_as_current(controller, page):
    import wavegate

    with wavegate.Client(controller.url):
        page.goto(controller.url + "/clients")

        expect(page.locator("#clients tbody tr")).to_contain_text("current")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["", "/people", "/tokens", "/keys", "/environments", "/notifications", "/metrics"],
    ids=lambda each: each or "/",
)
def test_a_page_of_the_settings_is_accessible_in_light_and_dark_and_no_wider_than_a_phone(
    controller, open_window, axe, path
):
    controller.remote.create_user("grace", {"*": "engineer"})

    for options in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = open_window(**options)
        page.goto(f"{controller.url}/settings{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_an_engineer_is_made_a_token_of_their_own_that_the_controller_takes(signed_in, closed_controller, axe):
    page = signed_in("grace", "engineer")
    page.goto(closed_controller.url + "/settings/tokens")

    page.get_by_role("textbox", name="Name").fill("laptop")
    page.get_by_role("combobox", name="everywhere").select_option("viewer")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#secret code").inner_text()

    axe(page)
    assert RemoteController(closed_controller.url, token=secret).flags() == []


@pytest.mark.slow
def test_a_decision_is_accessible_in_light_and_dark_and_no_wider_than_a_phone(controller, open_window, axe):
    controller.remote.create_flag({"key": "ai-answers"})
    rollout = controller.remote.create_rollout({"flag": "ai-answers"}, actor="anna")
    controller.remote.act(rollout["id"], "start", actor="anna")
    (newest, *_) = controller.remote.decisions(rollout["id"])

    for options in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        page = open_window(**options)
        for path in ("/flags/ai-answers/decisions", f"/decisions/{newest['id']}"):
            page.goto(controller.url + path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            axe(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_unsaved_changes_of_a_flag_are_kept_given_back_and_forgotten_once_saved(controller, page, axe):
    give_people(controller)
    editor = controller.url + "/flags/ai-answers/edit"
    page.goto(editor)
    page.get_by_role("button", name="One more variant").click()
    page.get_by_label("Name of variant 3").fill("maybe")
    page.get_by_label("Value of variant 3").fill("null")
    page.goto(editor)
    axe(page)

    page.get_by_role("button", name="Go on with them").click()
    expect(page.get_by_label("Name of variant 3")).to_have_value("maybe")
    page.get_by_role("button", name="Review the change").click()
    axe(page)
    page.get_by_role("button", name="Save the change").click()
    expect(page).to_have_url(controller.url + "/flags/ai-answers")
    page.goto(editor)

    assert page.get_by_role("button", name="Go on with them").count() == 0
    assert controller.remote.flag("ai-answers")["variants"]["maybe"] is None


@pytest.mark.slow
def test_targeting_is_edited_by_keyboard_and_read_as_a_sentence(controller, open_window, axe):
    give_people(controller)
    page = open_window()
    page.goto(controller.url + "/flags/ai-answers/targeting")

    page.get_by_role("button", name="A rule", exact=True).press("Enter")
    page.get_by_label("Attribute of rule 1, line 1").fill("country")
    page.get_by_label("Operator of rule 1, line 1").select_option("in")
    page.get_by_label("Value of rule 1, line 1").fill("NO, SE")
    page.get_by_role("combobox", name="serve").fill("on")
    page.get_by_role("combobox", name="serve").press("Enter")
    expect(page.locator(".rule-sentence")).to_contain_text("If country is one of NO, SE, serve on")
    axe(page)
    page.get_by_role("button", name="Save the change").press("Enter")
    expect(page).to_have_url(controller.url + "/flags/ai-answers")

    assert controller.remote.flag("ai-answers")["rules"][0]["serve"] == "on"
    for options in ({"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        other = open_window(**options)
        other.goto(controller.url + "/flags/ai-answers/targeting")
        axe(other)
        assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_a_plan_is_checked_and_created_and_fits_a_phone(controller, open_window, axe):
    controller.remote.create_flag({"key": "ai-answers"})
    page = open_window(viewport={"width": 390, "height": 844})
    page.goto(controller.url + "/flags/ai-answers/rollouts/new")

    page.get_by_label("One more gate").select_option("manual")
    page.get_by_role("button", name="Add it").click()
    page.locator("#gate-2-question").fill("Do the answers read well?")
    page.get_by_role("button", name="Check the plan").click()
    expect(page.locator("#gates")).to_contain_text("Rolls back when")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Create the draft").click()

    expect(page).to_have_url(controller.url + "/flags/ai-answers")
    rollout = controller.remote.rollout("ai-answers")
    assert (rollout["state"], rollout["plan"]["gates"][2]["question"]) == ("draft", "Do the answers read well?")


@pytest.mark.slow
def test_what_is_typed_into_a_plan_is_judged_beside_it_without_a_button(controller, page, axe):
    controller.remote.create_flag({"key": "ai-answers"})
    page.goto(controller.url + "/flags/ai-answers/rollouts/new")

    page.get_by_label("Percent of users in wave 1").fill("much")
    page.keyboard.press("Tab")
    expect(page.locator("#wrong")).to_contain_text("'much' is no number")
    page.get_by_label("Percent of users in wave 1").fill("5")
    page.keyboard.press("Tab")

    expect(page.locator("#beside #gates")).to_contain_text("Rolls back when")
    expect(page.locator("#field-yaml")).to_have_value(re.compile("percent: 5"))
    expect(page.get_by_role("button", name="Create the draft")).to_be_visible()
    axe(page)


@pytest.mark.slow
def test_the_plan_of_a_draft_is_edited_by_keyboard_in_light_and_dark(controller, open_window, axe):
    controller.remote.create_flag({"key": "ai-answers"})
    controller.remote.create_rollout({"flag": "ai-answers"}, actor="anna")
    page = open_window(color_scheme="dark")
    page.goto(controller.url + "/flags/ai-answers")

    page.locator("#more > summary").press("Enter")
    page.get_by_role("link", name="Edit the plan").press("Enter")
    page.get_by_label("Percent of users in wave 1").fill("7")
    page.get_by_role("button", name="Check the plan").press("Enter")
    axe(page)
    page.get_by_role("button", name="Save the plan").press("Enter")

    expect(page).to_have_url(controller.url + "/flags/ai-answers")
    assert controller.remote.rollout("ai-answers")["plan"]["waves"][0]["percent"] == 7


@pytest.mark.slow
def test_a_segment_is_made_by_keyboard_and_accessible_in_light_and_dark_and_on_a_phone(controller, open_window, axe):
    page = open_window()
    page.goto(controller.url + "/segments")
    axe(page)
    page.get_by_role("link", name="New segment").press("Enter")

    page.get_by_label("Key").fill("nordics")
    page.get_by_label("Attribute of line 1").fill("country")
    page.get_by_label("Operator of line 1").select_option("in")
    page.get_by_label("Value of line 1").fill("NO, SE")
    page.get_by_label("Value of line 1").press("Enter")
    expect(page.locator(".rule-sentence")).to_contain_text("country is one of NO, SE")
    axe(page)
    page.get_by_role("button", name="Create nordics").press("Enter")

    expect(page.locator("#segment-nordics")).to_contain_text("Used by nobody")
    for options in ({"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}):
        other = open_window(**options)
        for path in ("/segments", "/segments/nordics"):
            other.goto(controller.url + path)
            axe(other)
            assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
