"""The worlds that the rule is held to, and what it must reach in each."""

from dataclasses import dataclass

from benchmarks.decisions.worlds import World

RATES = (1, 10, 100, 1000)
TEN_HOURS, SIX_HOURS = 600, 360


@dataclass(frozen=True, kw_only=True)
class Target:
    """A world and its limits; None where nothing is asked.

    Attributes:
        harmful: what to roll back; otherwise rolling back is the error.
        rolled_back: largest share of rollouts that may be rolled back.
        completed: largest share of rollouts that may reach 100 %.
        minutes: longest median time to the right end.
    """

    group: str
    world: World
    minutes_simulated: int
    harmful: bool = False
    rolled_back: float | None = None
    completed: float | None = None
    minutes: float | None = None


def _harmless() -> list[Target]:
    def each(group: str, world: World, *, limit: float = 0.05, minutes: float | None = None, time: int = SIX_HOURS):
        return Target(group=group, world=world, minutes_simulated=time, rolled_back=limit, minutes=minutes)

    to_100 = {10: 215, 100: 115, 1000: 50}
    targets = [
        each("A/A", World(name=f"A/A {rate}/s", rate=rate), minutes=to_100.get(rate), time=TEN_HOURS) for rate in RATES
    ]
    targets += [
        each("20 % better", World(name=f"20 % better {rate}/s", rate=rate, ratio=0.8), limit=0.02) for rate in RATES
    ]
    for rate in (10, 100):
        targets += [
            each("daily drift", World(name=f"daily drift {rate}/s", rate=rate, drift=0.6)),
            each("5-min blip", World(name=f"5-min blip {rate}/s", rate=rate, blip=True)),
            each("bursts", World(name=f"bursts {rate}/s", rate=rate, retries=2)),
            each("users vary", World(name=f"users vary {rate}/s", rate=rate, users=360 * rate, spread=2)),
            each("heavy users", World(name=f"heavy users {rate}/s", rate=rate, users=60 * rate, spread=4)),
        ]
    targets += [
        each("pilots", World(name="60 users 2/s", rate=2, users=60, spread=2)),
        each("pilots", World(name="20 users 0.3/s", rate=0.3, users=20, spread=2)),
    ]
    return targets


def _harmful() -> list[Target]:
    def each(group: str, world: World, *, limit: float | None, minutes: float | None = None):
        return Target(
            group=group, world=world, minutes_simulated=TEN_HOURS, harmful=True, completed=limit, minutes=minutes
        )

    faster = {2.0: {1: 175, 10: 38, 100: 8, 1000: 3}, 5.0: {1: 42, 10: 8, 100: 3, 1000: 2}}
    slips = {1.1: {1000: 0.02}, 1.25: dict.fromkeys(RATES, 0.05), 2.0: dict.fromkeys(RATES, 0.01)}
    slips[5.0] = dict.fromkeys(RATES, 0.0)
    targets = [
        each(
            f"+{ratio - 1:.0%}".replace("%", " %"),
            World(name=f"+{ratio - 1:.0%} {rate}/s".replace("%", " %"), rate=rate, ratio=ratio),
            limit=limit,
            minutes=faster.get(ratio, {}).get(rate),
        )
        for ratio, limits in slips.items()
        for rate, limit in limits.items()
    ]
    # At 1000/s a harmless candidate is at 100 % two minutes after this regression begins: shown, but no target.
    targets += [
        each(
            "late +50 %",
            World(name=f"late +50 % {rate}/s", rate=rate, ratio=1.5, late=True),
            limit=None if rate == RATES[-1] else 0.02,
        )
        for rate in RATES
    ]
    return targets


TARGETS = tuple(_harmless() + _harmful())
