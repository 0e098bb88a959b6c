"""GrowthBook: the features that its SDKs get, or what the REST API lists of features.

A feature's rules are asked in order. Who is outside of a rule's percentage goes on to the next rule there; here a split
has the last word. So a percentage is carried over where it stands last.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from wavegate_controller.documents.importing import sequence
from wavegate_controller.documents.importing.draft import Draft, Need, named_variants
from wavegate_controller.documents.importing.mongo import Conditions
from wavegate_controller.documents.importing.notes import CannotCarry
from wavegate_controller.documents.importing.reading import a_list, a_text, an_object, objects
from wavegate_controller.documents.importing.source import Found, Options
from wavegate_controller.domain.errors import Invalid

_ELSEWHERE = ("namespace", "filters", "ranges", "contextualBandit")


def read(document: Mapping[str, Any], options: Options) -> Found:
    """All features of the document.

    Raises:
        Invalid: it is no document of GrowthBook's.
    """
    if "features" not in document:
        raise Invalid("features", "is missing", "the answer of /api/features/KEY (SDKs) or /api/v1/features (REST)")
    features = document["features"]
    listed = _of_the_rest_api(features, options) if isinstance(features, list) else _of_an_sdk(features)
    key = options.targeting_key or "id"
    conditions = Conditions(key, an_object("savedGroups", document.get("savedGroups") or {}))
    return Found(drafts=[_Feature(name, each, conditions, key).draft() for name, each in listed])


def _of_an_sdk(features: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return [(name, an_object(f"features.{name}", each)) for name, each in an_object("features", features).items()]


def _of_the_rest_api(features: Sequence[Any], options: Options) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Features as SDKs get them: each environment has that as a text."""
    for index, feature in enumerate(objects("features", features)):
        key = a_text(f"features[{index}].id", feature.get("id"))
        environments = an_object(f"{key}.environments", feature.get("environments"))
        name = options.source_environment or (next(iter(environments)) if len(environments) == 1 else None)
        if name is None or name not in environments:
            problem = "is not given" if name is None else f"{name!r} is not an environment of {key}"
            raise Invalid("source environment", problem, f"one of {', '.join(sorted(environments))}")
        here = an_object(f"{key}.environments.{name}", environments[name])
        about = {"description": feature.get("description")}
        # An archived feature, or one that another one switches off, is left out of what SDKs get.
        if not here.get("enabled") or not here.get("definition"):
            yield key, {**about, "isOff": True}
            continue
        try:
            yield key, {**an_object(f"{key}.definition", json.loads(here["definition"])), **about}
        except (TypeError, ValueError):
            raise Invalid(
                f"{key}.environments.{name}.definition", "is no JSON", "what SDKs get of the feature"
            ) from None


