"""Pages: what a cursor says, and what it refuses to be."""

import pytest
from flask import Flask

from wavegate_controller.api.paging import PageQuery, page
from wavegate_controller.domain.errors import Invalid


def paged(names, **query):
    """One page of sorted names, as a list asks for it, and its headers."""
    asked = PageQuery(**query)
    after = asked.after(str)
    found = [name for name in sorted(names) if after is None or name > after[0]][: asked.limit + 1]
    app = Flask("paging")
    app.add_url_rule("/things", "things", lambda: None)
    with app.test_request_context("/things", query_string=query):
        answer = page([{"name": name} for name in found], asked, [(name,) for name in found])
    document, headers = (answer, {}) if isinstance(answer, dict) else (answer[0], answer[2])
    return [item["name"] for item in document["items"]], document["next"], headers


def test_pages_give_everything_once_although_others_add_and_remove_meanwhile():
    names = {"a", "c", "e", "g", "i"}

    first, cursor, headers = paged(names, limit=2)
    names |= {"b", "h"}
    names -= {"c"}
    second, cursor, _ = paged(names, limit=2, cursor=cursor)
    third, cursor, last_headers = paged(names, limit=2, cursor=cursor)

    assert (first, second, third, cursor) == (["a", "c"], ["e", "g"], ["h", "i"], None)
    assert headers["Link"].startswith("</things?limit=2&cursor=")
    assert headers["Link"].endswith('>; rel="next"')
    assert not last_headers


def test_names_of_any_script_survive_the_cursor():
    assert paged({"ä", "ö", "ü"}, limit=1, cursor=paged({"ä", "ö", "ü"}, limit=1)[1])[0] == ["ö"]


@pytest.mark.parametrize("cursor", ["", "!", "bm8", "e30", "WzFd", "WyJhIiwiYiJd", "W" * 5000, "\udc80", "WyJhIl0=="])
def test_a_cursor_that_no_page_gave_is_refused_by_name(cursor):
    with pytest.raises(Invalid, match="cursor"):
        PageQuery.model_construct(limit=2, cursor=cursor).after(str)
