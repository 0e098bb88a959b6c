"""Every page: nothing that keeps people out, nothing fetched from elsewhere, and little fetched at all."""

import pytest
import requests
from playwright.sync_api import Page, expect

FLAG = "ai-answers"
#: Beside those that the head of every page leads to.
PATHS = (f"/flags/{FLAG}", "/search?q=ai", f"/flags/{FLAG}/confirm/start", "/flags/none")
#: Of all that a page needs, as it is sent.
MOST_BYTES = 200_000
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def paths(page: Page, url: str) -> list[str]:
    """Where one can get to from the first page and the page of a flag."""
    page.goto(url)
    heads = page.locator(".navigation a").evaluate_all("all => all.map(each => each.pathname)")
    page.goto(f"{url}/flags/{FLAG}")
    inside = page.locator("main a").evaluate_all("all => all.map(each => each.pathname)")
    return list(dict.fromkeys([*heads, *inside, *PATHS]))


@pytest.fixture
def with_a_draft(controller):
    controller.remote.create_flag({"key": FLAG})
    controller.remote.create_rollout({"flag": FLAG}, actor="anna")
    return controller


@pytest.mark.parametrize(
    "window",
    [
        pytest.param({}, id="light"),
        pytest.param({"color_scheme": "dark"}, id="dark", marks=pytest.mark.slow),
        pytest.param(PHONE, id="phone", marks=pytest.mark.slow),
    ],
)
def test_every_page_is_accessible_and_never_wider_than_its_window(with_a_draft, open_window, axe, window):
    page = open_window(**window)

    for path in paths(page, with_a_draft.url):
        page.goto(with_a_draft.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.slow
@pytest.mark.parametrize(
    "window",
    [pytest.param({}, id="light"), pytest.param({"color_scheme": "dark"}, id="dark"), pytest.param(PHONE, id="phone")],
)
def test_a_review_is_for_everybody_and_shows_as_text_what_people_typed(controller, open_window, axe, window):
    waves = [{"percent": 10, "bake": "1h"}, {"percent": 100, "bake": "1h"}]
    gates = [{"type": "error_rate"}, {"type": "manual", "name": "read"}]
    controller.remote.create_flag({"key": FLAG})
    controller.remote.create_rollout({"flag": FLAG, "plan": {"waves": waves, "gates": gates}}, actor="anna")
    controller.remote.act(FLAG, "start", actor="anna")
    controller.remote.act(FLAG, "pause", actor="anna", comment="<b>look</b>")
    said = {"flag": FLAG, "variant": "on", "id": "1", "thumbs_up": False, "comment": "<i>too long</i> " + "x" * 400}
    url = f"{controller.url}/sdk/v1/feedback"
    requests.post(url, json=said, timeout=10).raise_for_status()
    page = open_window(**window)

    page.goto(f"{controller.url}/flags/{FLAG}/review")

    expect(page.locator("#feedback q")).to_contain_text("<i>too long</i>")
    expect(page.locator("#incidents")).to_contain_text("<b>look</b>")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_no_page_weighs_more_than_200_kb_with_all_that_it_needs(with_a_draft, open_window):
    found = paths(open_window(), with_a_draft.url)

    for path in found:
        page, sent = open_window(), []
        page.on("requestfinished", lambda request, sent=sent: sent.append(request))
        page.goto(with_a_draft.url + path, wait_until="networkidle" if path == "/flags/none" else "load")
        weight = {each.url: each.sizes()["responseBodySize"] for each in sent}
        assert sum(weight.values()) < MOST_BYTES, (path, weight)


@pytest.mark.slow
def test_nothing_moves_for_those_who_want_it_so(with_a_draft, open_window):
    page = open_window(reduced_motion="reduce")
    page.goto(f"{with_a_draft.url}/flags/{FLAG}")

    moving = page.locator("*").evaluate_all(
        "all => all.filter(each => { const style = getComputedStyle(each); "
        "return style.transitionDuration !== '0s' || style.animationName !== 'none'; }).length"
    )

    assert moving == 0


@pytest.mark.slow
def test_on_paper_there_is_what_one_reads_and_nothing_to_press(with_a_draft, page):
    page.goto(f"{with_a_draft.url}/flags/{FLAG}")
    page.emulate_media(media="print")

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#now")).to_be_visible()
    for gone in (".navigation", "#acts", "#commands"):
        expect(page.locator(gone)).to_be_hidden()


@pytest.mark.slow
def test_the_first_screen_of_a_flag_needs_no_scrolling(with_a_draft, page):
    with_a_draft.remote.act(FLAG, "start", actor="anna")
    page.goto(f"{with_a_draft.url}/flags/{FLAG}")

    for part in ("#acts", "#now", "#delivered", "#gate-1", "#gate-2"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)


@pytest.mark.slow
def test_a_palette_finds_flags_and_pages_by_keyboard_alone(with_a_draft, page, axe):
    page.goto(with_a_draft.url)
    page.locator("body.is-live").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("answ")
    expect(page.locator("#palette-found a").first).to_contain_text(FLAG)
    axe(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/flags/{FLAG}")

    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
