"""What a newcomer can do to the running demo, by key or from a second terminal; each answers with one sentence."""

from enum import StrEnum
from typing import Final

import requests

from wavegate_controller.demo.features import ERROR_SHARE, FEATURES, LATENCY_SECONDS, Feature
from wavegate_controller.demo.prometheus import PrometheusError
from wavegate_controller.demo.stack import ACTOR, Stack
from wavegate_controller.domain.rollout import State
from wavegate_controller.domain.transitions import Event
from wavegate_controller.remote import RemoteProblem, RemoteUnreachable

#: What goes wrong when something is tried that cannot be done now; its text is the answer.
_REFUSALS: Final = (RemoteProblem, RemoteUnreachable, PrometheusError, requests.RequestException)
_COMMENT: Final = "asked for in the demo"


class Fault(StrEnum):
    """What can be made to go wrong."""

    #: The candidate fails often.
    ERRORS = "errors"
    #: The candidate takes long.
    LATENCY = "latency"
    #: Prometheus is stopped, for all features.
    OUTAGE = "outage"


_SAID: Final = {
    Fault.ERRORS: f"fails {ERROR_SHARE * 100:g} % of the time",
    Fault.LATENCY: f"is {LATENCY_SECONDS:g} s slower",
}


class Refused(Exception):
    """It cannot be done now; `str()` says why."""


class Actions:
    """Acts on one stack. Use it from the main thread, where Prometheus must be started.

    Attributes:
        faults: what is wrong now with each feature's candidate.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.faults: dict[str, frozenset[Fault]] = {feature.key: frozenset() for feature in FEATURES}

    @property
    def outage(self) -> bool:
        """Whether Prometheus is stopped."""
        return not self._stack.prometheus.running

    def wrong(self, feature: Feature) -> str:
        """What the candidate does that it should not, in words; empty for nothing."""
        return " and ".join(said for fault, said in _SAID.items() if fault in self.faults[feature.key])

    def inject(self, fault: Fault, feature: Feature, *, on: bool = True) -> str:
        """Make something go wrong, or right again.

        Raises:
            Refused: an app or Prometheus does not do as told.
        """
        try:
            if fault is Fault.OUTAGE:
                return self._set_outage(on=on)
            faults = self.faults[feature.key]
            return self._set_faults(feature, faults | {fault} if on else faults - {fault})
        except _REFUSALS as error:
            raise Refused(str(error)) from None

    def heal(self, feature: Feature) -> str:
        """Let the candidate be as good as stable again.

        Raises:
            Refused: an app does not do as told.
        """
        try:
            return self._set_faults(feature, frozenset())
        except _REFUSALS as error:
            raise Refused(str(error)) from None

    def ask(self, feature: Feature, event: Event) -> str:
        """Ask the controller for an event of the feature's rollout.

        Raises:
            Refused: the rollout's state does not take it.
        """
        try:
            rollout = self._stack.controller.act(feature.key, event, actor=ACTOR, comment=_COMMENT)
        except _REFUSALS as error:
            raise Refused(str(error)) from None
        return f"{event.replace('_', ' ')} {rollout['id']}: {rollout['state'].replace('_', ' ')}"

    def start_again(self, feature: Feature) -> str:
        """A new rollout of the feature.

        Raises:
            Refused: the last one has not ended.
        """
        try:
            last = self._stack.controller.rollout(feature.key)
            if last["state"] == State.COMPLETED:
                # What completed is what everybody has; it takes a way back before it can be rolled out again.
                self._stack.controller.act(last["id"], Event.ROLL_BACK, actor=ACTOR, comment=_COMMENT)
            rollout = self._stack.start_rollout(feature)
        except _REFUSALS as error:
            raise Refused(str(error)) from None
        broken = " (its candidate is still broken: h heals it)" if self.faults[feature.key] else ""
        return f"{rollout['id']} has started{broken}"

    def _set_outage(self, *, on: bool) -> str:
        if on:
            self._stack.prometheus.stop()
            return "Prometheus is stopped: nothing can be measured, so nothing moves"
        self._stack.prometheus.start()
        return "Prometheus runs; it scrapes again after 5 s"

    def _set_faults(self, feature: Feature, faults: frozenset[Fault]) -> str:
        self._stack.set_faults(
            feature,
            error_share=ERROR_SHARE if Fault.ERRORS in faults else 0.0,
            latency=LATENCY_SECONDS if Fault.LATENCY in faults else 0.0,
        )
        self.faults[feature.key] = faults
        return f"{feature.key}: from now on the candidate {self.wrong(feature) or 'is as good as stable'}"
