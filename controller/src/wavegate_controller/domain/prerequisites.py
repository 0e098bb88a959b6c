"""What one flag's rollout needs of other flags before it may start or go on."""

from collections.abc import Mapping

from wavegate.evaluation import FULL_WEIGHT
from wavegate_controller.domain.flag import Flag
from wavegate_controller.domain.rollout import Rollout, State


def unmet(flag: Flag, flags: Mapping[str, Flag], serving: Mapping[str, Rollout]) -> str:
    """Which other flag does not serve everybody what this one needs, as a sentence; empty when all do.

    Args:
        flag: whose rollout wants to go on.
        flags: the flags that it names, by key.
        serving: flag key to the rollout that decides what it serves.
    """
    for needed in flag.prerequisites:
        served = served_to_everybody(flags[needed.flag], serving.get(needed.flag))
        if served not in needed.variants:
            what = "different variants" if served is None else repr(served)
            wanted = " or ".join(repr(each) for each in needed.variants)
            return f"flag {needed.flag!r} must serve {wanted} to everybody first, and serves {what}"
    return ""


def served_to_everybody(flag: Flag, rollout: Rollout | None) -> str | None:
    """The one variant that a flag serves, lists, rules and pilot aside; None while a rollout splits.

    A completed rollout counts as done, whoever it leaves out.
    """
    if not flag.enabled or rollout is None:
        return flag.default_variant
    if rollout.state is State.COMPLETED:
        return rollout.candidate
    if rollout.weight == 0:
        return rollout.stable
    return rollout.candidate if rollout.exposure == FULL_WEIGHT else None
