"""A rollout's life as people see it in their browsers: one acts, another one watches, an app hears of it."""

from playwright.sync_api import expect
from prometheus_client import CollectorRegistry

import wavegate

FLAG = "ai-answers"
MOST_TABS = 60


def tab_to(page, selector):
    """Go there as those do who have no mouse."""
    wanted = page.locator(selector)
    for _ in range(MOST_TABS):
        if wanted.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def test_a_rollout_is_started_promoted_rolled_back_and_restored_while_somebody_watches(controller, open_window, axe):
    here, there = open_window(), open_window()
    here.goto(controller.url)
    expect(here.get_by_role("heading", name="No flag yet")).to_be_visible()
    here.locator("body.is-live").wait_for()
    with wavegate.Client(controller.url, registry=CollectorRegistry()) as app:
        controller.remote.create_flag({"key": FLAG})
        controller.remote.create_rollout({"flag": FLAG}, actor="anna")

        # It appears without a reload; a person starts it.
        here.get_by_role("link", name=FLAG).click()
        there.goto(f"{controller.url}/flags/{FLAG}")
        here.get_by_role("button", name="Start", exact=True).click()
        expect(here.locator("#now .big")).to_have_text("10 %")
        expect(there.locator("#now .big")).to_have_text("10 %")
        expect(there.locator("#delivered")).to_contain_text("1 of 1 clients")

        # By keyboard alone, with a reason.
        tab_to(here, "#promote > summary")
        here.keyboard.press("Enter")
        tab_to(here, "#why-promote")
        here.keyboard.type("read a hundred answers")
        here.keyboard.press("Enter")
        expect(here.locator("#now .big")).to_have_text("25 %")
        expect(there.locator("#history")).to_contain_text("read a hundred answers")
        axe(here)

        # Rolled back with one click, seen elsewhere and in the app; why is asked afterwards.
        here.get_by_role("button", name="Roll back").click()
        expect(here.locator("#after")).to_contain_text("Delivered to 1 of 1")
        expect(there.locator("#now .big")).to_have_text("0 %")
        here.get_by_label("Why?").fill("answers in the wrong language")
        axe(here)
        here.get_by_role("button", name="Save the reason").click()
        expect(there.locator("#history")).to_contain_text("answers in the wrong language")
        assert not any(app.is_enabled(FLAG, f"user-{number}") for number in range(100))

        # It was a mistake.
        here.get_by_role("button", name="Undo").click()
        expect(here.locator("#now .big")).to_have_text("25 %")
        expect(there.locator("#head .badge")).to_have_text("paused")
        there.get_by_role("button", name="Resume", exact=True).click()
        expect(here.locator("#head .badge")).to_have_text("running")
