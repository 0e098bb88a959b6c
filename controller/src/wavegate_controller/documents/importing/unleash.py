"""Unleash: an export of features (Unleash 5 and newer), or what `/api/client/features` answers.

An Unleash flag is on for whoever one of its strategies is for, so strategies have no order. Rules here have one:
strategies for everybody who meets their constraints come first, then those for a percentage, the largest first. With
one hash for all of them that is the same people.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from wavegate_controller.documents.importing import asking
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.draft import Draft, Need, plain_name
from wavegate_controller.documents.importing.notes import CannotCarry
from wavegate_controller.documents.importing.reading import a_list, a_text, an_object, objects
from wavegate_controller.documents.importing.source import Found, Options
from wavegate_controller.domain.errors import Invalid

_TEXTS: Final = {"STR_CONTAINS": "contains", "STR_STARTS_WITH": "starts_with", "STR_ENDS_WITH": "ends_with"}
_NUMBERS: Final = {"NUM_EQ": "equals", "NUM_GT": ">", "NUM_GTE": ">=", "NUM_LT": "<", "NUM_LTE": "<="}
_VERSIONS: Final = {
    "SEMVER_EQ": "semver=",
    "SEMVER_GT": "semver>",
    "SEMVER_GTE": "semver>=",
    "SEMVER_LT": "semver<",
    "SEMVER_LTE": "semver<=",
}
_DATES: Final = {"DATE_AFTER": "date>", "DATE_BEFORE": "date<"}
#: The strategies before flexibleRollout, and what they go by.
_GRADUAL: Final = {"gradualRolloutUserId": "userId", "gradualRolloutSessionId": "sessionId"}
_WHOLE: Final = 1000
_EVERYBODY: Final = Fraction(1)


def read(document: Mapping[str, Any], options: Options) -> Found:
    """All flags of the document.

    Raises:
        Invalid: it is no document of Unleash's.
    """
    features = objects("features", document.get("features"))
    if not features:
        raise Invalid("features", "is missing or empty", "an export of features, or an answer of /api/client/features")
    key = options.targeting_key or "userId"
    found = Found()
    segments = _Segments(objects("segments", document.get("segments")), key, found)
    flags = _of_an_export(document, options) if "featureStrategies" in document else features
    for index, flag in enumerate(flags):
        name = a_text(f"features[{index}].name", flag.get("name"))
        found.drafts.append(_Flag(name, flag, segments, key).draft())
    return found


def _of_an_export(document: Mapping[str, Any], options: Options) -> Iterable[Mapping[str, Any]]:
    """The features with what an export keeps beside them, as clients get them."""
    environment = options.source_environment
    switched = objects("featureEnvironments", document.get("featureEnvironments"))
    known = sorted({str(each["environment"]) for each in switched if each.get("environment")})
    if environment is None and len(known) > 1:
        raise Invalid("source environment", "is not given", f"one of {', '.join(known)}")
    if environment is not None and known and environment not in known:
        raise Invalid("source environment", f"{environment!r} is not in the document", f"one of {', '.join(known)}")
    environment = environment or (known[0] if known else None)
    here = {each.get("featureName"): each for each in switched if each.get("environment") == environment}
    strategies = [
        each
        for each in objects("featureStrategies", document.get("featureStrategies"))
        if each.get("environment") in (None, environment)
    ]
    parents = {each.get("feature"): each.get("dependencies") for each in objects("", document.get("dependencies"))}
    for feature in objects("features", document.get("features")):
        name = feature.get("name")
        state = here.get(name, {})
        yield {
            **feature,
            "enabled": state.get("enabled", False),
            "variants": state.get("variants", []),
            "strategies": [each for each in strategies if each.get("featureName") == name],
            "dependencies": parents.get(name),
        }


class _Segments:
    """The source's segments; each becomes one of ours when a strategy names it."""

    def __init__(self, segments: Sequence[Mapping[str, Any]], key: str, found: Found) -> None:
        self._by_id = {each.get("id"): each for each in segments}
        self._key = key
        self._found = found

    def named(self, number: Any, place: str) -> ConditionDocument:
        """The condition that names it."""
        segment = self._by_id.get(number)
        if segment is None or "constraints" not in segment:
            raise CannotCarry(
                place,
                "names a segment whose constraints the document does not have",
                "import from /api/client/features, whose answer has them, or make the segment and the rule by hand",
            )
        name = plain_name(str(segment.get("name") or f"segment-{number}")) or f"segment-{number}"
        if name not in self._found.segments:
            constraints = objects(f"segments.{name}.constraints", segment["constraints"])
            asked = [
                _condition(each, self._key, f"segment {name}, constraint {index + 1}")
                for index, each in enumerate(constraints)
            ]
            self._found.segments[name] = asking.all_of(asked)
        return {"segment": name}


