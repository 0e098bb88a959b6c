"""A ruleset in the form a client asks it in: compiled, every answer carrying its counters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from wavegate.evaluation import CompiledFlag, EvaluationDetails, Reason, Ruleset, compile_flags

if TYPE_CHECKING:
    from wavegate.client.metrics import Arm, Cell, Counters


class Answer:
    """One answer a flag can give, with the cells to count it in.

    `arm` is None exactly when the answer is the caller's default, which is nobody's variant.
    """

    __slots__ = ("arm", "cell", "details", "enabled", "enabled_cell", "error_cell")

    def __init__(self, details: EvaluationDetails, counters: "Counters") -> None:
        key, variant = details.flag_key, details.variant
        is_boolean = type(details.value) is bool
        self.details = details
        self.cell: Cell = counters.evaluations(key, variant, details.reason)
        #: For answers that turn out to be of another type than was asked for.
        self.error_cell: Cell = counters.evaluations(key, None, Reason.ERROR)
        self.enabled: bool = is_boolean and details.value
        self.enabled_cell: Cell = self.cell if is_boolean else self.error_cell
        self.arm: Arm | None = None if variant is None else counters.arm(key, variant)


Snapshot: TypeAlias = Mapping[str, CompiledFlag[Answer]]


def take_snapshot(ruleset: Ruleset, counters: "Counters") -> Snapshot:
    """Compiles a ruleset and makes every series of its flags exist."""
    for flag in ruleset.flags.values():
        for variant in flag.variants:
            counters.arm(flag.key, variant)
    return compile_flags(ruleset, lambda details: Answer(details, counters))
