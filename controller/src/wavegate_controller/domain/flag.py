"""A flag as the controller holds it: variants, the safe default, and the inputs of bucketing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from wavegate.evaluation import Generation
from wavegate_controller.domain.errors import Invalid

#: Flag keys and variant names become metric label values, URLs and file names; keep them plain.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")
_NAME_RULE: Final = "1 to 100 of a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """One flag in one environment. Valid, or not constructed.

    Attributes:
        variants: variant name to the JSON value that an app receives; at least two.
        default_variant: what a disabled flag, and a flag without a rollout, serves.
        enabled: False is the emergency stop: everybody gets the default variant at once.
        salt: overrides the flag key in the bucketing hash; fixed while a rollout runs.
        bucket_by: evaluation-context attribute that is bucketed instead of the targeting key.
        generation: flagd's bucketing generation.
        version: counts the changes; a writer must name the version it read.
    """

    key: str
    environment: str
    variants: Mapping[str, Any]
    default_variant: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    enabled: bool = True
    salt: str | None = None
    bucket_by: str | None = None
    generation: Generation = Generation.V3
    version: int = 1

    def __post_init__(self) -> None:
        check_name("key", self.key)
        check_name("environment", self.environment)
        for name in self.variants:
            check_name(f"variants.{name}", name)
        if len(self.variants) < 2:  # noqa: PLR2004 - stable and candidate
            raise Invalid("variants", f"{len(self.variants)} given", "at least two: what is served now and what is new")
        if self.default_variant not in self.variants:
            known = ", ".join(sorted(self.variants))
            raise Invalid("default_variant", f"{self.default_variant!r} is not a variant", f"one of {known}")


def check_name(field: str, value: str) -> None:
    """Refuse a key that could not stand in a label, a URL and a file name alike.

    Raises:
        Invalid: naming the field.
    """
    if not _NAME.fullmatch(value):
        raise Invalid(field, f"{value!r} is not a valid name", _NAME_RULE)
