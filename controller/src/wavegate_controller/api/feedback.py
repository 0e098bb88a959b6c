"""What people said about flags, over HTTP. How it comes in is the data plane's."""

from typing import Final, Literal

from flask.typing import ResponseReturnValue
from pydantic import Field

from wavegate_controller.api.operations import Operations
from wavegate_controller.api.paging import Page, PageQuery, page
from wavegate_controller.api.reading import Act
from wavegate_controller.documents.feedback import feedback_to_document
from wavegate_controller.documents.shown import FeedbackShown
from wavegate_controller.domain.access import Permission, Principal
from wavegate_controller.domain.errors import NotFound
from wavegate_controller.ports import FeedbackFilter
from wavegate_controller.service import feedback as service
from wavegate_controller.service.services import Services

feedback: Final = Operations("feedback", "What people said about a feature.")

#: Ids beyond it are those of no row.
_LARGEST: Final = 2**63 - 1


class FeedbackQuery(PageQuery):
    """Which answers."""

    rollout: str | None = Field(default=None, description="Given while this rollout was under way.")
    wave: int | None = Field(default=None, ge=1, le=1000, description="Given in the wave of this number.")
    variant: str | None = Field(default=None, description="About this variant.")
    thumbs: Literal["up", "down"] | None = Field(default=None, description="Which way.")
    comments_only: bool = Field(default=False, description="Without those that have no words.")


@feedback.get("/flags/{key}/feedback", "List what people said, newest first", answer=Page[FeedbackShown])
def list_feedback(services: Services, by: Principal, key: str, query: FeedbackQuery) -> ResponseReturnValue:
    """What came by `/sdk/v1/feedback`, and comments of apps. The thumbs of apps are in the counters only."""
    seen = query.after(int)
    wanted = FeedbackFilter(
        rollout_id=query.rollout,
        wave=None if query.wave is None else query.wave - 1,
        variant=query.variant,
        thumbs_up=None if query.thumbs is None else query.thumbs == "up",
        with_comment=query.comments_only,
    )
    found = service.list_feedback(services, key, wanted, by=by, limit=query.limit + 1, before=seen[0] if seen else None)
    return page([feedback_to_document(each) for each in found], query, [(each.id,) for each in found])


@feedback.post("/flags/{key}/feedback/{number}/erase", "Forget the words of an answer", answer=FeedbackShown)
def erase_feedback(services: Services, by: Principal, key: str, number: str, body: Act) -> ResponseReturnValue:
    """Where they say more of a person than they should. The thumb stays."""
    by.require(Permission.EDIT, services.environment)
    if not number.isdecimal() or int(number) > _LARGEST:
        raise NotFound("feedback", number)
    return feedback_to_document(service.erase_comment(services, key, int(number), by=by, comment=body.comment))
