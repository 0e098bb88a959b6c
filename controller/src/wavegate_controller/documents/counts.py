"""Counts that an app posts, as a document; docs/counts.md has the format. What is not known is ignored."""

import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavegate.evaluation import COHORTS, Reason
from wavegate_controller.documents.reading import refusal
from wavegate_controller.domain.errors import Invalid

#: The SDK's contract (a test holds the two together): places of a list by cohort, the last one for targeted users.
PLACES: Final = COHORTS + 1
#: Upper bounds of the duration's buckets in seconds; one more bucket for what took longer.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BadKind = Literal["error", "slow", "fallback", "thumbs_down", "custom"]
ValueKind = Literal["cost_usd", "tokens", "seconds", "thumbs_up", "custom"]

Count = Annotated[int, Field(ge=0, le=2**53)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
_OF_COHORTS: Final = Field(min_length=PLACES, max_length=PLACES)
CountsByCohort = Annotated[list[Count], _OF_COHORTS]
AmountsByCohort = Annotated[list[Amount], _OF_COHORTS]


class _Counts(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class EvaluationsDocument(_Counts):
    """Answers given."""

    flag: str
    variant: str
    reason: Annotated[Reason, Field(strict=False)]
    count: Count


class ArmDocument(_Counts):
    """Outcomes of one variant."""

    flag: Annotated[str, Field(min_length=1)]
    variant: Annotated[str, Field(min_length=1)]
    requests: CountsByCohort = Field(default_factory=lambda: [0] * PLACES)
    bad: dict[BadKind, CountsByCohort] = Field(default_factory=dict)
    values: dict[ValueKind, AmountsByCohort] = Field(default_factory=dict)
    duration_buckets: Annotated[list[Count], Field(min_length=len(BOUNDS) + 1, max_length=len(BOUNDS) + 1)] = Field(
        default_factory=lambda: [0] * (len(BOUNDS) + 1)
    )
    duration_sum: Amount = 0.0
    exposed_users: Count = 0


class CommentDocument(_Counts):
    """What a person said about a variant."""

    flag: str
    variant: str
    thumbs_up: bool
    comment: Annotated[str, Field(max_length=500)]


class CountsDocument(_Counts):
    """What one process counted since its document before."""

    schema_version: Literal[1] = Field(alias="schema")
    instance: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    sequence: Annotated[int, Field(ge=1, le=2**63)]
    evaluations: list[EvaluationsDocument] = Field(default_factory=list)
    arms: list[ArmDocument] = Field(default_factory=list)
    comments: Annotated[list[CommentDocument], Field(max_length=100)] = Field(default_factory=list)


def read_counts(body: bytes) -> CountsDocument:
    """The posted document.

    Raises:
        Invalid: the first field that is wrong, by its path.
    """
    try:
        return CountsDocument.model_validate(json.loads(body))
    except ValidationError as error:
        raise refusal(error) from None
    except (ValueError, RecursionError):
        raise Invalid("document", "is not JSON", "a document as docs/counts.md has it") from None
