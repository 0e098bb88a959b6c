"""A trial: one request under one variant, counted once, when it has ended."""

from __future__ import annotations

from wavegate.client.clock import perf_counter
from wavegate.client.counters import BadKind, ValueKind
from wavegate.client.process import forks

TYPE_CHECKING = False  # as in wavegate/__init__.py
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any, Self

    from wavegate.client.counters import Arm, Cell


class Trial:
    """What `Client.trial` gives to a `with` or `async with` block.

    At the end of the block the request, whether it was bad, its duration and its values are counted
    together. An exception that leaves the block is a bad outcome of kind `error` and goes its way.
    Something that is no error, such as a cancelled task or a closed generator, is no outcome and is
    not counted, unless it came after `slow_after`: then it is `slow`, for that is what a timeout is.

    Nothing here raises or waits; what makes no sense, such as a negative cost, is ignored with a warning.
    """

    __slots__ = (
        "_arm",
        "_caps",
        "_cohort",
        "_fork",
        "_kind",
        "_person",
        "_slow_after",
        "_started",
        "_user",
        "_values",
        "enabled",
        "value",
        "variant",
    )

    def __init__(  # noqa: PLR0913 # each is named where it is given
        self,
        *,
        enabled: bool,
        value: Any,
        variant: str | None,
        arm: Arm | None,
        cohort: int,
        user: int | None,
        slow_after: float | None,
        caps: Mapping[str, float],
        person: Cell | None = None,
    ) -> None:
        #: Whether the variant is the boolean true.
        self.enabled = enabled
        #: The variant's value, or the default.
        self.value = value
        #: The variant's name; None when the default was answered, and then nothing is counted.
        self.variant = variant
        self._arm = arm
        self._cohort = cohort
        self._user = user
        self._slow_after = slow_after
        self._caps = caps
        self._person = person
        self._kind: BadKind | None = None
        self._values: dict[str, float] = {}
        self._started = 0.0
        self._fork = forks[0]

    def bad(self, kind: str = "custom") -> None:
        """Marks the outcome as bad: `error`, `slow`, `fallback`, `thumbs_down`; anything else is `custom`.

        The first mark stays, so that a request is bad once.
        """
        if self._kind is None:
            try:
                self._kind = BadKind(kind)
            except ValueError:
                self._kind = BadKind.CUSTOM

    def fallback(self) -> None:
        """Marks that the app gave up on the variant and used something else."""
        self.bad("fallback")

    def cost_usd(self, dollars: float) -> None:
        """Adds to what the request cost."""
        self._add(ValueKind.COST_USD, dollars)

    def tokens(self, *, input: int = 0, output: int = 0) -> None:  # noqa: A002 # the field's own words
        """Adds to the tokens that models read and wrote for the request."""
        self._add(ValueKind.TOKENS, input)
        self._add(ValueKind.TOKENS, output)

    def custom(self, amount: float) -> None:
        """Adds to the one measure of the app's own that a flag may have, such as documents found."""
        self._add(ValueKind.CUSTOM, amount)

    def __enter__(self) -> Self:
        if self._arm is not None and self._user is not None:
            self._arm.users.see(self._user, self._arm.exposed)
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        arm = self._arm
        # What began before a fork is counted by the parent.
        if arm is None or self._fork != forks[0]:
            return
        slow = self._slow_after is not None and seconds > self._slow_after
        if isinstance(error, Exception):
            self._kind = None
            self.bad("error")
        elif slow:
            self.bad("slow")
        elif error is not None:
            return
        self._values[ValueKind.SECONDS] = seconds
        caps = self._caps
        values = [(name, min(amount, caps[name])) for name, amount in self._values.items()]
        arm.count(self._cohort, self._kind, seconds, values)
        if self._person is not None:
            self._person[0] += 1

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _add(self, kind: ValueKind, amount: float) -> None:
        try:
            usable = 0 <= amount < float("inf")
            if usable:
                self._values[kind] = self._values.get(kind, 0.0) + float(amount)
        except Exception:  # noqa: BLE001 # measuring must not break what is measured
            usable = False
        if not usable:
            _complain(kind)


_complained: set[str] = set()


def _complain(kind: str) -> None:
    """Once for each kind: an app that is wrong is wrong with every request."""
    if kind not in _complained:
        _complained.add(kind)
        from wavegate.client.log import log  # noqa: PLC0415

        log().warning("ignored a %s that is no number, 0 or more", kind, extra={"action": "value_ignored"})
