"""Lists by pages. A cursor is opaque to clients: it holds the sort key of the last item that they have seen.

    class TokensQuery(PageQuery):
        ...

    @tokens.get("/tokens", "List the tokens, by name", answer=Page[TokenShown])
    def list_tokens(services: Services, query: TokensQuery) -> ResponseReturnValue:
        seen = query.after(str)
        found = service.list_tokens(services, after=seen[0] if seen else None, limit=query.limit + 1)
        return page([_shown(each) for each in found], query, [(each.name,) for each in found])

One item more than the page holds is asked for: it is not shown, but says that there is a next page. As a page begins
behind an item and not at a number, what is added meanwhile neither repeats nor hides any.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Generic

from flask import request, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.reading import Query
from wavegate_controller.documents.shown import Item, Shown
from wavegate_controller.domain.errors import Invalid


class PageQuery(Query):
    """Which page."""

    limit: int = Field(default=50, ge=1, le=500, description="How many at most.")
    cursor: str | None = Field(default=None, description="`next` of the page before; left out for the first page.")

    def after(self, *kinds: type) -> tuple[Any, ...] | None:
        """The sort key of the last item seen, its parts being of these kinds; None for the first page.

        Raises:
            Invalid: the cursor is none that this list has given.
        """
        if self.cursor is None:
            return None
        try:
            padded = self.cursor.encode() + b"=" * (-len(self.cursor) % 4)
            mark = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, RecursionError):
            mark = None
        if not isinstance(mark, list) or [type(part) for part in mark] != list(kinds):
            raise Invalid("cursor", f"{self.cursor!r} is none of this list", "`next` of the page before")
        return tuple(mark)


class Page(Shown, Generic[Item]):
    """Some of them, and how to ask for more."""

    items: list[Item]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


def page(items: Sequence[Mapping[str, Any]], query: PageQuery, marks: Sequence[tuple[Any, ...]]) -> ResponseReturnValue:
    """The answer.

    Args:
        items: one more than the limit where there is a next page.
        query: as it was read.
        marks: the sort key of each item.
    """
    if len(items) <= query.limit:
        return {"items": list(items), "next": None}
    mark = json.dumps(marks[query.limit - 1], ensure_ascii=False, separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(mark.encode()).rstrip(b"=").decode()
    asked: dict[str, Any] = {**(request.view_args or {}), **request.args, "cursor": cursor}
    following = url_for(request.endpoint or "", **asked)
    return {"items": list(items[: query.limit]), "next": cursor}, 200, {"Link": f'<{following}>; rel="next"'}
