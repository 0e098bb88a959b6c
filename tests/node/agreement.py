"""Prints flag definitions of generation v2, two thousand people with ASCII keys, and what the SDK serves them."""

import json

from benchmarks.flagd_agreement.compare import VARIANTS, exported, people


def main():
    # flagd's JavaScript core hashes UTF-16 units, so that other keys, and under other flags, fall elsewhere.
    crowd = [(key, attributes) for key, attributes in people() if key.isascii()][:2_000]
    definitions, compiled = exported("v2")
    answers = {
        key: [compiled[key].choose(person, attributes).variant for person, attributes in crowd]
        for key in definitions["flags"]
        if key.isascii()
    }
    assert all(variant in VARIANTS for variants in answers.values() for variant in variants)
    print(json.dumps({"definitions": definitions, "people": crowd, "answers": answers}))


if __name__ == "__main__":
    main()
