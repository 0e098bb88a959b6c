"""Flags of other systems as documents for `wavegate apply`, and a report of what could not be carried over.

A flag is carried over as far as it means the same here. Where order matters at the source, nothing behind what cannot
be carried over is: whom it would have caught must not fall through to something else. They get the default variant.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from wavegate_controller.documents.configuration import API_VERSION, FlagObject, read_object
from wavegate_controller.documents.importing import flagd, growthbook, launchdarkly, unleash
from wavegate_controller.documents.importing.draft import Draft, plain_name
from wavegate_controller.documents.importing.notes import CannotCarry, Imported, Note
from wavegate_controller.documents.importing.reading import an_object
from wavegate_controller.documents.importing.source import Found, Options
from wavegate_controller.documents.texts import read_texts
from wavegate_controller.domain.errors import Invalid

__all__ = ["SOURCES", "Imported", "Note", "Options", "import_flags"]

#: What can be imported from.
SOURCES: Final[Mapping[str, Callable[[Mapping[str, Any], Options], Found]]] = MappingProxyType(
    {"unleash": unleash.read, "launchdarkly": launchdarkly.read, "flagd": flagd.read, "growthbook": growthbook.read}
)
#: Flags are only made here to see whether they can be.
_SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


def import_flags(source: str, text: str, options: Options) -> Imported:
    """The flags of a document of `source`.

    Raises:
        Invalid: it is no document of that source, naming the field.
    """
    found = SOURCES[source](an_object("document", _parsed(text)), options)
    notes = list(found.notes)
    carried = _named(found.drafts)
    while True:
        fit = {name: draft for name, draft in carried.items() if _fits(name, draft, carried, notes)}
        if len(fit) == len(carried):
            break
        carried = fit
    for draft in found.drafts:
        notes += draft.notes
    if options.exempt is None:
        notes += [_must_be_exempt(draft) for draft in carried.values() if draft.serves_people]
    segments = [_object("Segment", {"key": name, "condition": asked}) for name, asked in found.segments.items()]
    flags = [_object("Flag", _spec(name, draft, carried, options.exempt)) for name, draft in carried.items()]
    return Imported(objects=[*segments, *flags], notes=notes)


def _parsed(text: str) -> Any:
    documents = list(read_texts(text))
    if len(documents) != 1:
        raise Invalid("document", f"is {len(documents)} documents", "one JSON or YAML document")
    return documents[0]


def _named(drafts: Sequence[Draft]) -> dict[str, Draft]:
    """The drafts by the keys that they have here."""
    named: dict[str, Draft] = {}
    for draft in drafts:
        name = plain_name(draft.key)
        if not name or name in named:
            why = f"{named[name].key} has the same key here, {name}" if name else "nothing of its key can stay here"
            draft.lose("the flag", why, "rename it at the source first")
            continue
        if name != draft.key:
            draft.mind(
                "key", f"it is {name} here, where keys are of a-z, 0-9, '.', '_' and '-'", "ask for that in apps"
            )
        named[name] = draft
    return named


def _fits(name: str, draft: Draft, carried: Mapping[str, Draft], notes: list[Note]) -> bool:
    """Whether the flag can be made beside the others; what is wrong is noted."""
    try:
        read = read_object(_object("Flag", _spec(name, draft, carried, None)))
        assert isinstance(read, FlagObject)  # noqa: S101 - it says so itself
        read.spec.to_domain(environment="imported", now=_SOME_TIME)
    except CannotCarry as lost:
        notes.append(lost.note(draft.key))
    except Invalid as refusal:
        place = f"the flag ({refusal.field.removeprefix('spec.')})"
        notes.append(Note(flag=draft.key, construct=place, why=refusal.problem, instead=f"make it {refusal.expected}"))
    else:
        return True
    return False


def _spec(name: str, draft: Draft, carried: Mapping[str, Draft], exempt: str | None) -> dict[str, Any]:
    here = {each.key: key for key, each in carried.items()}
    prerequisites = []
    for need in draft.needs:
        if need.flag not in here:
            raise CannotCarry("prerequisites", f"it needs {need.flag}, which is not imported", "import that one, too")
        key = here[need.flag]
        prerequisites.append({"flag": key, "variants": need.variants(carried[key])})
    return draft.spec(name, prerequisites, exempt)


def _object(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    # Through JSON, so that no part is the same object as another: YAML would write an alias for it.
    return {"apiVersion": API_VERSION, "kind": kind, "spec": json.loads(json.dumps(spec))}


def _must_be_exempt(draft: Draft) -> Note:
    return Note(
        flag=draft.key,
        construct="whom it serves",
        why="it serves people already, and a controller that requires the stages lets a new flag serve a pilot only",
        instead="import with --exempt REASON and apply as an admin, or serve them once it is production-ready",
        is_lost=False,
    )
