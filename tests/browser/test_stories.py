"""What goes otherwise: a breach while two people look, roles, two at once, no scripts, a controller that is gone."""

import signal

import pytest
from playwright.sync_api import expect

from support.controllers import ControllerProcess
from wavegate_controller.demo.features import HARMFUL
from wavegate_controller.demo.processes import free_port
from wavegate_controller.demo.stack import Stack
from wavegate_controller.remote import RemoteController

pytestmark = pytest.mark.slow

FLAG = "ai-answers"


@pytest.mark.timeout(300)
def test_a_breach_rolls_back_by_itself_while_two_people_look(open_window, axe):
    with Stack(lambda _: None, bake="5s") as stack:
        stack.start_rollout(HARMFUL)
        here, there = open_window(), open_window(color_scheme="dark")
        here.goto(f"{stack.url}/flags/{HARMFUL.key}")
        there.goto(stack.url)
        # It climbs by itself, and what its gates see is drawn.
        expect(here.locator("#now .big")).to_have_text("25 %", timeout=120_000)
        expect(here.locator("#chart-1 .uplot canvas")).to_be_visible()
        expect(here.locator("#delivered")).to_contain_text("2 of 2 clients")
        axe(here)

        stack.set_faults(HARMFUL, error_share=0.5)

        expect(here.locator("#head .badge")).to_have_text("rolled back", timeout=120_000)
        expect(here.locator("#now .big")).to_have_text("0 %")
        expect(here.locator("#now")).to_contain_text("Wavegate, automatically")
        expect(here.locator("#gate-1")).to_contain_text("breach")
        expect(there.locator("#group-urgent")).to_contain_text(HARMFUL.key)
        expect(here.get_by_role("button", name="Undo", exact=True)).to_have_count(0)
        axe(here)
        axe(there)


def test_each_role_is_offered_what_it_may_do_and_told_why_not_the_rest(closed_controller, signed_in, axe):
    closed_controller.remote.create_flag({"key": FLAG})
    closed_controller.remote.create_rollout({"flag": FLAG})
    closed_controller.remote.act(FLAG, "start")

    for name, role, offered, refused in (
        ("vera", "viewer", set(), "Roll back"),
        ("emil", "engineer", {"Roll back", "Pause"}, "Promote"),
        ("alma", "approver", {"Roll back", "Pause", "Promote"}, None),
    ):
        page = signed_in(name, role)
        page.goto(f"{closed_controller.url}/flags/{FLAG}")
        acts = page.locator("#acts > form button, #acts > details > summary")
        assert set(acts.all_inner_texts()) - {"More"} == offered, role
        if refused:
            expect(page.locator("#acts .refused").filter(has_text=refused)).to_contain_text("takes the role")
        axe(page)


def test_who_acts_on_what_has_moved_meanwhile_is_told_and_keeps_what_they_typed(controller, open_window):
    controller.remote.create_flag({"key": FLAG})
    controller.remote.create_rollout({"flag": FLAG}, actor="anna")
    controller.remote.act(FLAG, "start", actor="anna")
    # Without scripts the page stands still, as a page does that was left open.
    late = open_window(java_script_enabled=False)
    late.goto(f"{controller.url}/flags/{FLAG}")
    controller.remote.act(FLAG, "promote", actor="bert", comment="first")

    late.locator("#promote > summary").click()
    late.locator("#why-promote").fill("read a hundred answers")
    late.locator("#promote button").click()

    expect(late.get_by_role("alert")).to_contain_text("somebody else, or Wavegate itself, has moved this rollout")
    expect(late.locator("#now .big")).to_have_text("25 %")
    late.locator("#promote > summary").click()
    expect(late.locator("#why-promote")).to_have_value("read a hundred answers")
    late.locator("#promote button").click()
    expect(late.locator("#now .big")).to_have_text("50 %")


def test_every_act_works_without_a_script(controller, open_window):
    controller.remote.create_flag({"key": FLAG})
    controller.remote.create_rollout({"flag": FLAG}, actor="anna")
    page = open_window(java_script_enabled=False)
    page.goto(f"{controller.url}/flags/{FLAG}")
    badge, percent = page.locator("#head .badge"), page.locator("#now .big")

    page.get_by_role("button", name="Start", exact=True).click()
    expect(percent).to_have_text("10 %")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(badge).to_have_text("paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(badge).to_have_text("running")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(percent).to_have_text("0 %")
    page.get_by_label("Why?").fill("too slow")
    page.get_by_role("button", name="Save the reason").click()
    expect(page.locator("#history")).to_contain_text("too slow")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(badge).to_have_text("paused")
    page.locator("#more > summary").click()
    page.get_by_role("button", name="Emergency stop").click()
    expect(page.locator("#stopped")).to_contain_text("everybody gets off")
    page.get_by_role("button", name="Enable again").click()
    expect(page.locator("#stopped")).to_have_count(0)


def test_a_manual_wave_is_approved_or_rejected_with_a_reason(controller, page, axe):
    gate = {"type": "manual", "name": "read"}
    waves = [{"percent": 10, "bake": "1s", "approval": "manual"}, {"percent": 100, "bake": "1h"}]
    controller.remote.create_flag({"key": FLAG})
    plan = {"waves": waves, "gates": [gate], "interval": "1s"}
    controller.remote.create_rollout({"flag": FLAG, "plan": plan}, actor="anna")
    controller.remote.act(FLAG, "start", actor="anna")
    controller.remote.judge(FLAG, "read", "pass", comment="reads well", actor="bert")
    page.goto(f"{controller.url}/flags/{FLAG}")

    expect(page.locator("#approval")).to_contain_text("asks for approval")
    axe(page)
    page.get_by_role("link", name="Read the review, and decide").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Review of wave 1")
    axe(page)
    page.get_by_label("Why", exact=True).fill("reads well")
    page.get_by_role("button", name="Approve", exact=True).click()

    expect(page.locator("#now .big")).to_have_text("100 %")


def test_a_page_says_when_the_controller_is_gone_and_goes_on_when_it_is_back(tmp_path, page):
    port = str(free_port())
    database = f"sqlite:///{tmp_path / 'wavegate.db'}"
    with ControllerProcess(database, WAVEGATE_PORT=port) as first:
        url = first.wait_ready().url
        page.goto(url)
        page.locator("body.is-live").wait_for()
        first.signal(signal.SIGKILL)
        expect(page.locator("#unreachable")).to_contain_text("Controller unreachable since")
        expect(page.locator("#unreachable")).to_contain_text("users keep the last ruleset")

    with ControllerProcess(database, WAVEGATE_PORT=port) as second:
        second.wait_ready()
        expect(page.locator("#unreachable")).to_be_hidden()
        RemoteController(second.url).create_flag({"key": FLAG})
        expect(page.get_by_role("link", name=FLAG)).to_be_visible()
