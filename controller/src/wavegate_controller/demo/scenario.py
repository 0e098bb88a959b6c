"""The demo's story without a person: two rollouts, an outage of Prometheus, a breach; told and checked."""

import time
from collections.abc import Callable
from typing import Any, Final

from wavegate_controller.demo.features import ERROR_SHARE, FEATURES, HARMFUL, HARMLESS, Feature
from wavegate_controller.demo.news import News
from wavegate_controller.demo.stack import Stack
from wavegate_controller.demo.summary import PROOF, Story, summarise
from wavegate_controller.domain.rollout import State
from wavegate_controller.remote import Document, RemoteController

_OUTAGE_SECONDS: Final = 9
#: Longest wait for anything to happen.
_PATIENCE_SECONDS: Final = 40
_POLL_SECONDS: Final = 0.2
#: Decisions to ask for at once.


class Stuck(Exception):
    """The story does not go on; `str()` is the sentence that says where."""


def play(stack: Stack, say: Callable[[str], None]) -> dict[str, Any]:
    """Tell the story on a running stack; the summary says whether it went as it should.

    Args:
        stack: entered, and nothing started on it.
        say: told in one line what happens.
    """
    story = Story(began=stack.clock.now())
    try:
        _Teller(stack, story, say).tell()
    except Stuck as problem:
        story.failures.append(str(problem))
    return summarise(
        story,
        {key: history(stack.controller, rollout) for key, rollout in story.rollouts.items()},
        {key: {app: stack.users.served(app, key) for app in stack.apps} for key in story.rollouts},
        now=stack.clock.now(),
    )


def history(controller: RemoteController, rollout: str) -> list[Document]:
    """All decisions about a rollout, oldest first."""
    return controller.decisions(rollout, limit=None)[::-1]


class _Teller:
    def __init__(self, stack: Stack, story: Story, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._story = story
        self._say = say
        self._news = News()
        self._seen: dict[str, Document] = {}

    def tell(self) -> None:
        for feature in FEATURES:
            self._story.rollouts[feature.key] = self._stack.start_rollout(feature)["id"]
        self._until("both to be past the first wave", lambda: min(map(self._wave, FEATURES)) > 1)
        self._outage()
        before = {feature: self._wave(feature) for feature in FEATURES}
        self._until("both to go on after the outage", lambda: all(self._wave(each) > before[each] for each in FEATURES))
        self._breach()
        self._until(f"{HARMLESS.key} to complete", lambda: self._state(HARMLESS) == State.COMPLETED)

    def _outage(self) -> None:
        self._say(f"stopping Prometheus for {_OUTAGE_SECONDS} s")
        self._stack.prometheus.stop()
        since = self._stack.clock.now()
        end = time.monotonic() + _OUTAGE_SECONDS
        self._until("the outage to end", lambda: time.monotonic() > end)
        self._story.outage = since, self._stack.clock.now()
        self._say("starting Prometheus again")
        self._stack.prometheus.start()

    def _breach(self) -> None:
        self._say(f"{HARMFUL.key}: {ERROR_SHARE * 100:g} % of the candidate's answers are errors from now on")
        self._story.breach_at = self._stack.clock.now()
        self._stack.set_faults(HARMFUL, error_share=ERROR_SHARE)
        self._until(f"{HARMFUL.key} to be rolled back", lambda: self._state(HARMFUL) == State.ROLLED_BACK)
        served = self._stack.users.served
        self._until(
            f"every app to answer without the candidate of {HARMFUL.key}",
            lambda: all(served(app, HARMFUL.key).since_candidate >= PROOF for app in self._stack.apps),
        )
        self._say(f"{HARMFUL.key}: no app serves the candidate any more")

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._seen = {key: self._stack.controller.rollout(rollout) for key, rollout in self._story.rollouts.items()}
            for line in self._news.of(self._seen.values()):
                self._say(line)
            if condition():
                return
            if time.monotonic() > deadline:
                raise Stuck(f"waited {_PATIENCE_SECONDS} s in vain for {what}")
            time.sleep(_POLL_SECONDS)

    def _wave(self, feature: Feature) -> int:
        number: int = self._seen[feature.key]["wave"]["number"]
        return number

    def _state(self, feature: Feature) -> str:
        return str(self._seen[feature.key]["state"])
