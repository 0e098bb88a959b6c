"""Every example in docs/ruleset.md is what a reader accepts and the published schema allows."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from wavegate import evaluation
from wavegate.evaluation import ruleset_from_json

SCHEMA = Draft202012Validator(json.loads(Path(evaluation.__file__).with_name("ruleset.schema.json").read_text()))
PAGE = (Path(__file__).parents[3] / "docs" / "ruleset.md").read_text(encoding="utf-8")
ANYTHING = {"attribute": "x", "operator": "exists"}


def examples():
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        rest = block.strip()
        while rest:
            example, end = json.JSONDecoder().raw_decode(rest)
            yield example
            rest = rest[end:].strip()


def as_ruleset(example):
    if "schema" in example:
        return example
    flag = {
        "variants": {"on": True, "off": False, "small": 1, "large": 2, "xl": 3},
        "default_variant": "off",
        "rollout": {"stable": "off", "candidate": "on", "weight": 0},
    }
    if "serve" in example:
        flag["rules"] = [example]
    elif "keys" in example:
        flag["pilot"] = example
    elif "stable" in example:
        flag["rollout"] = example
    else:
        flag["rules"] = [{"if": example, "serve": "on"}]
    segments = {"nordics": ANYTHING, "staff": ANYTHING}
    return {"schema": 1, "environment": "production", "revision": 1, "segments": segments, "flags": {"f": flag}}


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: next(iter(example)))
def test_an_example_of_the_page_is_accepted(example):
    document = as_ruleset(example)

    ruleset_from_json(document)

    SCHEMA.validate(document)


def test_the_page_names_every_operator():
    assert all(f"`{operator}`" in PAGE for operator in evaluation.Operator)
