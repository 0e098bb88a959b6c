"""What is posted of one person's feedback, and the tokens that browsers show for it. Format: docs/feedback.md."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from wavegate.evaluation import COHORTS
from wavegate_controller.documents.reading import Document, refusal
from wavegate_controller.domain.answers import LONGEST_COMMENT, LONGEST_KEY, FeedbackAnswer
from wavegate_controller.domain.errors import Invalid

PREFIX: Final = "wgf1"
#: They stand in pages, and are to be short-lived.
LONGEST_LIFE: Final = timedelta(hours=24)
_LONGEST_TOKEN: Final = 2048
_Cohort = Annotated[int, Field(ge=0, lt=COHORTS)]


class FeedbackDocument(Document):
    """A thumb, and perhaps a comment: with a token that says about what, or without one."""

    thumbs_up: bool = Field(description="Whether it was good.")
    comment: str = Field(default="", max_length=LONGEST_COMMENT, description="In the person's words.")
    token: str | None = Field(default=None, max_length=_LONGEST_TOKEN, description="Signed by the app; from a browser.")
    flag: str | None = Field(default=None, description="From a server.")
    variant: str | None = Field(default=None, description="The one that the person had; from a server.")
    id: str | None = Field(
        default=None, max_length=LONGEST_KEY, pattern="^[!-~]+$", description="By which it counts once; from a server."
    )
    cohort: _Cohort | None = Field(default=None, description="The person's, by chance if left out; from a server.")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        of_servers = [name for name in ("flag", "variant", "id", "cohort") if getattr(self, name) is not None]
        if self.token is not None and of_servers:
            raise Invalid(of_servers[0], "is given beside a token, which says it", "one of the two")
        if self.token is None:
            for name in ("flag", "variant", "id"):
                if getattr(self, name) is None:
                    raise Invalid(name, "is missing", "a value, or a token that says it")
        return self


class TokenDocument(Document):
    """What a token says."""

    flag: str = Field(alias="f")
    variant: str = Field(alias="v")
    user: str = Field(alias="u", pattern="^[0-9a-f]{32}$")
    cohort: _Cohort | Literal["targeted"] | None = Field(default=None, alias="c")
    expires: int = Field(alias="e", ge=0, le=2**40)
    nonce: str = Field(alias="n", pattern="^[0-9a-f]{16,32}$")


def read_feedback(body: bytes) -> FeedbackDocument:
    """The posted document.

    Raises:
        Invalid: the first field that is wrong.
    """
    try:
        return FeedbackDocument.model_validate(json.loads(body))
    except ValidationError as error:
        raise refusal(error) from None
    except (ValueError, RecursionError):
        raise Invalid("document", "is not JSON", "a document as docs/feedback.md has it") from None


def read_token(token: str, secret_of: Callable[[str], bytes | None], *, now: datetime) -> TokenDocument:
    """What a token says, once it is sure who said so.

    Args:
        token: as it was shown.
        secret_of: gives the secret of the key of this mark; None for none that holds.
        now: aware UTC time.

    Raises:
        Invalid: it is none of ours, or over.
    """
    forged = Invalid("token", "is none that an SDK key of this controller signed", "one that the app's server made")
    prefix, _, signed = token.partition(".")
    mark, _, rest = signed.partition(".")
    payload, _, signature = rest.partition(".")
    secret = secret_of(mark)
    if prefix != PREFIX or secret is None or not token.isascii():
        raise forged
    right = hmac.digest(secret, f"{PREFIX}.{mark}.{payload}".encode(), hashlib.sha256)
    if not hmac.compare_digest(_decoded(signature), right):
        raise forged
    try:
        said = TokenDocument.model_validate(json.loads(_decoded(payload)))
    except ValidationError as error:
        raise refusal(error) from None
    except ValueError:
        raise forged from None
    if said.expires < now.timestamp():
        raise Invalid("token", "has expired", "a new one, with the page")
    if said.expires > (now + LONGEST_LIFE).timestamp():
        raise Invalid("token", "holds for too long", f"{LONGEST_LIFE / timedelta(hours=1):g} hours at most")
    return said


def feedback_to_document(answer: FeedbackAnswer) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "id": answer.id,
        "flag": answer.flag_key,
        "variant": answer.variant,
        "rollout": answer.rollout_id,
        "wave": None if answer.wave is None else answer.wave + 1,
        "thumbs_up": answer.thumbs_up,
        "comment": answer.comment,
        "is_erased": answer.is_erased,
        "source": answer.source,
        "at": answer.at.isoformat(),
    }


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