class _Feature:
    def __init__(self, key: str, feature: Mapping[str, Any], conditions: Conditions, hash_attribute: str) -> None:
        self._feature = feature
        self._conditions = conditions
        self._hash_attribute = hash_attribute
        values = _values(feature)
        self._values = values
        self._names = named_variants(values)
        self._draft = Draft(
            key=key,
            variants=dict(zip(self._names, values, strict=True)),
            default_variant=self._names[0],
            description=str(feature.get("description") or ""),
        )

    def draft(self) -> Draft:
        """The feature, with whatever of it means the same here."""
        draft = self._draft
        if self._feature.get("isOff"):
            draft.lose(
                "enabled",
                "it is off or archived at GrowthBook, and what is off has no rules here",
                "write its rules when it is to be on",
            )
            return draft
        rules = objects("rules", self._feature.get("rules"))
        steps = sequence.Sequence(draft)
        for index, rule in enumerate(rules):
            place = f"rule {index + 1}"
            with steps.step(place) as open_:
                if open_:
                    self._rule(rule, place, is_last=index + 1 == len(rules))
        if draft.splits:
            draft.mind(
                "percentages",
                "the shares are the same, the people in them are not: GrowthBook hashes otherwise",
                "let nobody depend on having been in or out",
            )
        return draft

    def _rule(self, rule: Mapping[str, Any], place: str, *, is_last: bool) -> None:
        for name in _ELSEWHERE:
            if rule.get(name):
                raise CannotCarry(
                    f"{place}, {name}", "takes people by a part of their hash", "split them by percentages"
                )
        if rule.get("parentConditions"):
            self._parents(rule, place)
        is_experiment = bool(rule.get("variations"))
        if not is_experiment and "force" not in rule:
            return
        condition = self._conditions.read(rule.get("condition") or {}, place)
        shares = self._experiment(rule, place) if is_experiment else {self._name(rule["force"]): Fraction(1)}
        coverage = _fraction(rule.get("coverage", 1), place)
        if coverage < 1:
            if not is_last:
                raise CannotCarry(
                    f"{place}, coverage",
                    "lets who is outside of the percentage go on to the next rule, and here a split has the last word",
                    "put the percentage last, or say in the split what the others get",
                )
            shares = {name: share * coverage for name, share in shares.items()}
            shares[self._draft.default_variant] = shares.get(self._draft.default_variant, Fraction(0)) + 1 - coverage
        if is_experiment:
            self._draft.mind(
                f"{place}, experiment", "the shares are carried over, the analysis is not", "begin a rollout with gates"
            )
        attribute = str(rule.get("hashAttribute") or "id")
        by = None if attribute == self._hash_attribute else attribute
        serve = self._draft.split(shares, by=by, place=place)
        self._draft.rule(rule.get("name") or None, condition, serve)

    def _experiment(self, rule: Mapping[str, Any], place: str) -> dict[str, Fraction]:
        values = a_list(f"{place}.variations", rule.get("variations"))
        weights = [_fraction(each, place) for each in a_list("weights", rule.get("weights"))]
        # Weights that do not fit are ignored there.
        if len(weights) != len(values) or not Fraction(99, 100) <= sum(weights) <= Fraction(101, 100):
            weights = [Fraction(1, len(values))] * len(values)
        shares: dict[str, Fraction] = {}
        for value, weight in zip(values, weights, strict=True):
            name = self._name(value)
            shares[name] = shares.get(name, Fraction(0)) + weight / sum(weights)
        return shares

    def _parents(self, rule: Mapping[str, Any], place: str) -> None:
        for parent in objects("parentConditions", rule["parentConditions"]):
            where = f"{place}, prerequisite {parent.get('id')}"
            wanted = parent.get("condition")
            if not parent.get("gate") or self._draft.rules:
                raise CannotCarry(where, "is asked by one rule, and here by the whole flag", "make it the whole flag's")
            if (
                not isinstance(wanted, Mapping)
                or set(wanted) != {"value"}
                or isinstance(wanted["value"], (Mapping, list))
            ):
                raise CannotCarry(where, "asks more of the other feature than one value", "name the variants by hand")
            self._draft.mind(
                where, "unmet, apps get the default variant here, and null there", "look whether that is right"
            )
            self._draft.needs.append(
                Need(flag=a_text(where, parent.get("id")), variants=_serving(wanted["value"], where))
            )

    def _name(self, value: Any) -> str:
        return self._names[_index(self._values, value)]


def _values(feature: Mapping[str, Any]) -> list[Any]:
    """Every value that it can have, its default first."""
    values = [feature.get("defaultValue")]
    if feature.get("isOff"):
        return [False, True]
    for rule in objects("rules", feature.get("rules")):
        values += [rule["force"]] if "force" in rule else []
        values += a_list("variations", rule.get("variations"))
    if len(values) == 1 or all(isinstance(each, bool) for each in values):
        first = values[0]
        values += [not first] if isinstance(first, bool) else []
    kept: list[Any] = []
    for value in values:
        if _index(kept, value) < 0:
            kept.append(value)
    return kept


def _index(values: Sequence[Any], value: Any) -> int:
    """Where it is; true is no 1."""
    return next((at for at, each in enumerate(values) if type(each) is type(value) and each == value), -1)


def _serving(value: Any, place: str) -> Any:
    def variants(parent: Draft) -> list[str]:
        names = [name for name, each in parent.variants.items() if type(each) is type(value) and each == value]
        if not names:
            raise CannotCarry(place, f"wants {value!r}, which {parent.key} never is", "mend it at the source")
        return names

    return variants


def _fraction(value: Any, place: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise CannotCarry(place, f"has the share {value!r}", "write a number from 0 to 1")
    return Fraction(str(value))
