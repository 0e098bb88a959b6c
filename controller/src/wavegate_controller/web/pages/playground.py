"""The playground: a context in, every flag's variant out, with the steps that led to it. Nobody is counted."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from wavegate.evaluation import Flag, ruleset_from_json
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.playground import Answer, Outcome, Playground, Step, Tested
from wavegate_controller.identity import here, principal
from wavegate_controller.service import queries
from wavegate_controller.service.services import Services
from wavegate_controller.web import targeting
from wavegate_controller.web.contexts import read_attributes
from wavegate_controller.web.refusals import errors_of

#: Flags whose steps are told on one page.
_PAGE: Final = 50
_VALUE_SHOWN: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One step in words."""

    step: Step
    title: str
    says: str

    @property
    def mark(self) -> str:
        """What stands before it."""
        return {Outcome.DECIDED: "decided", Outcome.FAILED: "failed", Outcome.PASSED: "went on"}[self.step.outcome]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One flag's answer in words."""

    key: str
    answer: Answer
    value: str
    steps: Sequence[Told]

    @property
    def because(self) -> str:
        """The step that decided, in one line."""
        last = self.steps[-1]
        return f"{last.title}: {last.says}"


def add_playground(web: Blueprint, services: Services) -> None:
    """The page /playground."""

    @web.get("/playground")
    def playground() -> ResponseReturnValue:
        given = request.args
        key, text, wanted = given.get("key", ""), given.get("attributes", ""), given.get("flag", "").strip()
        attributes: dict[str, Any] = {}
        errors: Mapping[str, str] = {}
        try:
            attributes = read_attributes(text)
        except Invalid as refusal:
            errors = errors_of(refusal)
        ruleset = queries.ruleset_in_force(here(services), by=principal())
        asked = "key" in given and not errors
        found, rows = 0, []
        if ruleset is not None and asked:
            read = ruleset_from_json(ruleset.body)
            player = Playground(read)
            keys = [each for each in player.flag_keys() if wanted in each]
            found = len(keys)
            after = given.get("after", "")
            shown = [each for each in keys if each > after][:_PAGE]
            rows = [_row(player, read.flags[each], key or None, attributes) for each in shown]
        page = render_template(
            "web/playground.html",
            key=key,
            text=text,
            wanted=wanted,
            attributes=attributes,
            errors=errors,
            asked=asked,
            revision=ruleset.revision if ruleset else None,
            rows=rows,
            found=found,
            after=rows[-1].key if rows and rows[-1].key != keys[-1] else None,
            curl=_curl(key, attributes, wanted if len(rows) == 1 and wanted == rows[0].key else ""),
            tested=targeting.tested_sentence,
            inner_tests=inner_tests,
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK


def _row(player: Playground, flag: Flag, key: str | None, attributes: dict[str, Any]) -> Row:
    answer = player.ask(flag.key, key, attributes)
    value = "the app's own default" if answer.details.variant is None else targeting.literal(answer.details.value)
    error = answer.details.error_message
    return Row(
        key=flag.key,
        answer=answer,
        value=value if len(value) <= _VALUE_SHOWN else value[: _VALUE_SHOWN - 1] + "…",
        steps=[
            Told(step=each, title=targeting.step_title(each, flag), says=targeting.step_sentence(each, flag, error))
            for each in answer.steps
        ],
    )


def inner_tests(tested: Tested) -> Sequence[Tested]:
    """The comparisons within a condition, flat, in their order."""
    if not tested.inner:
        return [tested]
    return [each for inner in tested.inner for each in inner_tests(inner)]


def _curl(key: str, attributes: dict[str, Any], flag: str) -> str:
    """The same question to the data plane, as any OpenFeature provider for OFREP asks it."""
    context = {"context": ({"targetingKey": key} if key else {}) | attributes}
    body = shlex.quote(json.dumps(context, ensure_ascii=False))
    place = f"/{flag}" if flag else ""
    url = f"{request.host_url.rstrip('/')}/ofrep/v1/evaluate/flags{place}"
    return f"curl -H 'Authorization: Bearer SDK_KEY' -H 'Content-Type: application/json' -d {body} {shlex.quote(url)}"
