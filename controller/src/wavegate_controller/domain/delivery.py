"""How far a revision has come: which clients have it, and how long that took."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectedClient:
    """One process of an app that is connected now.

    Attributes:
        instance: made up by the process when it starts.
        sdk: name and version of what it asks with.
        app: what it calls itself; empty if it does not.
        revision: what it uses; None until it said so.
        held_seconds: for how long it has used that.
        streaming: whether changes are pushed to it; else it asks for them.
    """

    instance: str
    sdk: str
    app: str
    revision: int | None
    held_seconds: float
    streaming: bool

    @property
    def rank(self) -> tuple[int, str, str]:
        """Its place among others: those furthest behind come first."""
        return (-1 if self.revision is None else self.revision, self.app, self.instance)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientNews:
    """What one process that serves an environment tells the others of one client.

    Attributes:
        is_heard: whether it follows, polls or reports to the process that tells; else that only took its word.
    """

    instance: str
    revision: int | None
    held_seconds: float
    sdk: str
    app: str
    streaming: bool
    is_heard: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetNews:
    """What one process tells the others of the clients of an environment.

    Attributes:
        left: clients that it hears no more.
        is_all: these are all that it hears.
    """

    clients: tuple[ClientNews, ...] = ()
    left: tuple[str, ...] = ()
    is_all: bool = False

    @property
    def says_something(self) -> bool:
        """Whether it is worth telling."""
        return bool(self.clients or self.left or self.is_all)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveredRevision:
    """One revision, among those that are remembered.

    Attributes:
        revision: its number.
        since: when this process began to serve it.
        delivered: clients that use it, or used it before the next one came.
        of: clients that were connected, now or when the next one came.
        gone: clients that used it and are connected no more.
        slowest_seconds: from then until the last of those who were already connected used it; None if there was none.
    """

    revision: int
    since: datetime
    delivered: int
    of: int
    slowest_seconds: float | None
    gone: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everybody has it."""
        return self.delivered == self.of

    @property
    def sentence(self) -> str:
        """`delivered to 412 of 412, slowest 0.14 s`; where all have left, `delivered to 412, since gone`."""
        slowest = "" if self.slowest_seconds is None else f", slowest {self.slowest_seconds:.2f} s"
        if not self.of:
            return f"delivered to {self.gone:,}, since gone{slowest}" if self.gone else "no client is connected"
        return f"delivered to {self.delivered:,} of {self.of:,}{slowest}"
