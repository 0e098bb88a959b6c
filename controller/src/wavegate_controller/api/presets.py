"""Ready-made gates over HTTP."""

from typing import Final

from flask.typing import ResponseReturnValue

from wavegate_controller.api.operations import Operations
from wavegate_controller.documents import presets_to_documents
from wavegate_controller.documents.shown import Items, PresetShown

presets: Final = Operations("presets", "Gates by one word.")


@presets.get("/presets", "List the ready-made gates", answer=Items[PresetShown])
def list_presets() -> ResponseReturnValue:
    """Each with an example, and the gates that it gives."""
    return {"items": presets_to_documents()}
