"""GrowthBook's conditions: MongoDB's form over attributes."""

from collections.abc import Mapping
from typing import Any, Final

from wavegate_controller.documents.importing import asking
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.notes import CannotCarry

_NUMBERS: Final = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_VERSIONS: Final = {
    "$veq": "semver=",
    "$vlt": "semver<",
    "$vlte": "semver<=",
    "$vgt": "semver>",
    "$vgte": "semver>=",
}
_OPPOSITES: Final = {
    "$ne": "$eq",
    "$nin": "$in",
    "$nini": "$ini",
    "$vne": "$veq",
    "$notRegex": "$regex",
    "$notInGroup": "$inGroup",
}
_DEEPEST: Final = 16


class Conditions:
    """Reads conditions of one document."""

    def __init__(self, key: str, groups: Mapping[str, Any]) -> None:
        self._key = key
        self._groups = groups

    def read(self, given: Any, place: str, depth: int = 0) -> ConditionDocument:
        """All that it asks.

        Raises:
            CannotCarry: something in it has no counterpart.
        """
        if not isinstance(given, Mapping):
            raise CannotCarry(place, "has a condition that is no object", "mend it at the source")
        if depth > _DEEPEST:
            raise CannotCarry(place, "has a condition that is nested too deeply", "flatten it")
        return asking.all_of([self._part(name, value, place, depth) for name, value in given.items()])

    def _part(self, name: str, value: Any, place: str, depth: int) -> ConditionDocument:
        if name in ("$and", "$or", "$nor"):
            inner = [self.read(each, place, depth + 1) for each in value]
            if name == "$and":
                return asking.all_of(inner)
            # There, none of no conditions is met by everybody.
            either = asking.any_of(inner) if inner else asking.everybody()
            return asking.negated(either) if name == "$nor" else either
        if name == "$not":
            return asking.negated(self.read(value, place, depth + 1))
        if name == "$savedGroup":
            return self._typed_group(value, place, depth)
        if name.startswith("$"):
            raise CannotCarry(place, f"asks {name}, which has no counterpart", "say it with another operator")
        return self._asked(self._attribute(name), value, place, depth)

    def _attribute(self, name: str) -> str:
        return asking.KEY if name == self._key else name.replace(".", "_")

    def _asked(self, attribute: str, value: Any, place: str, depth: int) -> ConditionDocument:
        if value is None:
            return asking.negated(asking.exists(attribute))
        if isinstance(value, list):
            raise CannotCarry(place, f"compares {attribute} with a whole list", "ask for its members")
        if not isinstance(value, Mapping):
            return asking.compare(attribute, "equals", value, place)
        if not all(str(each).startswith("$") for each in value):
            raise CannotCarry(place, f"compares {attribute} with an object", "pass its members as attributes")
        return asking.all_of([self._operator(attribute, each, wanted, place, depth) for each, wanted in value.items()])

    def _operator(self, attribute: str, operator: str, wanted: Any, place: str, depth: int) -> ConditionDocument:
        if operator in _OPPOSITES:
            return asking.negated(self._operator(attribute, _OPPOSITES[operator], wanted, place, depth))
        if operator in _NUMBERS:
            return asking.compare(attribute, _NUMBERS[operator], wanted, place)
        if operator in _VERSIONS:
            return asking.compare(attribute, _VERSIONS[operator], asking.version(wanted, place), place)
        match operator:
            case "$eq":
                return self._asked(attribute, wanted, place, depth)
            case "$not":
                return asking.negated(self._asked(attribute, wanted, place, depth))
            case "$exists":
                there = asking.exists(attribute)
                return there if wanted else asking.negated(there)
            case "$regex":
                return asking.compare(attribute, "matches", wanted, place)
            case "$in":
                return self._among(attribute, wanted, place)
            case "$inGroup":
                return self._among(attribute, self._members(wanted, place), place)
            case _:
                return _of_lists(attribute, operator, wanted, place)

    @staticmethod
    def _among(attribute: str, wanted: Any, place: str) -> ConditionDocument:
        if not isinstance(wanted, list) or not all(isinstance(each, (str, int, float)) for each in wanted):
            raise CannotCarry(
                place, f"looks for {attribute} in what is no list of texts or numbers", "write such a list"
            )
        return asking.among(attribute, wanted)

    def _members(self, group: Any, place: str) -> Any:
        found = self._groups.get(group)
        members = found.get("values") if isinstance(found, Mapping) else found
        if not isinstance(members, list):
            raise CannotCarry(
                place, f"names the saved group {group}, whose members the document does not have", "make it a segment"
            )
        return members

    def _typed_group(self, reference: Any, place: str, depth: int) -> ConditionDocument:
        group = self._groups.get(str(reference.get("id"))) if isinstance(reference, Mapping) else None
        if not isinstance(group, Mapping) or group.get("type") not in ("list", "condition"):
            raise CannotCarry(place, "names a saved group that the document does not have", "make it a segment")
        if group["type"] == "condition":
            return self.read(group.get("condition"), place, depth + 1)
        attribute = reference.get("attributeKey", group.get("attributeKey"))
        return self._among(self._attribute(str(attribute)), group.get("values"), place)


def _of_lists(attribute: str, operator: str, wanted: Any, place: str) -> ConditionDocument:
    """What is asked of several values."""
    members = next(iter(wanted.values())) if isinstance(wanted, Mapping) and set(wanted) in ({"$eq"}, {"$in"}) else None
    if operator == "$elemMatch" and members is not None:
        return asking.compare(attribute, "contains", members, place)
    if operator == "$all" and isinstance(wanted, list) and wanted:
        return asking.all_of([asking.compare(attribute, "contains", each, place) for each in wanted])
    if operator == "$ini" and isinstance(wanted, list):
        return asking.any_of([_in_any_case(attribute, each, place) for each in wanted])
    raise CannotCarry(place, f"asks {operator} of {attribute}, which has no counterpart", "pass an attribute for it")


def _in_any_case(attribute: str, value: Any, place: str) -> ConditionDocument:
    if isinstance(value, str):
        return asking.text_in_any_case(attribute, "equals", value, place)
    return asking.compare(attribute, "equals", value, place)
