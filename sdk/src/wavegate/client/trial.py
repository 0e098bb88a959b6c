"""A trial: one request under one variant, counted once, when it has ended."""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wavegate.client.clock import perf_counter

if TYPE_CHECKING:
    from wavegate.client.metrics import Arm, BadKind


class Trial:
    """What `Client.trial` gives to a `with` block.

    At the end of the block the request, whether it was bad, and its duration are counted together.
    An exception that leaves the block is a bad outcome of kind `error` and goes its way. Something
    that is no error, such as a cancelled task or a closed generator, is no outcome and is not
    counted, unless it came after `slow_after`: then it is `slow`, for that is what a timeout is.
    """

    __slots__ = ("_arm", "_cohort", "_kind", "_slow_after", "_started", "enabled", "value", "variant")

    def __init__(
        self,
        *,
        enabled: bool,
        value: Any,
        variant: str | None,
        arm: "Arm | None",
        cohort: int,
        slow_after: float | None,
    ) -> None:
        #: Whether the variant is the boolean true.
        self.enabled = enabled
        #: The variant's value, or the default.
        self.value = value
        #: The variant's name; None when the default was answered, and then nothing is counted.
        self.variant = variant
        self._arm = arm
        self._cohort = cohort
        self._slow_after = slow_after
        self._kind: BadKind | None = None
        self._started = 0.0

    def bad(self, kind: str = "custom") -> None:
        """Marks the outcome as bad: `error`, `slow`, `fallback`, `thumbs_down`; anything else is `custom`.

        The first mark stays, so that a request is bad once.
        """
        from wavegate.client.metrics import BadKind  # noqa: PLC0415 # brings prometheus_client

        if self._kind is None:
            try:
                self._kind = BadKind(kind)
            except ValueError:
                self._kind = BadKind.CUSTOM

    def fallback(self) -> None:
        """Marks that the app gave up on the variant and used something else."""
        self.bad("fallback")

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        arm = self._arm
        if arm is None:
            return
        slow = self._slow_after is not None and seconds > self._slow_after
        if isinstance(error, Exception):
            self._kind = None
            self.bad("error")
        elif slow:
            self.bad("slow")
        elif error is not None:
            return
        arm.count(self._cohort, self._kind, seconds)
