"""A plan as fields of a form: waves and gates as rows, the rest as inputs, and back to the document that it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from wavegate_controller.documents import PlanDocument, parse
from wavegate_controller.documents.freeze import FreezeWindowDocument
from wavegate_controller.documents.gates import (
    AlertGateDocument,
    ErrorRateGateDocument,
    FeedbackGateDocument,
    ManualGateDocument,
    PresetDocument,
    ThresholdGateDocument,
    ValueGateDocument,
    WebhookGateDocument,
    gate_to_document,
)
from wavegate_controller.documents.plans import GuardrailDocument, WaveDocument
from wavegate_controller.documents.presets import presets_to_documents
from wavegate_controller.documents.reading import Document
from wavegate_controller.documents.texts import read_texts, write_text
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.inputs import Input, Kind, inputs_of, numbers_by_name, read, text_of, write

PRESET: Final = "preset"
_DEFAULT_BAKE: Final = "15m"
_MOST: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class GateKind:
    """A kind of gate that a form can have.

    Attributes:
        words: what it is called where one chooses.
        main: inputs that are seen at once.
        more: those that are seen when asked for.
    """

    words: str
    main: Sequence[Input]
    more: Sequence[Input]

    @property
    def inputs(self) -> Sequence[Input]:
        """All of them."""
        return (*self.main, *self.more)


def _kind(words: str, model: type[Document], main: Sequence[str]) -> GateKind:
    inputs = {each.name: each for each in inputs_of(model, without=("type",), long=("query", "question"))}
    return GateKind(
        words=words,
        main=[inputs[name] for name in main],
        more=[each for name, each in inputs.items() if name not in main],
    )


#: Every kind, by the word that its document has for it.
KINDS: Final[Mapping[str, GateKind]] = {
    PRESET: _kind("ready-made", PresetDocument, ("preset", "source", "limit", "warn")),
    "error_rate": _kind("errors beside stable", ErrorRateGateDocument, ("name", "kinds", "ceiling", "final_margin")),
    "value": _kind("mean beside stable", ValueGateDocument, ("name", "value", "margin", "final_margin")),
    "threshold": _kind(
        "query with a limit",
        ThresholdGateDocument,
        ("name", "query", "operator", "limit", "warn", "window", "failures", "of"),
    ),
    "alert": _kind("alert", AlertGateDocument, ("name", "alert", "labels", "failures", "of")),
    "feedback": _kind("what people say", FeedbackGateDocument, ("name", "min_answers", "min_share", "max_thumbs_down")),
    "webhook": _kind("somebody else's check", WebhookGateDocument, ("name", "url", "failures", "of")),
    "manual": _kind("a person's word", ManualGateDocument, ("name", "question")),
}
WAVE: Final = inputs_of(WaveDocument, without=("percent", "bake", "approval", "approvers"))
#: What is said of the whole plan, in the groups in which it is shown.
ENDING: Final = inputs_of(
    PlanDocument,
    without=(
        "waves",
        "gates",
        "guardrail",
        "freeze_windows",
        "budget",
        "objectives",
        "allowances",
        "on_no_data",
        "on_cannot_measure",
    ),
)
SILENCE: Final = inputs_of(
    PlanDocument,
    without=[name for name in PlanDocument.model_fields if name not in ("on_no_data", "on_cannot_measure")],
)
GUARDRAIL: Final = inputs_of(GuardrailDocument)
WINDOW: Final = [
    replace(each, name={"begin": "from", "end": "to"}.get(each.name, each.name))
    for each in inputs_of(FreezeWindowDocument)
]
Typed = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class GateForm:
    """One gate as it was typed."""

    kind: str
    typed: Typed = field(default_factory=dict)

    @property
    def shape(self) -> GateKind:
        """Its inputs."""
        return KINDS[self.kind]

    def document(self, path: str) -> dict[str, Any]:
        """The gate's document.

        Raises:
            Invalid: naming the field, below the path.
        """
        typed = {} if self.kind == PRESET else {"type": self.kind}
        return typed | read(self.shape.inputs, self.typed, path)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanForm:
    """A plan as it was typed."""

    waves: Sequence[Typed] = ()
    gates: Sequence[GateForm] = ()
    ending: Typed = field(default_factory=dict)
    silence: Typed = field(default_factory=dict)
    guardrail: Typed = field(default_factory=dict)
    windows: Sequence[Typed] = ()
    budget: str = ""
    objectives: str = ""
    allowances: str = ""

    def document(self) -> dict[str, Any]:
        """The plan's document; what goes without saying is left out.

        Raises:
            Invalid: naming the field by its path.
        """
        plan: dict[str, Any] = {
            "waves": [_wave(f"waves[{index}]", each) for index, each in enumerate(self.waves) if each.get("percent")],
            "gates": [each.document(f"gates[{index}]") for index, each in enumerate(self.gates)],
        }
        plan |= read(ENDING, self.ending) | read(SILENCE, self.silence)
        if guardrail := read(GUARDRAIL, self.guardrail, "guardrail"):
            plan["guardrail"] = guardrail
        windows = [each for each in self.windows if each.get("from") or each.get("to")]
        if windows:
            plan["freeze_windows"] = [
                read(WINDOW, each, f"freeze_windows[{index}]") for index, each in enumerate(windows)
            ]
        if budget := numbers_by_name(self.budget, "budget"):
            plan["budget"] = budget
        if objectives := numbers_by_name(self.objectives, "objectives"):
            plan["objectives"] = objectives
        if allowances := [_allowance(line) for line in self.allowances.splitlines() if line.strip()]:
            plan["allowances"] = allowances
        return plan

    def with_wave(self) -> "PlanForm":
        """With one more row for a wave."""
        return replace(self, waves=(*self.waves, {"bake": _DEFAULT_BAKE}))

    def with_window(self) -> "PlanForm":
        """With one more row for a freeze window."""
        return replace(self, windows=(*self.windows, {}))

    def with_gate(self, kind: str) -> "PlanForm":
        """With one more gate: of a kind, or of a preset such as `preset:cost:wavegate`.

        Raises:
            Invalid: there is no such kind.
        """
        added = _preset(kind) if kind.startswith(f"{PRESET}:") else GateForm(kind=kind) if kind in KINDS else None
        if added is None:
            raise Invalid("gates", f"{kind!r} is no kind of gate", "one of the list")
        return replace(self, gates=(*self.gates, added)) if len(self.gates) < _MOST else self

    def without_gate(self, index: int) -> "PlanForm":
        """Without one of its gates."""
        return replace(self, gates=(*self.gates[:index], *self.gates[index + 1 :]))

    def with_gate_opened(self, index: int) -> "PlanForm":
        """With the gates that a preset stands for in its place, to be changed one by one.

        Raises:
            Invalid: it stands for none.
        """
        document = self.gates[index].document(f"gates[{index}]")
        try:
            gates = parse(PresetDocument, document).to_domain()
        except Invalid as refusal:
            raise refusal.under(f"gates[{index}]") from None
        opened = [_gate(gate_to_document(gate)) for gate in gates]
        return replace(self, gates=(*self.gates[:index], *opened, *self.gates[index + 1 :]))


def form_of(plan: Mapping[str, Any]) -> PlanForm:
    """The form of a plan's document.

    Raises:
        Invalid: the document is no plan, naming the field.
    """
    read_plan = parse(PlanDocument, plan)
    read_plan.to_domain()
    gates = plan.get("gates")
    waves = plan.get("waves") or [{"percent": each.percent} for each in read_plan.waves]
    return PlanForm(
        waves=[_typed_wave(each) for each in waves],
        gates=[_gate(each) for each in (["error-rate", "latency"] if gates is None else gates)],
        ending=write(ENDING, plan),
        silence=write(SILENCE, plan),
        guardrail=write(GUARDRAIL, plan.get("guardrail", {})),
        windows=[write(WINDOW, each) for each in plan.get("freeze_windows", ())],
        budget=text_of(plan.get("budget", {})),
        objectives=text_of(plan.get("objectives", {})),
        allowances="\n".join(_allowance_text(each) for each in plan.get("allowances", ())),
    )


def form_of_text(text: str) -> PlanForm:
    """The form of a plan in YAML.

    Raises:
        Invalid: it is none.
    """
    documents = list(read_texts(text))
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise Invalid("plan", "is not one document", "a plan in YAML, with waves and gates")
    try:
        return form_of(documents[0])
    except Invalid as refusal:
        raise refusal.under("plan") from None


def as_text(plan: Mapping[str, Any]) -> str:
    """A plan's document in YAML."""
    return write_text(dict(plan))


