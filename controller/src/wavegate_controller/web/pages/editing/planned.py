"""What stands in the form of a plan, and reading it from what a browser sent."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from flask import request

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web import plans
from wavegate_controller.web.inputs import Input
from wavegate_controller.web.pages.editing.common import base_of, digest, version_given
from wavegate_controller.web.plans import KINDS, GateForm, PlanForm, Typed

_MOST_ROWS: Final = 50
_WAVE_FIELDS: Final = ("percent", "bake", "approvers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What stands in the form.

    Attributes:
        template: that the plan was taken from; empty for none.
        yaml: of the plan, as it stood beside the form.
        yaml_of: digest of the YAML as the page had it.
        days: how far back to try it.
        shadow: whether half of stable's users play the candidate's part in that.
        version: of the draft that it was made from; 0 for a new rollout.
        base: the plan that it was made from.
    """

    candidate: str
    plan: PlanForm
    template: str = ""
    yaml: str = ""
    yaml_of: str = ""
    days: str = "7"
    shadow: bool = True
    comment: str = ""
    version: int = 0
    base: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_yaml_changed(self) -> bool:
        """Whether somebody has typed into the YAML."""
        return bool(self.yaml.strip() and self.yaml_of) and digest(self.yaml) != self.yaml_of

    @property
    def are_fields_changed(self) -> bool:
        """Whether somebody has typed into the fields since the YAML was made from them."""
        try:
            return digest(plans.as_text(self.plan.document())) != self.yaml_of
        except Invalid:
            return True

    def document(self, flag: str) -> dict[str, Any]:
        """The rollout's document.

        Raises:
            Invalid: naming the field.
        """
        try:
            return {"flag": flag, "candidate": self.candidate, "plan": self.plan.document()}
        except Invalid as refusal:
            raise refusal.under("plan") from None

    def document_or_none(self, flag: str) -> dict[str, Any] | None:
        """The same; None where a field is wrong."""
        with suppress(Invalid):
            return self.document(flag)
        return None

    def days_asked(self) -> float:
        """How far back to try it.

        Raises:
            Invalid: it is no number.
        """
        try:
            days = float(self.days)
        except ValueError:
            days = -1.0
        if not 0 < days < 1000:  # noqa: PLR2004 - the service knows how many there may be
            raise Invalid("days", f"{self.days!r} is no number of days", "a number, such as 7 or 0.5")
        return days


def read_form() -> Form:
    """As it was sent.

    Raises:
        Invalid: it has no version that is one.
    """
    given = request.form
    return Form(
        candidate=given.get("candidate", "").strip(),
        plan=PlanForm(
            waves=_tidy([_row(f"wave-{index}", _WAVE_FIELDS, plans.WAVE) for index in _rows("waves")], "percent"),
            gates=[gate for index in _rows("gates") if (gate := _gate(index))],
            ending=_row("plan", (), plans.ENDING),
            silence=_row("plan", (), plans.SILENCE),
            guardrail=_row("guardrail", (), plans.GUARDRAIL),
            windows=_tidy([_row(f"window-{index}", (), plans.WINDOW) for index in _rows("windows")], "from"),
            budget=given.get("budget", ""),
            objectives=given.get("objectives", ""),
            allowances=given.get("allowances", "").replace("\r\n", "\n"),
        ),
        template=given.get("template", "").strip(),
        yaml=given.get("yaml", "").replace("\r\n", "\n"),
        yaml_of=given.get("yaml-of", ""),
        days=given.get("days", "7").strip(),
        shadow=bool(given.get("shadow")),
        comment=given.get("comment", "").strip(),
        version=version_given() if "version" in given else 0,
        base=base_of(given.get("base", "")),
    )


def _rows(name: str) -> range:
    count = request.form.get(name, "0")
    return range(min(int(count), _MOST_ROWS) if count.isascii() and count.isdigit() and len(count) < 4 else 0)  # noqa: PLR2004


def _tidy(rows: list[Typed], name: str) -> list[Typed]:
    """Empty rows behind the others, so that each has the place that its document gets."""
    return sorted(rows, key=lambda row: not row.get(name))


def _row(prefix: str, names: tuple[str, ...], inputs: list[Input]) -> Typed:
    fields = (*names, *(each.name for each in inputs))
    return {name: request.form.get(f"{prefix}-{name}", "").replace("\r\n", "\n").strip() for name in fields}


def _gate(index: int) -> GateForm | None:
    kind = request.form.get(f"gate-{index}-kind", "")
    if kind not in KINDS:
        return None
    return GateForm(kind=kind, typed=_row(f"gate-{index}", (), list(KINDS[kind].inputs)))
