"""What an environment has beside flags and rollouts: segments, templates of plans, and its calendar."""

from dataclasses import dataclass
from datetime import datetime

from wavegate.evaluation import Condition
from wavegate_controller.domain.flag import check_name
from wavegate_controller.domain.freeze import FreezeWindow
from wavegate_controller.domain.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A named condition that the rules of any flag of the environment may ask for.

    Attributes:
        version: counts the changes; a writer must name the version it read.
    """

    key: str
    environment: str
    condition: Condition
    created_at: datetime
    updated_at: datetime
    description: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        check_name("key", self.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A plan with a name. Versions never change: a rollout that was made from one says which, and has its own copy."""

    name: str
    environment: str
    version: int
    plan: Plan
    created_by: str
    created_at: datetime
    description: str = ""

    def __post_init__(self) -> None:
        check_name("name", self.name)

    @property
    def reference(self) -> str:
        """Name and version, such as `careful@3`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """The freeze windows of an environment.

    Attributes:
        version: counts the changes; 0 for an environment that never had any.
    """

    environment: str
    windows: tuple[FreezeWindow, ...] = ()
    updated_by: str = ""
    updated_at: datetime | None = None
    version: int = 0
