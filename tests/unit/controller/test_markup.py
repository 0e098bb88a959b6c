"""Documents as HTML."""

import pytest

from wavegate_controller.documents.markup import to_html, to_page


def test_a_document_becomes_headings_lists_and_tables():
    html = to_html("# Readiness\n\n| item | owner |\n|---|---|\n| security | ada |\n\n- met\n")

    assert "<h1>Readiness</h1>" in html
    assert "<td>security</td>" in html
    assert "<li>met</li>" in html


@pytest.mark.parametrize(
    "words",
    [
        "<script>alert(1)</script>",
        "&lt;script>alert(1)&lt;/script>",
        "[here](javascript:alert(1))",
        "![seen](https://example.com/pixel.png)",
        '<img src="x" onerror="alert(1)">',
    ],
)
def test_what_people_write_is_never_run_and_fetches_nothing(words):
    html = to_html(f"# Case\n\n{words}\n")

    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_a_page_is_whole_and_its_title_is_text():
    page = to_page("# Case: <b>\n\nWhy.\n")

    assert "<title>Case: &lt;b&gt;</title>" in page
    assert "<p>Why.</p>" in page
    assert page.endswith("</html>\n")
