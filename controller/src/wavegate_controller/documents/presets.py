"""The presets as the API lists them, each with an example and the gates that it gives."""

from typing import Any, Final

from wavegate_controller.documents.gates import PresetDocument, gate_to_document
from wavegate_controller.documents.reading import parse
from wavegate_controller.domain.presets import OFFERS

#: What stands in for a parameter without a default.
_EXAMPLES: Final[dict[str, Any]] = {"limit": 0.05, "over": [2.5]}
_MEANS: Final = {"cost": 0.02, "tokens": 4000.0}


def presets_to_documents() -> list[dict[str, Any]]:
    """All of them, in the order in which they are shown."""
    documents = []
    for (name, source), offer in OFFERS.items():
        example: dict[str, Any] = {need: _MEANS.get(name, _EXAMPLES[need]) for need in offer.needs}
        example = {"preset": name.value, "source": source.value} | example
        documents.append(
            {
                "preset": name.value,
                "source": source.value,
                "summary": offer.summary,
                "needs": list(offer.needs),
                "takes": list(offer.takes),
                "example": example,
                "gates": [gate_to_document(gate) for gate in parse(PresetDocument, example).to_domain()],
            }
        )
    return documents
