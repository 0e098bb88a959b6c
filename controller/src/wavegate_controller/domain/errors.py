"""What the domain refuses, and why. The edges translate these into HTTP problems and exit codes.

ControllerError
├── Invalid         a value that must not enter: names the field, the problem and what would be right
├── NotFound        no such flag, rollout, decision or environment
├── Forbidden       not for this person in this environment
├── SignInRefused   whoever wants to sign in has not shown who they are
├── Throttled       too many failures before this attempt; wait
├── Conflict        right in itself, but not beside what already exists
├── EventRefused    the rollout's state does not take this event; the state is unchanged
├── Unmet           a stage asks for more than there is; in `passport`, beside what it lists
├── LintRefused     the gates of a plan cannot do what they are there for; in `foresight.findings`, beside what it lists
├── InProgress      the same request is being carried out at this moment; send it again
├── HistoryLost     the past of the metrics server cannot be had any further
└── StaleVersion    somebody else changed the row since it was read; read it again
"""

from collections.abc import Sequence


class ControllerError(Exception):
    """Root of everything the controller refuses on purpose."""


class Invalid(ControllerError):
    """A value was refused where it entered.

    Attributes:
        field: path of the value in the document, such as `plan.waves[2].percent`.
        problem: what was wrong with it.
        expected: what would be right.
    """

    def __init__(self, field: str, problem: str, expected: str) -> None:
        super().__init__(f"{field}: {problem}; expected {expected}")
        self.field = field
        self.problem = problem
        self.expected = expected

    def under(self, prefix: str) -> "Invalid":
        """The same refusal, seen from the document that contains this value."""
        return Invalid(f"{prefix}.{self.field}", self.problem, self.expected)


class NotFound(ControllerError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"there is no {kind} {key!r}")
        self.kind = kind
        self.key = key


class Forbidden(ControllerError):
    """Somebody asked for what their role does not allow; nothing was done.

    Attributes:
        permission: what it takes.
        environment: where; `*` for all environments.
        role: what they are there; None for nothing.
        needed: the weakest role that would do.
    """

    def __init__(self, name: str, *, permission: str, environment: str, role: str | None, needed: str) -> None:
        where = "all environments" if environment == "*" else f"environment {environment!r}"
        standing = f"is {role}" if role else "has no role"
        super().__init__(f"{name!r} {standing} in {where}; this takes the role {needed} or a stronger one")
        self.permission = permission
        self.environment = environment
        self.role = role
        self.needed = needed


class SignInRefused(ControllerError):
    """Nobody was signed in; says no more than whoever guesses may know."""


class Throttled(ControllerError):
    """Too many attempts failed before this one, which was not looked at.

    Attributes:
        seconds: to wait.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many attempts have failed; try again in {seconds} s")
        self.seconds = seconds


class Conflict(ControllerError):
    """The request is right in itself but contradicts what already exists."""


class EventRefused(ControllerError):
    """The table of transitions has no entry for this event in this state; nothing was changed."""

    def __init__(self, rollout_id: str, state: str, event: str, allowed: Sequence[str]) -> None:
        possible = ", ".join(allowed) or "nothing: this state is final"
        super().__init__(f"rollout {rollout_id!r} is {state}: {event} is not possible now; possible: {possible}")
        self.rollout_id = rollout_id
        self.state = state
        self.event = event
        self.allowed = tuple(allowed)


class StaleVersion(ControllerError):
    """The row changed between reading and writing it; nothing was written."""

    def __init__(self, kind: str, key: str, *, current: int | None = None) -> None:
        is_now = "" if current is None else f", it is at version {current} now"
        super().__init__(f"{kind} {key!r} was changed by somebody else meanwhile{is_now}; read it again")
        self.kind = kind
        self.key = key
        self.current = current


class InProgress(ControllerError):
    """The same request, by its key, is being carried out at this moment."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the request of Idempotency-Key {key!r} is being carried out; send it again in a second")
        self.key = key


class HistoryLost(ControllerError):
    """The past cannot be had any further; the text says from when on and why."""
