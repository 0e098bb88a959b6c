"""flagd: its flag definitions. Percentages keep their people, where the flag's generation is that of the evaluators."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from wavegate.evaluation import Generation
from wavegate_controller.documents.importing import asking, sequence
from wavegate_controller.documents.importing.asking import ConditionDocument
from wavegate_controller.documents.importing.draft import FULL, Draft, plain_name
from wavegate_controller.documents.importing.logic import Logics
from wavegate_controller.documents.importing.notes import CannotCarry
from wavegate_controller.documents.importing.reading import an_object
from wavegate_controller.documents.importing.source import Found, Options
from wavegate_controller.domain.errors import Invalid

_FLAG_KEY: Final = {"var": "$flagd.flagKey"}
_TARGETING_KEY: Final = {"var": "targetingKey"}
_PAIR: Final = 2


def read(document: Mapping[str, Any], options: Options) -> Found:
    """All flags of the document.

    Raises:
        Invalid: it is no document of flagd's.
    """
    if "flags" not in document:
        raise Invalid("flags", "is missing", "flagd's flag definitions")
    flags = document["flags"]
    listed = {str(each.get("key")): each for each in flags} if isinstance(flags, list) else an_object("flags", flags)
    logics = Logics(an_object("$evaluators", document.get("$evaluators") or {}))
    found = Found(segments=logics.segments)
    for key, flag in listed.items():
        found.drafts.append(_Flag(str(key), an_object(f"flags.{key}", flag), logics, options).draft())
    return found


class _Flag:
    def __init__(self, key: str, flag: Mapping[str, Any], logics: Logics, options: Options) -> None:
        variants = an_object(f"flags.{key}.variants", flag.get("variants"))
        self._flag = flag
        self._logics = logics
        self._names = {str(name): plain_name(str(name)) or f"variant-{at + 1}" for at, name in enumerate(variants)}
        if len(set(self._names.values())) != len(variants):
            raise Invalid(f"flags.{key}.variants", "has names that differ in case only", "names that differ otherwise")
        default = flag.get("defaultVariant")
        metadata = flag.get("metadata") or {}
        generation = metadata.get("generation") if isinstance(metadata, Mapping) else None
        generation = Generation(generation) if generation in set(Generation) else options.generation
        self._draft = Draft(
            key=key,
            variants={self._names[str(name)]: value for name, value in variants.items()},
            default_variant=self._names.get(str(default), next(iter(self._names.values()), "")),
            description=str(metadata.get("description") or "") if isinstance(metadata, Mapping) else "",
            generation=generation.value,
        )
        self._has_default = default is not None

    def draft(self) -> Draft:
        """The flag, with whatever of it means the same here."""
        draft = self._draft
        if not self._has_default:
            draft.mind(
                "defaultVariant",
                f"it has none, so apps get the default in their code; here they get {draft.default_variant}",
                "change default_variant if that is not right",
            )
        for name, plain in self._names.items():
            if name != plain:
                draft.mind("variants", f"{name} is {plain} here", "look for it by that name in metrics")
        if self._flag.get("state") == "DISABLED":
            draft.lose(
                "state", "it is off at flagd, and what is off has no rules here", "write its rules when it is to be on"
            )
            return draft
        targeting = self._flag.get("targeting")
        if targeting:
            self._branches(targeting, [], sequence.Sequence(draft), "targeting")
        if draft.splits:
            draft.mind(
                "fractional",
                f"people stay in their variants, if the evaluators in use are of generation {draft.generation}",
                "see docs/flagd.md, and import with --generation v2 if they are of the other one",
            )
        else:
            draft.generation = None
        return draft

    def _branches(self, logic: Any, met: Sequence[ConditionDocument], steps: sequence.Sequence, place: str) -> None:
        """Write what is served to whom as rules, from the first branch to the last."""
        if isinstance(logic, Mapping) and set(logic) == {"if"} and isinstance(logic["if"], list):
            parts = logic["if"]
            for at in range(0, len(parts) - 1, _PAIR):
                where = f"{place}, branch {at // _PAIR + 1}"
                with steps.step(where) as open_:
                    if open_ and parts[at] is not True:
                        asked = [*met, self._logics.condition(parts[at], where)]
                    else:
                        asked = list(met)
                    if open_:
                        self._branches(parts[at + 1], asked, steps, where)
                if parts[at] is True:
                    return
            if len(parts) % _PAIR == 0:
                parts = [*parts, None]
            with steps.step(f"{place}, else") as open_:
                if open_:
                    self._branches(parts[-1], met, steps, f"{place}, else")
            return
        with steps.step(place) as open_:
            if open_:
                self._serve(logic, met, place)

    def _serve(self, logic: Any, met: Sequence[ConditionDocument], place: str) -> None:
        serve = (
            self._fractional(logic["fractional"], place) if _is(logic, "fractional") else self._variant(logic, place)
        )
        if met or serve != self._draft.default_variant:
            self._draft.rule(None, asking.all_of(met), serve)

    def _variant(self, logic: Any, place: str) -> str:
        if logic is None:
            return self._draft.default_variant
        name = ("true" if logic else "false") if isinstance(logic, bool) else logic
        if not isinstance(name, str) or name not in self._names:
            raise CannotCarry(place, f"serves what is no variant by name ({str(logic)[:60]})", "name the variant")
        return self._names[name]

    def _fractional(self, parts: Any, place: str) -> Any:
        if not isinstance(parts, list) or not parts:
            raise CannotCarry(place, "has a fractional without parts", "give it variants with weights")
        is_short = isinstance(parts[0], list)
        by, salt = (None, None) if is_short else self._bucketed_by(parts[0], place)
        weights: dict[str, int] = {}
        for part in parts if is_short else parts[1:]:
            name, weight = (part[0], part[1] if len(part) > 1 else 1) if isinstance(part, list) and part else (None, 1)
            if not isinstance(weight, int) or isinstance(weight, bool) or weight < 0:
                raise CannotCarry(place, f"weighs a variant by {weight!r}", "write a whole number")
            variant = self._variant(name, place)
            weights[variant] = weights.get(variant, 0) + weight
        total = sum(weights.values())
        if not total:
            raise CannotCarry(place, "has weights that are all 0", "give it weights")
        if FULL % total:
            self._draft.mind(place, f"weights of {total} are rounded to thousandths of a percent", "nothing")
        shares = {variant: Fraction(weight, total) for variant, weight in weights.items()}
        return self._draft.split(shares, by=by, salt=salt, place=place)

    def _bucketed_by(self, logic: Any, place: str) -> tuple[str | None, str | None]:
        """The attribute and the salt: flagd hashes one text, and we the same from its two parts."""
        if _is(logic, "cat") and isinstance(logic["cat"], list) and len(logic["cat"]) == _PAIR:
            salt, value = logic["cat"]
            if salt == _FLAG_KEY:
                salt = self._draft.key
            if isinstance(salt, str) and salt and _is(value, "var"):
                by = None if value == _TARGETING_KEY else self._logics.attribute(value, place)
                return by, salt
        raise CannotCarry(
            place,
            "splits people by something else than a salt or the flag key, and one attribute",
            'bucket by {"cat": ["SALT", {"var": "ATTRIBUTE"}]} at the source first, which moves people',
        )


def _is(logic: Any, operation: str) -> bool:
    return isinstance(logic, Mapping) and set(logic) == {operation}
