"""Counts that a relay takes on its upstream's behalf, added up here and handed on by the SDK's own poster.

What many apps post becomes one document every few seconds, which is sent under one number until it is answered: counted
once, whatever is lost on the way. What was taken and not yet handed on is lost with a relay that is killed.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, TypeVar

from wavegate.client.counters import Comment, Counters
from wavegate.evaluation import EvaluationDetails
from wavegate_controller.delivery.counts import is_known
from wavegate_controller.delivery.exposures import Cell, Exposures, is_drawn
from wavegate_controller.documents.counts import ArmDocument, CountsDocument

Number = TypeVar("Number", int, float)

_MOST_INSTANCES: Final = 100_000


class RelayedCounts:
    """Adds to an SDK's counters. In the event loop's thread, like all that counts here."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._last: OrderedDict[str, int] = OrderedDict()

    def take(
        self,
        document: CountsDocument,
        *,
        environment: str,  # noqa: ARG002 # a relay has one
        variants: Mapping[str, frozenset[str]],
    ) -> bool:
        """As a controller takes it: once, and only what its ruleset knows."""
        if document.sequence <= self._last.get(document.instance, 0):
            return False
        self._last[document.instance] = document.sequence
        self._last.move_to_end(document.instance)
        if len(self._last) > _MOST_INSTANCES:
            self._last.popitem(last=False)
        for answers in document.evaluations:
            if is_known(answers, variants):
                self._counters.evaluations(answers.flag, answers.variant, answers.reason)[0] += answers.count
        for arm in document.arms:
            if arm.variant in variants.get(arm.flag, ()):
                self._add(arm)
        for said in document.comments:
            if said.variant in variants.get(said.flag, ()):
                comment = Comment(flag=said.flag, variant=said.variant, thumbs_up=said.thumbs_up, comment=said.comment)
                self._counters.comments.append(comment)
        return True

    def _add(self, document: ArmDocument) -> None:
        arm = self._counters.arm(document.flag, document.variant)
        # The requests first, as in the SDK, so that no document tells of more bad than all.
        _add(arm.requests, document.requests)
        for kind, counts in document.bad.items():
            _add(arm.bad[kind], counts)
        for value, amounts in document.values.items():
            _add(arm.values[value], amounts)
        _add(arm.buckets, document.duration_buckets)
        _add(arm.seconds, [document.duration_sum])
        _add(arm.exposed, [document.exposed_users])


def _add(cells: list[Number], counts: list[Number]) -> None:
    for place, count in enumerate(counts):
        cells[place] += count


class RelayedExposures(Exposures):
    """Counts the relay's own answers with what it relays, in the same cells."""

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters

    def evaluations(self, flag: str, variant: str | None, reason: str) -> Cell:
        """As an SDK counts it."""
        return self._counters.evaluations(flag, variant, reason)

    def exposed(self, answer: EvaluationDetails) -> Cell | None:
        """As an SDK counts them."""
        if answer.variant is None or not is_drawn(answer):
            return None
        return self._counters.arm(answer.flag_key, answer.variant).exposed