def offers() -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
    """What a gate can be made of, as groups of values and words: ready-made ones first."""
    yield (
        "Ready-made",
        [
            (f"{PRESET}:{each['preset']}:{each['source']}", f"{each['preset']} ({each['source']}): {each['summary']}")
            for each in presets_to_documents()
        ],
    )
    yield "Of your own", [(kind, shape.words) for kind, shape in KINDS.items() if kind != PRESET]


def paths(form: PlanForm) -> Iterator[str]:
    """The path of each input: what is wrong with a field is said where it was typed."""
    for index in range(len(form.waves)):
        yield f"waves[{index}]"
        yield from (f"waves[{index}].{each.name}" for each in WAVE)
    for index, gate in enumerate(form.gates):
        yield f"gates[{index}]"
        yield from (f"gates[{index}].{each.name}" for each in gate.shape.inputs)
    yield from (each.name for each in (*ENDING, *SILENCE))
    yield from (f"guardrail.{each.name}" for each in GUARDRAIL)
    for index in range(len(form.windows)):
        yield f"freeze_windows[{index}]"
        yield from (f"freeze_windows[{index}].{each.name}" for each in WINDOW)
    yield from ("waves", "gates", "freeze_windows", "budget", "objectives", "allowances")


def _allowance(line: str) -> dict[str, Any]:
    """`RULE for GATE: REASON`, the gate left out for all."""
    rule, _, reason = line.partition(":")
    rule, _, gate = rule.strip().partition(" for ")
    return {"rule": rule.strip(), "reason": reason.strip()} | ({"gate": gate.strip()} if gate.strip() else {})


