"""Every page: nothing that keeps people out, and nothing that is fetched from elsewhere."""

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize(
    "path", ["/", "/flags/ai-answers", "/search?q=ai", "/flags/ai-answers/confirm/start", "/flags/none"]
)
def test_a_page_is_accessible_in_light_and_dark(controller, open_window, axe, path):
    controller.remote.create_flag({"key": "ai-answers"})
    controller.remote.create_rollout({"flag": "ai-answers"}, actor="anna")

    for scheme in ("light", "dark"):
        page = open_window(color_scheme=scheme)
        page.goto(controller.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        axe(page)
