"""What a reader of a source is asked for, and what it gives."""

from dataclasses import dataclass, field

from wavegate.evaluation import Generation
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.draft import Draft
from wavegate_controller.documents.importing.notes import Note


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the document does not say.

    Attributes:
        source_environment: which of the source's environments, where its document has several.
        targeting_key: the source's attribute that apps will give as targeting key.
        generation: the bucketing of the flagd evaluators in use.
        exempt: why the flags that serve people need not go through the stages.
    """

    source_environment: str | None = None
    targeting_key: str | None = None
    generation: Generation = Generation.V3
    exempt: str | None = None


@dataclass(kw_only=True)
class Found:
    """The flags of a source as drafts, the segments that they name, and what is said of neither."""

    drafts: list[Draft] = field(default_factory=list)
    segments: dict[str, ConditionDocument] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
