"""What `wavegate estimate` predicts beside what the simulator of `decisions` then shows, in one table.

python tests/benchmarks/foresight.py [rollouts]     some three minutes

The two share the decision code and nothing else: the simulator draws users, retries and minutes of its own, loses a
read now and then, and acts a minute late. Predicted are the times of 4 rollouts of 5 and their middle.
"""

import random
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.decisions.rollouts import policy_of, roll_out
from benchmarks.decisions.worlds import World
from wavegate_controller.domain.foresight.outlook import outlook, spell
from wavegate_controller.domain.foresight.rehearsal import rehearse
from wavegate_controller.domain.foresight.traffic import Expected, Traffic

#: With the clumping that each has: retries repeat a failure twice on average, so it comes in threes.
WORLDS = (
    (World(name="1/s, 1 % bad", rate=1), 1.0),
    (World(name="10/s, 1 % bad", rate=10), 1.0),
    (World(name="100/s, 1 % bad", rate=100), 1.0),
    (World(name="1000/s, 1 % bad", rate=1000), 1.0),
    (World(name="10/s, 5 % bad", rate=10, base=0.05), 1.0),
    (World(name="100/s, 0.1 % bad", rate=100, base=0.001), 1.0),
    (World(name="100/s, with retries", rate=100, retries=2), 5.0),
)
TEN_HOURS = timedelta(hours=10)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("| traffic | predicted, min | within 10 h | simulated, min | within 10 h | wrong, predicted / simulated |")
    print("| --- | --- | --- | --- | --- | --- |")
    for world, clumping in WORLDS:
        policy = policy_of(world)
        traffic = Traffic(
            requests_per_second=world.rate,
            metrics={policy.metrics[0].name: Expected(mean=world.base, clumping=clumping)},
        )
        chance = random.Random(world.name)
        rehearsals = [rehearse(policy, traffic, chance) for _ in range(runs)]
        # The simulator ends where 100 % begins.
        reached = [sum(each.took[:-1], timedelta()) for each in rehearsals if len(each.took) >= len(policy.waves) - 1]
        predicted = [each for each in reached if each <= TEN_HOURS]
        simulated = [roll_out(world, seed, minutes=600) for seed in range(runs)]
        arrived = [timedelta(minutes=each.minute) for each in simulated if each.end == "completed"]
        wrong = sum(each.end == "rolled_back" for each in simulated) / runs
        print(
            f"| {world.name} | {told(predicted)} | {len(predicted) / runs:.0%} "
            f"| {told(arrived)} | {len(arrived) / runs:.0%} "
            f"| {outlook(policy, traffic, rehearsals).wrong_rollback[0]:.1%} / {wrong:.1%} |",
            flush=True,
        )


def told(times: list[timedelta]) -> str:
    found = spell(times)
    if found is None:
        return "-"
    low, middle, high = (each.total_seconds() / 60 for each in (found.low, found.middle, found.high))
    return f"{middle:.0f} ({low:.0f} - {high:.0f})"


if __name__ == "__main__":
    main()
