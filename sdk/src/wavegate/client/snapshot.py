"""A ruleset in the form a client asks it in: every answer carries its counters."""

from typing import Any, Final, TypeAlias, TypeVar

from wavegate.client.counters import TARGETED, Arm, Cell, Counters
from wavegate.evaluation import CompiledFlag, EvaluationDetails, Flag, Pilot, Reason, Ruleset, compile_flag
from wavegate.evaluation.compiling import Present
from wavegate.evaluation.matching import Attributes
from wavegate.evaluation.splitting import Choose, constant

T = TypeVar("T")

#: What drew the person's variant by lot, from everybody: only between those can variants be compared.
_DRAWN: Final = frozenset(("rollout", "rollout.holdout"))
#: Begins of what picked the person for who they are.
_PICKED: Final = ("rules", "allow", "deny", "pilot", "prerequisites")


class Answer:
    """One answer a flag can give, with the cells to count it in."""

    __slots__ = ("_counters", "cell", "details", "enabled", "error_cell", "is_drawn", "is_picked")

    def __init__(self, details: EvaluationDetails, counters: Counters) -> None:
        key, variant = details.flag_key, details.variant
        self._counters = counters
        self.details = details
        self.cell: Cell = counters.evaluations(key, variant, details.reason)
        #: For answers that turn out to be of another type than was asked for.
        self.error_cell: Cell = counters.evaluations(key, None, Reason.ERROR)
        self.enabled: bool = details.value is True
        decided_by = details.decided_by or ""
        self.is_drawn = decided_by in _DRAWN
        self.is_picked = decided_by.startswith(_PICKED)

    def arm(self) -> Arm | None:
        """Where its outcomes count; None when the answer is the caller's default, which is nobody's variant."""
        variant = self.details.variant
        return None if variant is None else self._counters.arm(self.details.flag_key, variant)

    def cohort(self, drawn: int) -> int:
        """Which of the arm's cohorts the outcome belongs to, of a person whom the flag's hash puts in `drawn`."""
        return TARGETED if self.is_picked else drawn


#: An answer as far as `is_enabled` goes: where it counts, and what it is.
Switch: TypeAlias = tuple[Cell, bool]


def switch(details: EvaluationDetails, counters: Counters) -> Switch:
    """The answer to who takes nothing but booleans: anything else is an error, and not enabled."""
    variant, reason = (details.variant, details.reason) if type(details.value) is bool else (None, Reason.ERROR)
    return counters.evaluations(details.flag_key, variant, reason), details.value is True


class Snapshot:
    """One ruleset for as long as it is in use.

    A ruleset is checked whole when it arrives; each flag is compiled when it is first asked for. So a
    new ruleset is in effect at once, however many flags it has, and those nobody asks cost nothing.

    `choose` has the flags asked so far, and `switches` those that `is_enabled` was asked, which is asked most
    and needs least. For others, and for what is no flag, see `flag` and `flip`.
    """

    def __init__(self, ruleset: Ruleset | None, counters: Counters, *, stale: bool = False) -> None:
        self.ruleset = ruleset
        self.is_stale = stale
        self.choose: dict[Any, Choose[Answer]] = {}
        self.switches: dict[Any, Choose[Switch]] = {}
        self._flags: dict[str, CompiledFlag[Answer]] = {}
        self._counters = counters

    def flag(self, key: str) -> CompiledFlag[Answer]:
        """The flag, compiled.

        Raises:
            KeyError: there is none.
        """
        compiled = self._flags.get(key)
        if compiled is None:
            compiled = self._compile(key)
        return compiled

    def flip(self, key: str, targeting_key: Any, attributes: Attributes) -> Switch:
        """What `is_enabled` is to answer and count for a flag that it is asked for the first time.

        Raises:
            KeyError: there is no such flag.
        """
        choose = self.switches[key] = self.asking(key, lambda details: switch(details, self._counters))
        return choose(targeting_key, attributes)

    def asking(self, key: str, present: Present[T]) -> Choose[T]:
        """The flag for whoever makes something of their own of its answers.

        Raises:
            KeyError: there is no such flag.
        """
        return self._in_use(compile_flag(self._declared(key), present, self.ruleset))

    def complete(self) -> None:
        """Compiles what was not asked for yet, so that the counts of all answers exist."""
        if self.ruleset is not None and len(self._flags) < len(self.ruleset.flags):
            for key in self.ruleset.flags:
                self.flag(key)

    def _compile(self, key: str) -> CompiledFlag[Answer]:
        flag = compile_flag(self._declared(key), self._present, self.ruleset)
        self.choose[key] = self._in_use(flag)
        self._flags[key] = flag
        return flag

    def _declared(self, key: str) -> Flag:
        if self.ruleset is None:
            raise KeyError(key)
        flag = self.ruleset.flags[key]
        if flag.rollout is not None:
            self._counters.expect(key, flag.variants, flag.rollout)
        self._counters.name_people(key, flag.variants, _hashes(flag.pilot))
        return flag

    def _in_use(self, flag: CompiledFlag[T]) -> Choose[T]:
        return constant(flag.when_stale) if self.is_stale and flag.when_stale is not None else flag.choose

    def _present(self, details: EvaluationDetails) -> Answer:
        return Answer(details, self._counters)


def _hashes(pilot: Pilot | None) -> dict[str, str]:
    """Who takes part, by what they are called in metrics."""
    if pilot is None or pilot.usage_key is None:
        return {}
    import hmac  # noqa: PLC0415 # few have a pilot

    key, people = pilot.usage_key.encode(), set(pilot.keys) - set(pilot.opted_out)
    return {each: hmac.digest(key, each.encode(errors="surrogatepass"), "sha256").hex()[:16] for each in people}
