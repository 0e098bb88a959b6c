"""A document's fields as inputs of a form: what is typed gives the field's value, and the value the text for it."""

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from wavegate_controller.documents.duration import format_duration
from wavegate_controller.documents.gates import SilenceDocument
from wavegate_controller.documents.reading import Document
from wavegate_controller.domain.errors import Invalid

#: Suffixes of the two inputs that say what is done about silence.
ACT: Final = ".act"
AFTER: Final = ".after"
#: What is typed into an input that may be nothing at all.
NONE: Final = "none"
#: Beyond it a float's digits would be made up.
_EXACT: Final = 1e15


class Kind(Enum):
    """What an input takes."""

    TEXT = auto()
    NUMBER = auto()
    WHOLE = auto()
    CHOICE = auto()
    CHECK = auto()
    WORDS = auto()
    NUMBERS = auto()
    PAIRS = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One input.

    Attributes:
        name: of the field, with a dot for a field within one.
        hint: what the document says of the field.
        default: what the field is where nothing is typed, as text.
        choices: of a choice; the first, empty one leaves the field out.
        is_long: whether one line may be too little for it.
        may_be_none: whether the word `none` says something else than nothing typed.
    """

    name: str
    kind: Kind
    hint: str = ""
    default: str = ""
    choices: Sequence[tuple[str, str]] = ()
    is_long: bool = False
    may_be_none: bool = False

    @property
    def label(self) -> str:
        """Its name as words."""
        name = self.name.removesuffix(ACT)
        words = name.replace(AFTER, ", after").replace("_", " ")
        return f"{words[:1].upper()}{words[1:]}"

    @property
    def is_numeric(self) -> bool:
        """Whether a phone should offer digits."""
        return self.kind in (Kind.NUMBER, Kind.WHOLE)


def inputs_of(model: type[Document], *, without: Sequence[str] = (), long: Sequence[str] = ()) -> list[Input]:
    """Of all fields of a document; what is done about silence takes two, for what and after how long."""
    found: list[Input] = []
    for name, field in model.model_fields.items():
        if name in without:
            continue
        default = field.get_default(call_default_factory=True)
        annotation, hint = _plain(field.annotation), field.description or ""
        if annotation is SilenceDocument:
            found.extend(_silence(name, default, hint))
            continue
        found.append(
            Input(
                name=name,
                kind=_kind(annotation),
                hint=hint,
                default="" if field.is_required() else text_of(default),
                choices=[(each, each.replace("_", " ")) for each in get_args(annotation)]
                if get_origin(annotation) is Literal
                else (),
                is_long=name in long,
                may_be_none=default is not None and annotation is not field.annotation and not field.is_required(),
            )
        )
    return found


def read(inputs: Sequence[Input], typed: Mapping[str, str], path: str = "") -> dict[str, Any]:
    """The fields that were typed.

    Raises:
        Invalid: naming the field, below the path.
    """
    document: dict[str, Any] = {}
    for each in inputs:
        text = typed.get(each.name, "").strip()
        if each.may_be_none and text == NONE:
            document[each.name] = None
            continue
        value = _value(each, text, f"{path}.{each.name}".removeprefix("."))
        if value is not None and not _goes_without_saying(each, text, typed):
            _put(document, each.name, value)
    return document


def write(inputs: Sequence[Input], document: Mapping[str, Any]) -> dict[str, str]:
    """The texts that give these fields back; the defaults need none."""
    typed = {}
    for each in inputs:
        given = _get(document, each.name)
        text = NONE if each.may_be_none and given is None and each.name in document else text_of(given)
        if each.kind in (Kind.CHOICE, Kind.CHECK):
            typed[each.name] = each.default if given is None else text
        elif text not in ("", each.default):
            typed[each.name] = text
    return typed


def text_of(value: Any) -> str:
    """A field's value as one types it; a check that is set is any text."""
    match value:
        case None | False:
            return ""
        case True:
            return "on"
        case float() if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        case str() | int() | float():
            return str(value)
        case Mapping():
            return ", ".join(f"{name}={text_of(each)}" for name, each in value.items())
        case Sequence():
            return ", ".join(map(text_of, value))
        case _:
            return format_duration(value)


def _goes_without_saying(one: Input, text: str, typed: Mapping[str, str]) -> bool:
    """Whether it is a choice that is made where nobody chooses; a time to wait needs what is waited for beside it."""
    if one.kind is not Kind.CHOICE or text != one.default:
        return False
    return not typed.get(one.name.removesuffix(ACT) + AFTER, "").strip()


def _value(one: Input, text: str, path: str) -> Any:
    """What was typed; None for a field that is left out."""
    if one.kind is Kind.CHECK:
        return None if bool(text) is bool(one.default) else bool(text)
    if not text:
        return None
    match one.kind:
        case Kind.NUMBER:
            return _number(text, path)
        case Kind.WHOLE:
            return _whole(text, path)
        case Kind.WORDS:
            return _parts(text)
        case Kind.NUMBERS:
            return [_number(part, path) for part in _parts(text)]
        case Kind.PAIRS:
            return dict(_pairs(text, path))
        case _:
            return text


def numbers_by_name(text: str, path: str) -> dict[str, float]:
    """Names with numbers, such as "error-rate=50, cost=2".

    Raises:
        Invalid: naming the path.
    """
    return {name: _number(value, path) for name, value in _pairs(text, path)}


def _pairs(text: str, path: str) -> Iterator[tuple[str, str]]:
    for part in _parts(text):
        name, sign, value = part.partition("=")
        if not (sign and name.strip()):
            raise Invalid(path, f"{part!r} has no name or no value", "name=value, with commas between them")
        yield name.strip(), value.strip()


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _number(text: str, path: str) -> float:
    try:
        # What float() reads beside plain numbers, such as 1_000, nobody means.
        number = float(text.rstrip("% ")) if text.isascii() and "_" not in text else None
    except ValueError:
        number = None
    if number is None:
        raise Invalid(path, f"{text!r} is no number", "a number, such as 0.5")
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _whole(text: str, path: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - more than anything here counts
        raise Invalid(path, f"{text!r} is no whole number", "a whole number, such as 3")
    return int(text)


def _silence(name: str, default: SilenceDocument | None, hint: str) -> Iterator[Input]:
    acts = [(act, act.replace("_", " ")) for act in ("hold", "pause", "roll_back")]
    yield Input(
        name=name + ACT,
        kind=Kind.CHOICE,
        hint=hint,
        default="" if default is None else default.act,
        choices=[("", "as the plan says"), *acts] if default is None else acts,
    )
    yield Input(
        name=name + AFTER, kind=Kind.TEXT, default="0s", hint="How long it lasts before that; needed unless it holds."
    )


def _plain(annotation: Any) -> Any:
    """Without "or nothing", which an empty input says."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _kind(annotation: Any) -> Kind:
    if get_origin(annotation) is Literal:
        return Kind.CHOICE
    kinds: dict[Any, Kind] = {
        float: Kind.NUMBER,
        int: Kind.WHOLE,
        bool: Kind.CHECK,
        list[str]: Kind.WORDS,
        list[float]: Kind.NUMBERS,
        dict[str, str]: Kind.PAIRS,
    }
    return kinds.get(annotation, Kind.TEXT)


def _get(document: Mapping[str, Any], name: str) -> Any:
    found: Any = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    *above, last = name.split(".")
    for part in above:
        document = document.setdefault(part, {})
    document[last] = value
