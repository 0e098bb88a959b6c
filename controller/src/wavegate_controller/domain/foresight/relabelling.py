"""Which users of the past play the candidate's part, where there was no candidate."""

from collections.abc import Callable, Mapping
from typing import Final

from wavegate_controller.domain.errors import Invalid

#: Labels of a series to those that it is replayed with; None where it plays no part.
Relabel = Callable[[Mapping[str, str]], Mapping[str, str] | None]


#: What the users are called that stable's part is left to. Queries for the candidate then ask for what really was.
OTHERS = "(the others)"


#: Ways to halve sixteen cohorts that have half of each half in common, and no more.
HALVES: Final = 4


def by_cohorts(variant: str, *, half: int = 0) -> Relabel:
    """Half of a variant's users, told apart by their cohorts: nobody did anything to them, so what differs is chance.

    Sixteen cohorts are eight in each part, which is enough for a variance.

    Args:
        variant: whose users.
        half: which bit of the cohort's number tells the parts apart, of `HALVES`.
    """

    def relabel(labels: Mapping[str, str]) -> Mapping[str, str] | None:
        if labels.get("variant") != variant:
            return None
        cohort = labels.get("cohort", "")
        if not cohort.isdecimal():
            return None if cohort else labels
        number = int(cohort)
        rest = number >> half + 1 << half | number & (1 << half) - 1
        return {**labels, "variant": OTHERS if number >> half & 1 else variant, "cohort": str(rest)}

    return relabel


def by_label(text: str, variant: str) -> Relabel:
    """Any label that tells two groups of a variant's users apart: LABEL=CANDIDATE/STABLE, such as version=2.1/2.0.

    Raises:
        Invalid: it is not given like that.
    """
    label, _, values = text.partition("=")
    theirs, _, others = values.partition("/")
    if not (label and theirs and others) or theirs == others:
        raise Invalid("split", f"{text!r} tells no two groups apart", "LABEL=CANDIDATE/STABLE, such as version=2.1/2.0")

    def relabel(labels: Mapping[str, str]) -> Mapping[str, str] | None:
        if labels.get("variant", variant) != variant:
            return None
        part = {theirs: variant, others: OTHERS}.get(labels.get(label, ""))
        return None if part is None else {**labels, "variant": part}

    return relabel
