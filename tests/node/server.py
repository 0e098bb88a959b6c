"""A data plane for the tests in JavaScript: says where it is, and publishes a revision for each line it reads."""

import json
import sys

from support.data_plane import KEY, DataPlane

BOOLEAN = {"variants": {"on": True, "off": False}, "default_variant": "off"}
HALF = {"rollout": {"stable": "off", "candidate": "on", "weight": 50_000}}
TEAM = {"if": {"attribute": "plan", "operator": "equals", "value": "team"}, "serve": "on"}
FLAGS = {
    "split": BOOLEAN | HALF,
    "targeted": BOOLEAN | {"rules": [TEAM]},
    "stopped": BOOLEAN | HALF | {"state": "disabled"},
    "tone": {"variants": {"plain": "plain"}, "default_variant": "plain"},
    "temperature": {"variants": {"warm": 2.0}, "default_variant": "warm"},
    "model": {"variants": {"large": {"model": "large", "temperature": 0.7}}, "default_variant": "large"},
    "a/b ü%": BOOLEAN,
}


def main():
    with DataPlane(origins=["*"]) as plane:
        revision = 1
        while True:
            search = BOOLEAN | {"default_variant": "off" if revision % 2 else "on"}
            plane.publish(revision, flags=FLAGS | {"search": search})
            if revision == 1:
                print(json.dumps({"url": plane.url, "key": KEY}), flush=True)
            if not sys.stdin.readline():
                return
            revision += 1


if __name__ == "__main__":
    main()
