"""An environment: flags, rollouts and rulesets of one place, apart from those of all others."""

from dataclasses import dataclass
from datetime import datetime

from wavegate_controller.domain.flag import check_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """One environment. Valid, or not constructed."""

    name: str
    created_at: datetime
    description: str = ""
    #: All its rollouts are only judged and recorded; people move them.
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_name("name", self.name)
