"""The JSON Schemas that the SDK publishes, as validators."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from wavegate import evaluation


def _read(name):
    return json.loads(Path(evaluation.__file__).with_name(name).read_text(encoding="utf-8"))


_RULESET = _read("ruleset.schema.json")
DELTA = Draft202012Validator(
    _read("delta.schema.json"),
    # The one stands beside the other.
    registry=Registry().with_resource("ruleset.schema.json", Resource.from_contents(_RULESET)),
)