class _Flag:
    def __init__(self, name: str, flag: Mapping[str, Any], segments: _Segments, key: str) -> None:
        self._flag = flag
        self._segments = segments
        self._key = key
        self._variants = _variants(flag)
        variants: dict[str, Any] = {"on": True, "off": False}
        if self._variants:
            has_payload = any(each.get("payload") for each in self._variants.values())
            variants = {"off": None if has_payload else "disabled"}
            variants |= {each: _payload(variant) for each, variant in self._variants.items()}
        self._draft = Draft(
            key=name, variants=variants, default_variant="off", description=flag.get("description") or ""
        )
        self._group: str | None = None

    def draft(self) -> Draft:
        """The flag, with whatever of it means the same here."""
        draft, strategies = self._draft, objects("strategies", self._flag.get("strategies"))
        if not self._flag.get("enabled"):
            draft.lose(
                "enabled",
                "it is off at Unleash, and what is off has no rules here",
                "write its rules when it is to be on" if strategies else "nothing, if it is to stay off",
            )
            return draft
        active = [(index, each) for index, each in enumerate(strategies) if not each.get("disabled")]
        if not strategies:
            active = [(0, {"name": "default"})]
        rules = [rule for index, each in active if (rule := self._attempt(index, each)) is not None]
        for share, place, title, condition, strategy in sorted(rules, key=lambda rule: -rule[0]):
            try:
                serve = draft.split(self._shares(share, strategy, place), by=self._by(strategy), place=place)
                draft.rule(title, condition, serve)
            except CannotCarry as lost:
                draft.notes.append(lost.note(draft.key))
        self._dependencies()
        self._remarks()
        return draft

    def _attempt(
        self, index: int, strategy: Mapping[str, Any]
    ) -> tuple[Fraction, str, str | None, ConditionDocument, Mapping[str, Any]] | None:
        place = f"strategy {index + 1} ({strategy.get('name')})"
        try:
            share, own = self._strategy(strategy, place)
            if not share:
                return None
            return share, place, strategy.get("title") or None, self._whom(strategy, own, place), strategy
        except CannotCarry as lost:
            self._draft.notes.append(lost.note(self._draft.key))
            return None

    def _strategy(self, strategy: Mapping[str, Any], place: str) -> tuple[Fraction, list[ConditionDocument]]:
        """For what share of people, and which of them besides the constraints."""
        name, parameters = strategy.get("name"), an_object("parameters", strategy.get("parameters") or {})
        if name == "default":
            return _EVERYBODY, []
        if name == "userWithId":
            people = [each.strip() for each in str(parameters.get("userIds") or "").split(",") if each.strip()]
            return _EVERYBODY, [asking.among(_attribute("userId", self._key), people)]
        if name == "flexibleRollout":
            share = _percentage(parameters.get("rollout"), place)
        elif name in _GRADUAL or name == "gradualRolloutRandom":
            share = _percentage(parameters.get("percentage"), place)
        else:
            raise CannotCarry(place, "is a strategy that only Unleash has", "say it as a rule over an attribute")
        if share and share < 1:
            self._one_group(strategy, parameters, place)
        return share, []

    def _one_group(self, strategy: Mapping[str, Any], parameters: Mapping[str, Any], place: str) -> None:
        if strategy.get("name") == "gradualRolloutRandom" or parameters.get("stickiness") == "random":
            raise CannotCarry(
                place, "draws anew at each request", "take a percentage of people, or of an attribute such as a session"
            )
        group = str(parameters.get("groupId") or self._draft.key)
        if self._group not in (None, group):
            raise CannotCarry(
                place,
                f"splits people by another group ({group}) than the flag's other percentages ({self._group})",
                "give it a flag of its own",
            )
        self._group = group

    def _by(self, strategy: Mapping[str, Any]) -> str | None:
        parameters = strategy.get("parameters") or {}
        own = _GRADUAL.get(str(strategy.get("name")), parameters.get("stickiness") or "default")
        if own == "random":
            return None
        return None if own in ("default", self._key) else str(own)

    def _whom(self, strategy: Mapping[str, Any], own: list[ConditionDocument], place: str) -> ConditionDocument:
        constraints = objects("constraints", strategy.get("constraints"))
        asked = [
            _condition(each, self._key, f"{place}, constraint {index + 1}") for index, each in enumerate(constraints)
        ]
        asked += [self._segments.named(each, place) for each in a_list("segments", strategy.get("segments"))]
        return asking.all_of([*asked, *own])

    def _shares(self, share: Fraction, strategy: Mapping[str, Any], place: str) -> dict[str, Fraction]:
        """On, or one of the variants, for the share of people; off for the others."""
        off = {"off": 1 - share}
        if not self._variants:
            return {"on": share} | off
        own = objects("variants", strategy.get("variants")) or objects("variants", self._flag.get("variants"))
        if not own:
            raise CannotCarry(
                place, "has no variants, and others of the flag have", "give it a variant at Unleash first"
            )
        stickiness = {str(each.get("stickiness") or "default") for each in own} - {"default", self._key}
        if stickiness - {self._by(strategy) or ""}:
            raise CannotCarry(
                place, "draws its variants by another attribute than its percentage", "use one attribute for both"
            )
        if any(each.get("overrides") for each in own):
            self._draft.lose(
                f"{place}, overrides",
                "variants by name are rules here",
                "write a rule before the split for each override",
            )
        total = sum(_weight(each) for each in own)
        if not total:
            raise CannotCarry(place, "has variants that all weigh nothing", "give them weights")
        named = {_plain(str(each.get("name"))): share * Fraction(_weight(each), total) for each in own}
        return named | off

    def _dependencies(self) -> None:
        for each in objects("dependencies", self._flag.get("dependencies")):
            parent = a_text("dependencies.feature", each.get("feature"))
            wanted = [_plain(str(name)) for name in a_list("variants", each.get("variants"))]
            self._draft.needs.append(
                Need(flag=parent, variants=_needed(wanted, is_on=each.get("enabled") is not False))
            )

    def _remarks(self) -> None:
        if self._draft.splits:
            self._draft.mind(
                "percentages",
                "the shares are the same, the people in them are not: Unleash hashes otherwise",
                "let nobody depend on having been in or out",
            )
        if "off" in self._draft.variants and self._draft.variants["off"] is None:
            self._draft.mind(
                "variants", "who gets none gets null, so apps get the default in their code", "give it in each call"
            )


