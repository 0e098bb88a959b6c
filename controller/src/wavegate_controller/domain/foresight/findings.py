"""What is wrong with a gate before it ever judged: the rules of `wavegate lint`, and what each of them says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wavegate_controller.domain.errors import ControllerError, Invalid


class Severity(StrEnum):
    """How bad a finding is."""

    #: The gate cannot do what it is there for.
    ERROR = "error"
    #: The gate works, but probably not as it was meant.
    WARNING = "warning"
    #: Worth a look.
    NOTE = "note"


class Rule(StrEnum):
    """What is looked for."""

    QUERY_REJECTED = "query_rejected"
    SEVERAL_SERIES = "several_series"
    NO_SERIES = "no_series"
    CANDIDATE_UNSEEN = "candidate_unseen"
    LABEL_MISSING = "label_missing"
    DIVISION_BY_ZERO = "division_by_zero"
    RANGE_TOO_SHORT = "range_too_short"
    COUNTER_WITHOUT_RATE = "counter_without_rate"
    RATE_OF_GAUGE = "rate_of_gauge"
    NOT_SCOPED = "not_scoped"
    ALWAYS_CROSSED = "always_crossed"
    NEVER_CROSSED = "never_crossed"
    UNIT_MISMATCH = "unit_mismatch"
    NO_BUCKET_EDGE = "no_bucket_edge"
    ALERT_UNKNOWN = "alert_unknown"
    WEBHOOK_SILENT = "webhook_silent"
    COUNTERS_MISSING = "counters_missing"
    CANNOT_LOOK = "cannot_look"


#: Rule to its severity, why it matters, and how to mend it.
_SAID: Final[Mapping[Rule, tuple[Severity, str, str]]] = {
    Rule.QUERY_REJECTED: (
        Severity.ERROR,
        "the gate can never be measured, so the rollout never moves",
        "mend the query until the server takes it",
    ),
    Rule.SEVERAL_SERIES: (
        Severity.ERROR,
        "a gate wants one number; several cannot be measured, so the rollout never moves",
        "aggregate, such as sum(...), or narrow the selector",
    ),
    Rule.NO_SERIES: (
        Severity.ERROR,
        "a selector that matches nothing gives no number, and the wave is held",
        "correct the name or the matchers, or let the app count before the rollout starts",
    ),
    Rule.CANDIDATE_UNSEEN: (
        Severity.NOTE,
        "nobody has been given the candidate yet; once it is served, a wave without its numbers is held",
        "nothing, if the app counts the candidate as it counts stable",
    ),
    Rule.LABEL_MISSING: (
        Severity.ERROR,
        "a matcher on a label that the metric does not have matches nothing, whatever happens",
        "leave the matcher out, or add the label to the metric",
    ),
    Rule.DIVISION_BY_ZERO: (
        Severity.WARNING,
        "without traffic 0 / 0 is no number, and the wave is held as not_a_number",
        "divide by (... > 0), and let the gate's on_no_data say what silence means",
    ),
    Rule.RANGE_TOO_SHORT: (
        Severity.WARNING,
        "with fewer than four scrapes in the range one lost scrape makes a rate vanish or jump",
        "use a range, or a window, of four scrapes or more",
    ),
    Rule.COUNTER_WITHOUT_RATE: (
        Severity.ERROR,
        "a counter only grows and begins anew with each process: its value says how long that runs",
        "put it into rate(...[{{window}}]) or increase(...)",
    ),
    Rule.RATE_OF_GAUGE: (
        Severity.ERROR,
        "to rate() each fall of a gauge is a restart, so that it adds up the ups and leaves the downs out",
        "use the gauge itself, avg_over_time(...) or deriv(...)",
    ),
    Rule.NOT_SCOPED: (
        Severity.WARNING,
        "a number of all flags or of both variants hides the candidate: at 10 % of the users a doubling is 10 % more",
        'match flag="{{flag}}" and variant="{{candidate}}", or your own labels for them',
    ),
    Rule.ALWAYS_CROSSED: (
        Severity.ERROR,
        "a limit that was crossed all the time, before there was a candidate, rolls back every rollout",
        "set the limit beyond what is usual",
    ),
    Rule.NEVER_CROSSED: (
        Severity.NOTE,
        "a limit that nothing ever came near of may be one that nothing ever crosses",
        "compare it with what was usual, or backtest the plan",
    ),
    Rule.UNIT_MISMATCH: (
        Severity.WARNING,
        "limit and values are a thousandfold apart, as milliseconds and seconds are",
        "state the limit in the metric's unit",
    ),
    Rule.NO_BUCKET_EDGE: (
        Severity.WARNING,
        "between two edges a histogram knows nothing: the value is made up on a straight line, or never there",
        "use an edge of the buckets, or add one",
    ),
    Rule.ALERT_UNKNOWN: (
        Severity.ERROR,
        "an alert that nobody evaluates never fires",
        "correct the name, or load the rule",
    ),
    Rule.WEBHOOK_SILENT: (
        Severity.ERROR,
        "a webhook that does not answer holds every wave",
        "start it, correct the address, or allow it in webhook_urls",
    ),
    Rule.COUNTERS_MISSING: (
        Severity.WARNING,
        "gates that compare are judged by the SDK's counters; without them every wave is held",
        "let the app open a trial for this flag, and let Prometheus scrape it",
    ),
    Rule.CANNOT_LOOK: (
        Severity.WARNING,
        "what could not be looked at may be wrong",
        "see that the metrics server answers, and look again",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a rule found.

    Attributes:
        gate: its name.
        found: what is so.
        is_guess: whether it goes by a name only, as nobody knows better; a guess stops nothing.
        suppressed: the reason why it may be so; None where it may not.
    """

    rule: Rule
    gate: str
    found: str
    is_guess: bool = False
    suppressed: str | None = None

    @property
    def severity(self) -> Severity:
        """As bad as its rule says."""
        severity = _SAID[self.rule][0]
        return Severity.WARNING if self.is_guess and severity is Severity.ERROR else severity

    @property
    def stops(self) -> bool:
        """Whether no rollout starts with it."""
        return self.severity is Severity.ERROR and self.suppressed is None

    @property
    def why(self) -> str:
        """Why it matters."""
        return _SAID[self.rule][1]

    @property
    def mend(self) -> str:
        """What to do."""
        return _SAID[self.rule][2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """That a rule may find something, and why.

    Attributes:
        gate: in which gate; None for all.
    """

    rule: Rule
    gate: str | None
    reason: str


class LintRefused(ControllerError):
    """The gates of a plan cannot do what they are there for; nothing was done.

    Attributes:
        found: rollout, or object of a configuration, to all that was found, warnings and notes, too.
    """

    def __init__(self, what: str, found: Mapping[str, Sequence[Finding]]) -> None:
        told = [
            f"{subject}: {each.gate}: {each.found} ({each.rule}; mend: {each.mend})"
            for subject, findings in found.items()
            for each in findings
            if each.stops
        ]
        super().__init__(
            f"{what}, as lint found {len(told)} error{'' if len(told) == 1 else 's'}. {'. '.join(told)}. "
            "Mend the plan, or allow it there with a reason (allowances), or say why you go on despite lint"
        )
        self.found = found


def hold_to(what: str, found: Mapping[str, Sequence[Finding]], *, despite: str) -> None:
    """Refuse errors that nobody allowed, unless somebody says why not to.

    Raises:
        LintRefused: naming each.
    """
    if not despite and any(each.stops for findings in found.values() for each in findings):
        raise LintRefused(what, found)


def check_allowances(allowed: Sequence[Allowance], gates: Sequence[str]) -> None:
    """Refuse what would allow nothing.

    Raises:
        Invalid: naming the field.
    """
    for index, each in enumerate(allowed):
        if each.gate is not None and each.gate not in gates:
            raise Invalid(f"allowances[{index}].gate", f"{each.gate!r} is no gate", f"one of {', '.join(gates)}")
        if not each.reason.strip():
            raise Invalid(f"allowances[{index}].reason", "is empty", "why it may be so, in a few words")


def suppress(findings: Iterable[Finding], allowed: Sequence[Allowance]) -> tuple[Finding, ...]:
    """The findings, the worst first, those that may be so with the reason."""
    order = list(Severity)

    def reason(finding: Finding) -> str | None:
        return next(
            (each.reason for each in allowed if each.rule is finding.rule and each.gate in (None, finding.gate)), None
        )

    marked = [replace(finding, suppressed=reason(finding)) for finding in findings]
    return tuple(sorted(marked, key=lambda each: (each.suppressed is not None, order.index(each.severity))))
