"""LaunchDarkly: what the REST API lists of a project's flags, or the data that a server-side SDK gets."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from wavegate_controller.documents.importing import asking, sequence
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.draft import FULL, Draft, Need, named_variants, plain_name
from wavegate_controller.documents.importing.notes import CannotCarry
from wavegate_controller.documents.importing.reading import a_list, a_text, an_object, objects
from wavegate_controller.documents.importing.source import Found, Options
from wavegate_controller.domain.errors import Invalid

_TEXTS: Final = {"startsWith": "starts_with", "endsWith": "ends_with", "contains": "contains"}
_NUMBERS: Final = {
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
}
_VERSIONS: Final = {"semVerEqual": "semver=", "semVerLessThan": "semver<", "semVerGreaterThan": "semver>"}
_DATES: Final = {"before": "date<", "after": "date>"}
#: Where a flag of the REST API keeps the names of its variations; no field of LaunchDarkly's.
_NAMES: Final = "names of variations"


def read(document: Mapping[str, Any], options: Options) -> Found:
    """All flags of the document.

    Raises:
        Invalid: it is no document of LaunchDarkly's.
    """
    flags = list(_flags(document, options))
    found = Found()
    segments = _Segments(_by_key("segments", document.get("segments")), found)
    known = {key: an_object(key, flag) for key, flag in flags}
    for key, flag in flags:
        found.drafts.append(_Flag(key, flag, segments, known).draft())
    return found


def _flags(document: Mapping[str, Any], options: Options) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if "items" in document or "environments" in document:
        listed = objects("items", document["items"]) if "items" in document else [document]
        return [_of_an_environment(each, options) for each in listed]
    if "flags" in document:
        return list(_by_key("flags", document["flags"]).items())
    raise Invalid("flags", "is missing", "a list of the REST API (items), or the data of an SDK (flags, segments)")


def _by_key(field: str, value: Any) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(value, list):
        return {a_text(f"{field}.key", each.get("key")): each for each in objects(field, value)}
    return {key: an_object(f"{field}.{key}", each) for key, each in an_object(field, value or {}).items()}


def _of_an_environment(flag: Mapping[str, Any], options: Options) -> tuple[str, Mapping[str, Any]]:
    """A flag of the REST API as an SDK gets it."""
    key = a_text("items.key", flag.get("key"))
    environments = an_object(f"{key}.environments", flag.get("environments"))
    name = options.source_environment
    if name is None and len(environments) == 1:
        name = next(iter(environments))
    if name is None or name not in environments:
        problem = "is not given" if name is None else f"{name!r} is not an environment of {key}"
        raise Invalid("source environment", problem, f"one of {', '.join(sorted(environments))}")
    # Each is wrapped in an object with its name; an SDK gets the bare values.
    variations = objects(f"{key}.variations", flag.get("variations"))
    bare = {
        "variations": [each.get("value") for each in variations],
        _NAMES: [each.get("name") for each in variations],
    }
    return key, {**flag, **bare, **an_object(f"{key}.environments.{name}", environments[name])}


def _attribute(name: str, kind: Any) -> str:
    """What apps will have to call it: members of objects, and other contexts than the user, are flat names here."""
    flat = name.removeprefix("/").replace("/", "_") if name.startswith("/") else name
    if kind in (None, "", "user"):
        return asking.KEY if flat == "key" else flat
    return f"{kind}_{flat}"


class _Segments:
    def __init__(self, segments: Mapping[str, Mapping[str, Any]], found: Found) -> None:
        self._segments = segments
        self._found = found
        self._open: list[str] = []

    def named(self, key: Any, place: str) -> ConditionDocument:
        """The condition that names it; it becomes a segment of ours on its way."""
        segment = self._segments.get(key)
        if segment is None:
            raise CannotCarry(
                place,
                f"names the segment {key}, which the document does not have",
                "import the data of an SDK, which have the segments, or make it by hand",
            )
        name = plain_name(str(key))
        if name not in self._found.segments:
            if key in self._open:
                raise CannotCarry(place, f"names the segment {key}, which names itself", "untie the two")
            self._open.append(key)
            condition = self._condition(segment, f"segment {key}")
            self._open.pop()
            self._found.segments[name] = condition
        return {"segment": name}

    def _condition(self, segment: Mapping[str, Any], place: str) -> ConditionDocument:
        if segment.get("unbounded"):
            raise CannotCarry(
                place, "is a big segment, whose people the document does not have", "pass an attribute for it"
            )
        included = self._lists(segment, "included")
        excluded = self._lists(segment, "excluded")
        rules = []
        for index, rule in enumerate(objects("rules", segment.get("rules"))):
            where = f"{place}, rule {index + 1}"
            if rule.get("weight") is not None:
                raise CannotCarry(where, "takes a percentage of people", "put the percentage into the flag's rule")
            rules.append(asking.all_of([clause(each, self, where) for each in objects("clauses", rule.get("clauses"))]))
        ruled = asking.any_of(rules)
        if excluded and rules:
            ruled = asking.all_of([asking.negated(asking.any_of(excluded)), ruled])
        return asking.any_of([*included, ruled]) if rules else asking.any_of(included)

    @staticmethod
    def _lists(segment: Mapping[str, Any], which: str) -> list[ConditionDocument]:
        lists = [(None, segment.get(which))]
        lists += [
            (each.get("contextKind"), each.get("values")) for each in objects(which, segment.get(f"{which}Contexts"))
        ]
        return [asking.among(_attribute("key", kind), keys) for kind, keys in lists if keys]


def clause(given: Mapping[str, Any], segments: _Segments, place: str) -> ConditionDocument:
    """One clause. On an attribute that is missing none is met there, a negated one neither."""
    operator, values = str(given.get("op")), a_list("values", given.get("values"))
    negated = bool(given.get("negate"))
    if operator == "segmentMatch":
        named = asking.any_of([segments.named(each, place) for each in values])
        return asking.negated(named) if negated else named
    name = str(given.get("attribute"))
    if name == "kind":
        raise CannotCarry(place, "asks for the kind of the context, and here there is one", "leave the clause out")
    attribute = _attribute(name, given.get("contextKind"))
    asked = _asked(attribute, operator, values, place)
    return asking.all_of([asking.exists(attribute), asking.negated(asked)]) if negated else asked


def _asked(attribute: str, operator: str, values: Sequence[Any], place: str) -> ConditionDocument:
    if operator == "in":
        scalars = [each for each in values if isinstance(each, (str, int, float, bool))]
        if len(scalars) != len(values):
            raise CannotCarry(place, "compares with a list or an object", "compare a text, a number or a boolean")
        return asking.among(attribute, scalars)
    if operator in _TEXTS:
        return asking.compare(attribute, _TEXTS[operator], list(values), place) if values else asking.nobody()
    if operator == "matches":
        return asking.any_of([asking.compare(attribute, "matches", each, place) for each in values])
    if operator in _NUMBERS:
        return asking.any_of([asking.compare(attribute, _NUMBERS[operator], each, place) for each in values])
    if operator in _VERSIONS:
        versions = [asking.version(each, place) for each in values]
        return asking.any_of([asking.compare(attribute, _VERSIONS[operator], each, place) for each in versions])
    if operator in _DATES:
        instants = [asking.instant(each, place) for each in values]
        return asking.any_of([asking.compare(attribute, _DATES[operator], each, place) for each in instants])
    raise CannotCarry(place, f"compares by {operator}, which has no counterpart", "say it with another operator")


class _Flag:
    def __init__(
        self, key: str, flag: Mapping[str, Any], segments: _Segments, known: Mapping[str, Mapping[str, Any]]
    ) -> None:
        values = list(a_list(f"flags.{key}.variations", flag.get("variations")))
        names = [] if _are_booleans(values) else flag.get(_NAMES, [])
        self._flag = flag
        self._segments = segments
        self._known = known
        self._names = named_variants(values, names)
        self._draft = Draft(
            key=key,
            variants=dict(zip(self._names, values, strict=True)),
            default_variant=self._off(values),
            description=str(flag.get("description") or flag.get("name") or ""),
        )

    def draft(self) -> Draft:
        """The flag, with whatever of it means the same here."""
        draft, flag = self._draft, self._flag
        if flag.get("offVariation") is None and self._names:
            draft.mind(
                "offVariation",
                f"it has none, so off, apps get the default in their code; here they get {draft.default_variant}",
                "change default_variant if that is not right",
            )
        if not flag.get("on"):
            draft.lose(
                "on",
                "it is off at LaunchDarkly, and what is off has no rules here",
                "write its rules when it is to be on",
            )
            return draft
        self._prerequisites()
        rules = sequence.Sequence(draft)
        with rules.step("targets") as open_:
            if open_:
                self._targets()
        for index, rule in enumerate(objects("rules", flag.get("rules"))):
            place = f"rule {index + 1}"
            with rules.step(place) as open_:
                if open_:
                    clauses = [clause(each, self._segments, place) for each in objects("clauses", rule.get("clauses"))]
                    self._serve(rule, asking.all_of(clauses), str(rule.get("description") or "") or None, place)
        with rules.step("fallthrough") as open_:
            if (
                open_
                and self._name(an_object("fallthrough", flag.get("fallthrough") or {}).get("variation"))
                != draft.default_variant
            ):
                self._serve(
                    an_object("fallthrough", flag["fallthrough"]), asking.everybody(), "Everybody else", "fallthrough"
                )
        if draft.splits:
            draft.mind(
                "percentages",
                "the shares are the same, the people in them are not: LaunchDarkly hashes otherwise",
                "let nobody depend on having been in or out",
            )
        return draft

    def _off(self, values: Sequence[Any]) -> str:
        off = self._name(self._flag.get("offVariation"))
        if off is not None:
            return off
        return self._names[values.index(False)] if False in values else (self._names or [""])[0]

    def _name(self, variation: Any) -> str | None:
        is_one = isinstance(variation, int) and 0 <= variation < len(self._names)
        return self._names[variation] if is_one else None

    def _prerequisites(self) -> None:
        for each in objects("prerequisites", self._flag.get("prerequisites")):
            key, variation = a_text("prerequisites.key", each.get("key")), each.get("variation")
            other = self._known.get(key, {})
            if other.get("offVariation") == variation:
                self._draft.mind(
                    "prerequisites",
                    f"{key} must be on there and serve what it also serves when it is off; here that counts, too",
                    f"look whether {self._draft.key} may be served while {key} is off",
                )
            self._draft.needs.append(Need(flag=key, variants=_variation(variation)))

    def _targets(self) -> None:
        listed: set[str] = set()
        contexts = objects("contextTargets", self._flag.get("contextTargets"))
        for each in objects("targets", self._flag.get("targets")):
            name = self._name(each.get("variation"))
            keys = [key for key in a_list("targets.values", each.get("values")) if key not in listed]
            if name is not None and keys:
                self._draft.allow.setdefault(name, []).extend(keys)
                listed.update(keys)
        for index, each in enumerate(contexts):
            # A list without values stands for the user's targets, at its place in the order.
            name, named = self._name(each.get("variation")), a_list("values", each.get("values"))
            if name is not None and named:
                attribute = _attribute("key", each.get("contextKind"))
                self._draft.rule(f"Context targets {index + 1}", asking.among(attribute, named), name)

    def _serve(self, rule: Mapping[str, Any], condition: ConditionDocument, name: str | None, place: str) -> None:
        variant = self._name(rule.get("variation"))
        if variant is not None:
            self._draft.rule(name, condition, variant)
            return
        rollout = an_object(f"{place}.rollout", rule.get("rollout") or {})
        shares: dict[str, Fraction] = {}
        for each in objects("rollout.variations", rollout.get("variations")):
            variant, weight = self._name(each.get("variation")), each.get("weight")
            if variant is None or not isinstance(weight, int):
                raise CannotCarry(place, "has a rollout to a variation that there is not", "mend it at the source")
            shares[variant] = shares.get(variant, Fraction(0)) + Fraction(weight, FULL)
        if sum(shares.values()) != 1:
            raise CannotCarry(place, "serves no variation", "mend it at the source")
        if rollout.get("kind") == "experiment":
            self._draft.mind(
                f"{place}, experiment", "the shares are carried over, the analysis is not", "begin a rollout with gates"
            )
        attribute = _attribute(str(rollout.get("bucketBy") or "key"), rollout.get("contextKind"))
        by = None if attribute == asking.KEY else attribute
        self._draft.rule(name, condition, self._draft.split(shares, by=by, place=place))


def _variation(index: Any) -> Any:
    def variants(parent: Draft) -> list[str]:
        names = list(parent.variants)
        if not isinstance(index, int) or not 0 <= index < len(names):
            raise CannotCarry(
                "prerequisites", f"it needs a variation of {parent.key} that there is not", "mend it there"
            )
        return [names[index]]

    return variants


def _are_booleans(values: Sequence[Any]) -> bool:
    return all(isinstance(each, bool) for each in values)