def _variants(flag: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Plain name to variant, of the flag and all of its strategies."""
    groups = [flag.get("variants"), *(each.get("variants") for each in objects("strategies", flag.get("strategies")))]
    return {
        _plain(a_text("variants.name", each.get("name"))): each
        for group in groups
        for each in objects("variants", group)
    }


def _needed(wanted: list[str], *, is_on: bool) -> Callable[[Draft], list[str]]:
    """These variants; without any, all that are on, or off."""
    if not is_on:
        return lambda parent: [parent.default_variant]
    return lambda parent: wanted or [name for name in parent.variants if name != parent.default_variant]


def _plain(name: str) -> str:
    """A variant's name; what is off is ours."""
    plain = plain_name(name)
    return f"{plain}-variant" if plain in ("off", "") else plain


def _payload(variant: Mapping[str, Any]) -> Any:
    payload = variant.get("payload")
    if not payload:
        return variant.get("name")
    value = payload.get("value")
    if payload.get("type") in ("json", "number"):
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value
    return value


def _weight(variant: Mapping[str, Any]) -> int:
    weight = variant.get("weight")
    return weight if isinstance(weight, int) and 0 <= weight <= _WHOLE else 0


def _percentage(value: Any, place: str) -> Fraction:
    try:
        percent = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        percent = Fraction(-1)
    if not 0 <= percent <= 100:  # noqa: PLR2004 - of a hundred
        raise CannotCarry(place, f"has the percentage {value!r}", "write a number from 0 to 100")
    return percent / 100


def _attribute(name: str, key: str) -> str:
    return asking.KEY if name == key else name


def _condition(constraint: Mapping[str, Any], key: str, place: str) -> ConditionDocument:
    """One constraint. An attribute that is missing meets none but an inverted one, and NOT_IN, here as there."""
    context, operator = str(constraint.get("contextName")), str(constraint.get("operator"))
    if context == "currentTime":
        raise CannotCarry(
            place, "asks what time it is, which evaluation never does here", "begin and end it by a rollout or by hand"
        )
    asked = _asked(constraint, _attribute(context, key), operator, place)
    return asking.negated(asked) if constraint.get("inverted") else asked


def _asked(constraint: Mapping[str, Any], attribute: str, operator: str, place: str) -> ConditionDocument:
    values = [str(each) for each in a_list("values", constraint.get("values"))]
    if operator in ("IN", "NOT_IN"):
        asked = asking.among(attribute, values if attribute == asking.KEY else _as_numbers_too(values))
        return asking.negated(asked) if operator == "NOT_IN" else asked
    if operator in _TEXTS:
        return _text(attribute, _TEXTS[operator], values, place, in_any_case=bool(constraint.get("caseInsensitive")))
    value = constraint.get("value")
    if operator in _NUMBERS:
        return asking.compare(attribute, _NUMBERS[operator], _number(value, place), place)
    if operator in _VERSIONS:
        return asking.compare(attribute, _VERSIONS[operator], value, place)
    if operator in _DATES:
        return asking.compare(attribute, _DATES[operator], asking.instant(value, place), place)
    raise CannotCarry(place, f"compares by {operator}, which has no counterpart", "say it with another operator")


def _text(attribute: str, operator: str, values: Sequence[str], place: str, *, in_any_case: bool) -> ConditionDocument:
    if in_any_case:
        return asking.any_of([asking.text_in_any_case(attribute, operator, each, place) for each in values])
    return asking.compare(attribute, operator, list(values), place) if values else asking.nobody()


def _as_numbers_too(values: Sequence[str]) -> list[Any]:
    """Unleash compares texts, and makes one of a number that an app passes; here 5 is no "5"."""
    numbers = []
    for value in values:
        try:
            number = int(value)
        except ValueError:
            continue
        if str(number) == value:
            numbers.append(number)
    return [*values, *numbers]


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise CannotCarry(place, f"compares a number with {value!r}", "write a number") from None
    return int(number) if number.is_integer() else number
