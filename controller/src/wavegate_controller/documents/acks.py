"""What clients post about themselves: which revision they use, and since when. Format: docs/streaming.md."""

import json
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from wavegate_controller.documents.reading import Document, refusal
from wavegate_controller.domain.errors import Invalid

Instance = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Name = Annotated[str, Field(max_length=64, pattern="^[!-~]*$")]
#: Of one relay at once; it posts the rest in further documents.
MOST_CLIENTS = 5_000


class ClientDocument(Document):
    """One client; a relay tells of its own and of those that are connected to it."""

    instance: Instance
    revision: Annotated[int, Field(ge=0)]
    held_seconds: Annotated[float, Field(ge=0, le=10 * 365 * 86400)] = 0.0
    sdk: Name = ""
    app: Name = ""


class AcksDocument(Document):
    """What one client, or a relay for many, uses now."""

    schema_version: Literal[1] = Field(alias="schema")
    clients: Annotated[list[ClientDocument], Field(max_length=MOST_CLIENTS)] = Field(default_factory=list)
    gone: Annotated[list[Instance], Field(max_length=MOST_CLIENTS)] = Field(default_factory=list)


def read_acks(body: bytes) -> AcksDocument:
    """The posted document.

    Raises:
        Invalid: the first field that is wrong, by its path.
    """
    try:
        return AcksDocument.model_validate(json.loads(body))
    except ValidationError as error:
        raise refusal(error) from None
    except (ValueError, RecursionError):
        raise Invalid("document", "is not JSON", "a document as docs/streaming.md has it") from None
