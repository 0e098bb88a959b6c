"""Targeting as fields of a form: rules as lines that read as sentences, and back to the documents that they are."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from wavegate.evaluation import FULL_WEIGHT, AllOf, AnyOf, Comparison, Condition, InSegment, Not, Operator, Rule
from wavegate.evaluation.condition_codec import write_condition
from wavegate_controller.documents.plans import weight_of
from wavegate_controller.domain.errors import Invalid
from wavegate_controller.web.targeting import OPERATORS, serve_sentence

#: In the place of an operator: the value names a segment.
SEGMENT: Final = "segment"
_NOT: Final = "not "
#: Operators whose value is one of several.
_LISTS: Final = frozenset({Operator.IN})
_MAY_LIST: Final = frozenset({Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH})
_TEXTS: Final = frozenset(each for each in Operator if each is Operator.MATCHES or each.startswith(("semver", "date")))
_SHARE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%\s*(\S+)")
_SERVE: Final = "a variant, or shares of several such as 60 % small, 40 % large"
#: What can be chosen between an attribute and a value.
CHOICES: Final[Sequence[tuple[str, str]]] = (
    *((operator.value, words) for operator, words in OPERATORS.items()),
    *((_NOT + operator.value, f"not: {words}") for operator, words in OPERATORS.items()),
    (SEGMENT, "is in the segment"),
    (_NOT + SEGMENT, "not: is in the segment"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One comparison: an attribute, an operator or its negation, a value as it was typed."""

    attribute: str = ""
    operator: str = Operator.EQUALS.value
    value: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not self.attribute and not self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleForm:
    """One rule as it was typed.

    Attributes:
        match: whether `all` of the lines must hold, or `any`.
        json: instead of lines, a condition that no lines can say.
    """

    name: str = ""
    match: str = "all"
    lines: tuple[Line, ...] = (Line(),)
    json: str = ""
    serve: str = ""


def form_of(rule: Rule) -> RuleForm:
    """The fields that give this rule."""
    return replace(condition_form(rule.condition), name=rule.name or "", serve=serve_sentence(rule.serve))


def condition_form(condition: Condition) -> RuleForm:
    """The fields that give this condition, and serve nothing."""
    match, lines = _lines(condition)
    text = json.dumps(write_condition(condition), ensure_ascii=False, indent=2) if lines is None else ""
    return RuleForm(match=match, lines=lines or (), json=text)


def document_of(rule: RuleForm, path: str) -> dict[str, Any]:
    """The rule's document.

    Raises:
        Invalid: by its path.
    """
    named = {"name": rule.name} if rule.name else {}
    return named | {"if": read_condition(rule, f"{path}.if"), "serve": read_serve(rule.serve, f"{path}.serve")}


def read_serve(text: str, path: str) -> str | list[dict[str, Any]]:
    """A variant, or shares of several.

    Raises:
        Invalid: it is neither.
    """
    text = text.strip()
    if not text:
        raise Invalid(path, "is empty", _SERVE)
    if "%" not in text:
        return text
    shares = []
    for part in text.split(","):
        match = _SHARE.fullmatch(part.strip())
        if match is None:
            raise Invalid(path, f"{part.strip()!r} is no share", _SERVE)
        shares.append((match[2], weight_of(path, float(match[1]))))
    whole = sum(weight for _, weight in shares)
    if whole != FULL_WEIGHT:
        raise Invalid(path, f"has shares that add up to {100 * whole / FULL_WEIGHT:g} %", "shares that add up to 100 %")
    return [{"variant": variant, "weight": weight} for variant, weight in shares]


def read_prerequisites(lines: Sequence[str]) -> list[dict[str, Any]]:
    """From lines such as `search: on, beta`.

    Raises:
        Invalid: naming the line.
    """
    found = []
    for index, line in enumerate(lines):
        flag, colon, variants = line.partition(":")
        if not colon or not variants.strip():
            raise Invalid(f"prerequisites[{index}]", f"{line!r} names no variant", "a line such as search: on, beta")
        found.append({"flag": flag.strip(), "variants": [each.strip() for each in variants.split(",") if each.strip()]})
    return found


