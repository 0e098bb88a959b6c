"""Ready-made gates over HTTP."""

from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.documents import presets_to_documents
from wavegate_controller.documents.shown import PresetShown

presets: Final = Operations("presets", "Gates by one word.")


@presets.get("/presets", "List the ready-made gates", answer=Page[PresetShown], permission=None)
def list_presets(query: PageQuery) -> ResponseReturnValue:
    """Each with an example, and the gates that it gives."""
    seen = query.after(str, str)
    offers = [(each, (each["preset"], each["source"])) for each in presets_to_documents()]
    marks = [mark for _, mark in offers]
    begin = marks.index(seen) + 1 if seen in marks else 0
    here = slice(begin, begin + query.limit + 1)
    return page([each for each, _ in offers[here]], query, marks[here])
