"""What is published about configuration files is what is read."""

import json
import re
from pathlib import Path

import jsonschema

from wavegate_controller.documents.configuration import KINDS, configuration_schema, read_object
from wavegate_controller.documents.texts import read_texts
from wavegate_controller.service.kinds import KINDS as CARRIED_OUT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "gitops.md").read_text(encoding="utf-8")


def test_the_published_schema_is_that_of_the_code():
    """`wavegate schema > docs/configuration.schema.json` brings it up to date."""
    assert json.loads((DOCS / "configuration.schema.json").read_text(encoding="utf-8")) == configuration_schema()


def test_every_example_is_read_and_holds_to_the_schema():
    examples = [text for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) for text in read_texts(block)]
    examples += [model.model_config["json_schema_extra"]["examples"][0] for model in KINDS.values()]

    for example in examples:
        read_object(example)
        jsonschema.Draft202012Validator(configuration_schema()).validate(example)
    assert {example["kind"] for example in examples} == set(KINDS)


def test_every_kind_can_be_carried_out_and_is_on_the_page():
    assert list(CARRIED_OUT) == list(KINDS)
    assert all(f"| `{kind}` |" in PAGE for kind in KINDS)
