"""Feature flags for progressive rollouts: decided locally, counted by variant, rolled back by metrics."""

TYPE_CHECKING = False  # what type checkers take for true under this name; `typing` itself costs six milliseconds
if TYPE_CHECKING:
    from wavegate.client import Client, ConfigError, Trial
    from wavegate.evaluation import (
        ErrorCode,
        EvaluationDetails,
        Flag,
        InvalidRuleset,
        Reason,
        Rollout,
        Ruleset,
        WavegateError,
    )

__all__ = [
    "Client",
    "ConfigError",
    "ErrorCode",
    "EvaluationDetails",
    "Flag",
    "InvalidRuleset",
    "Reason",
    "Rollout",
    "Ruleset",
    "Trial",
    "WavegateError",
]


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is first asked for: an app that only passes flags around pays for nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    source: object
    if name in ("Client", "ConfigError", "Trial"):
        from wavegate import client as source  # noqa: PLC0415 # as above
    else:
        from wavegate import evaluation as source  # noqa: PLC0415 # as above
    value = globals()[name] = getattr(source, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
