"""flagd's conditions: JSON Logic with its own operations."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from wavegate_controller.documents.importing import asking
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.draft import plain_name
from wavegate_controller.documents.importing.notes import CannotCarry

_NUMBERS: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VERSIONS: Final = frozenset({"=", "<", "<=", ">", ">="})
_PAIR: Final = 2


class Logics:
    """Reads conditions of one document; what it names of `$evaluators` becomes a segment."""

    def __init__(self, evaluators: Mapping[str, Any]) -> None:
        self._evaluators = evaluators
        self.segments: dict[str, ConditionDocument] = {}

    def attribute(self, logic: Any, place: str) -> str:
        """The attribute that a `var` looks for."""
        name = logic.get("var") if isinstance(logic, Mapping) else None
        if isinstance(name, list) and len(name) == 1:
            name = name[0]
        if not isinstance(name, str) or not name or name.startswith("$flagd"):
            raise CannotCarry(place, f"asks of {str(logic)[:60]}, which is no attribute", "pass an attribute for it")
        return asking.KEY if name == "targetingKey" else name.replace(".", "_")

    def condition(self, logic: Any, place: str) -> ConditionDocument:
        """A condition.

        Raises:
            CannotCarry: something in it has no counterpart.
        """
        if isinstance(logic, bool):
            return asking.everybody() if logic else asking.nobody()
        if not isinstance(logic, Mapping) or len(logic) != 1:
            raise CannotCarry(place, f"asks {str(logic)[:60]}, which is no condition", "write a comparison")
        operation, given = next(iter(logic.items()))
        arguments = given if isinstance(given, list) else [given]
        if operation == "$ref":
            return self._named(given, place)
        if operation in ("and", "or"):
            inner = [self.condition(each, place) for each in arguments]
            return asking.all_of(inner) if operation == "and" else asking.any_of(inner)
        if operation == "!" and len(arguments) == 1:
            return asking.negated(self.condition(arguments[0], place))
        if operation == "!!" and len(arguments) == 1:
            return self.condition(arguments[0], place)
        if operation == "var":
            return asking.negated(_is_nothing(self.attribute(logic, place)))
        return self._comparison(operation, arguments, place)

    def _named(self, reference: Any, place: str) -> ConditionDocument:
        name = plain_name(str(reference))
        if reference not in self._evaluators or not name:
            raise CannotCarry(place, f"names the evaluator {reference}, which there is not", "mend it at the source")
        if name not in self.segments:
            self.segments[name] = self.condition(self._evaluators[reference], f"evaluator {reference}")
        return {"segment": name}

    def _comparison(self, operation: str, arguments: list[Any], place: str) -> ConditionDocument:
        if operation in ("==", "===", "!=", "!==") and len(arguments) == _PAIR:
            asked = self._equal(arguments, place)
            return asking.negated(asked) if operation.startswith("!") else asked
        if operation == "in" and len(arguments) == _PAIR:
            return self._in(arguments[0], arguments[1], place)
        if operation in ("starts_with", "ends_with") and len(arguments) == _PAIR:
            return asking.compare(self.attribute(arguments[0], place), operation, arguments[1], place)
        if operation in _NUMBERS:
            return self._number(operation, arguments, place)
        if operation == "sem_ver" and len(arguments) == _PAIR + 1:
            return self._version(arguments, place)
        raise CannotCarry(place, f"asks {operation}, which has no counterpart", "say it with another operation")

    def _equal(self, arguments: list[Any], place: str) -> ConditionDocument:
        variable, value = sorted(arguments, key=lambda each: not isinstance(each, Mapping))
        attribute = self.attribute(variable, place)
        if value is None:
            return asking.negated(asking.exists(attribute))
        return asking.compare(attribute, "equals", value, place)

    def _in(self, first: Any, second: Any, place: str) -> ConditionDocument:
        if isinstance(second, list):
            return asking.among(self.attribute(first, place), second)
        return asking.compare(self.attribute(second, place), "contains", first, place)

    def _number(self, operation: str, arguments: list[Any], place: str) -> ConditionDocument:
        """One comparison, or a number between two."""
        asked = []
        for left, right in pairwise(arguments):
            if isinstance(left, Mapping):
                asked.append(asking.compare(self.attribute(left, place), operation, right, place))
            else:
                asked.append(asking.compare(self.attribute(right, place), _NUMBERS[operation], left, place))
        return asking.all_of(asked)

    def _version(self, arguments: list[Any], place: str) -> ConditionDocument:
        variable, sign, wanted = arguments
        attribute, version = self.attribute(variable, place), asking.version(wanted, place)
        if sign == "!=":
            there = asking.exists(attribute)
            return asking.all_of([there, asking.negated(asking.compare(attribute, "semver=", version, place))])
        if sign in _VERSIONS:
            return asking.compare(attribute, f"semver{sign}", version, place)
        if sign in ("^", "~"):
            return self._range(attribute, sign, version, place)
        raise CannotCarry(place, f"compares versions by {sign}", "say it by < and >=")

    @staticmethod
    def _range(attribute: str, sign: str, version: str, place: str) -> ConditionDocument:
        """Flagd's `^` asks for the same major version, and `~` for the same minor one, too; whichever is newer."""
        major, minor, *_ = (int(part) for part in version.partition("-")[0].split(".") if part.isdigit())
        first = f"{major}.0.0" if sign == "^" else f"{major}.{minor}.0"
        after = f"{major + 1}.0.0" if sign == "^" else f"{major}.{minor + 1}.0"
        return asking.all_of(
            [
                asking.compare(attribute, "semver>=", f"{first}-0", place),
                asking.compare(attribute, "semver<", f"{after}-0", place),
            ]
        )


def _is_nothing(attribute: str) -> ConditionDocument:
    """What JSON Logic takes for no: nothing, and what is empty."""
    missing = asking.negated(asking.exists(attribute))
    return asking.any_of([missing, asking.among(attribute, [""] if attribute == asking.KEY else ["", 0, False])])