def _allowance_text(allowance: Mapping[str, Any]) -> str:
    gate = f" for {allowance['gate']}" if allowance.get("gate") else ""
    return f"{allowance['rule']}{gate}: {allowance['reason']}"


def _wave(path: str, row: Typed) -> dict[str, Any]:
    shares = [Input(name="percent", kind=Kind.NUMBER), Input(name="bake", kind=Kind.TEXT)]
    wave = read(shares, row, path)
    approvers = read([Input(name="approvers", kind=Kind.WHOLE)], row, path).get("approvers", 0)
    approval = {"approval": "manual", "approvers": approvers} if approvers else {}
    return wave | approval | read(WAVE, row, path)


def _typed_wave(wave: Mapping[str, Any]) -> Typed:
    return {
        "percent": text_of(wave["percent"]),
        "bake": text_of(wave.get("bake", _DEFAULT_BAKE)),
        "approvers": text_of(wave.get("approvers", 1)) if wave.get("approval") == "manual" else "0",
        **write(WAVE, wave),
    }


def _gate(document: Mapping[str, Any] | str) -> GateForm:
    if isinstance(document, str):
        document = {PRESET: document}
    kind = PRESET if PRESET in document else document["type"]
    return GateForm(kind=kind, typed=write(KINDS[kind].inputs, document))


def _preset(text: str) -> GateForm | None:
    """As its example has it, with the numbers that it needs."""
    _, name, source = text.split(":") if text.count(":") == 2 else ("", "", "")  # noqa: PLR2004
    for each in presets_to_documents():
        if (each["preset"], each["source"]) == (name, source):
            return _gate(each["example"])
    return None