def write_prerequisites(documents: Sequence[Mapping[str, Any]]) -> str:
    """The lines that give these back."""
    return "\n".join(f"{each['flag']}: {', '.join(each['variants'])}" for each in documents)


def read_json(text: str, path: str) -> Any:
    """A condition that was typed as JSON.

    Raises:
        Invalid: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(path, f"is no JSON: {error}", "a condition, as docs/ruleset.md has them") from None


def read_condition(rule: RuleForm, path: str) -> Any:
    """The condition that the lines say, or the JSON in their place.

    Raises:
        Invalid: by its path.
    """
    if rule.json:
        return read_json(rule.json, path)
    lines = [each for each in rule.lines if not each.is_empty]
    if not lines:
        raise Invalid(path, "asks nothing", "one line at least: an attribute, and what it is compared with")
    documents = [_comparison(line, f"{path}[{index}]") for index, line in enumerate(lines)]
    return documents[0] if len(documents) == 1 else {rule.match: documents}


def _comparison(line: Line, path: str) -> dict[str, Any]:
    is_not = line.operator.startswith(_NOT)
    name = line.operator.removeprefix(_NOT)
    if name == SEGMENT:
        document: dict[str, Any] = {"segment": line.value.strip() or line.attribute.strip()}
    else:
        try:
            operator = Operator(name)
        except ValueError:
            raise Invalid(path, f"{name!r} is no operator", "one of the list") from None
        document = {"attribute": line.attribute.strip(), "operator": operator.value}
        if operator is not Operator.EXISTS:
            document["value"] = _value(operator, line.value)
    return {"not": document} if is_not else document


def _value(operator: Operator, text: str) -> Any:
    """Texts are text; in other places what looks like a number or a truth is one, unless it is in quotes."""
    if operator in _TEXTS:
        return text.strip()
    if operator in _LISTS or (operator in _MAY_LIST and "," in text):
        return [_scalar(each) for each in text.split(",") if each.strip()]
    return _scalar(text)


def _scalar(text: str) -> Any:
    text = text.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _lines(condition: Condition) -> tuple[str, tuple[Line, ...] | None]:
    """How a condition is said by lines; None where it cannot be."""
    match = "all"
    inner: tuple[Condition, ...] = (condition,)
    if isinstance(condition, AllOf | AnyOf):
        match, inner = ("all" if isinstance(condition, AllOf) else "any"), condition.conditions
    lines = [_line(each) for each in inner]
    found = tuple(each for each in lines if each is not None)
    return match, found if len(found) == len(lines) else None


def _line(condition: Condition) -> Line | None:
    match condition:
        case Comparison(attribute=attribute, operator=operator, value=value):
            text = _text(operator, value)
            return None if text is None else Line(attribute=attribute, operator=operator.value, value=text)
        case InSegment(name):
            return Line(operator=SEGMENT, value=name)
        case Not(Comparison() | InSegment() as inner):
            line = _line(inner)
            return line and Line(attribute=line.attribute, operator=_NOT + line.operator, value=line.value)
        case _:
            return None


def _text(operator: Operator, value: Any) -> str | None:
    """What would be typed for this value; None where nothing that is typed would be read as it."""
    if value is None:
        return ""
    typed = ", ".join(map(_typed, value)) if isinstance(value, tuple) else _typed(value)
    if operator in _TEXTS:
        typed = str(value)
    read = _value(operator, typed)
    same = (tuple(read) if isinstance(read, list) else read) == value and type(read) in (type(value), list)
    return typed if same else None


def _typed(value: Any) -> str:
    return value if isinstance(value, str) and _scalar(value) == value else json.dumps(value, ensure_ascii=False)
