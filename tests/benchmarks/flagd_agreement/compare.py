"""Whether flagd's published evaluators put the same people in the same variants: 10,000, under a table of flags.

`python tests/benchmarks/flagd_agreement/compare.py` makes an environment for each of the two releases with uv, asks
both, prints a table, and fails where they differ. It fetches packages, so it is no part of `make test`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, TypeAlias

from wavegate.evaluation import CompiledFlag, EvaluationDetails, Ruleset, compile_ruleset, ruleset_from_json
from wavegate_controller.documents.flagd import export

HERE = Path(__file__).parent
UV = HERE.parents[2] / ".tools" / "uv" / "bin" / "uv"
#: Which release hashes as which generation. Both are exact: what flagd does changes between them.
RELEASES = {"v3": "openfeature-provider-flagd==0.6.1", "v2": "openfeature-provider-flagd==0.5.2"}

Crowd: TypeAlias = list[tuple[str, dict[str, object]]]

FULL = 100_000
VARIANTS = {"off": "off", "on": "on", "a": "a", "b": "b"}
CANDIDATES = [{"variant": "a", "weight": 30_000}, {"variant": "b", "weight": 70_000}]
KEY = {"var": "targetingKey"}


def people() -> list[tuple[str, dict[str, object]]]:
    """Ten thousand, with keys of many kinds and lengths."""
    kinds = (
        lambda n: f"user-{n}",
        lambda n: str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))),
        lambda n: f"jörg.{n}@example.com",
        lambda n: "用户" * (n % 40 + 1) + str(n),
        lambda n: "k" * (n % 300) + str(n),
    )
    return [
        (
            kinds[n % len(kinds)](n),
            {
                "country": ("NO", "DE", "FR")[n % 3],
                "plan": ("team", "solo")[n % 2],
                "email": f"p{n}@{('acme.example', 'example.org')[n % 7 == 0]}",
                "company": f"company {n % 997}",
                "version": f"{n % 4}.{n % 12}.0{('', '-rc.1')[n % 5 == 0]}",
                "seats": n % 50,
            },
        )
        for n in range(10_000)
    ]


def cat(salt: str, attribute: str = "targetingKey") -> dict[str, object]:
    return {"cat": [salt, {"var": attribute}]}


def fractional(*parts: object) -> dict[str, object]:
    return {"fractional": list(parts)}


def percentage(weight: int, *bucket_by: object, on: str = "on") -> dict[str, object]:
    return fractional(*bucket_by, [on, weight], ["off", FULL - weight])


def condition(attribute: str, operator: str, value: object) -> dict[str, object]:
    return {"attribute": attribute, "operator": operator, "value": value}


def rollout(weight: int, **more: object) -> dict[str, object]:
    return {"rollout": {"stable": "off", "candidate": "on", "weight": weight} | more}


def rule(serve: object, *asked: object) -> dict[str, object]:
    return {"rules": [{"if": condition(*asked), "serve": serve}]}


def table() -> dict[str, tuple[dict[str, object], dict[str, object]]]:
    """Flag key to the same flag in Wavegate's words and in flagd's."""
    plain = percentage(25_000)
    several = fractional(cat("candidates:candidates:"), ["a", 30_000], ["b", 70_000])
    held = fractional(cat("hold-out:holdout:"), ["held", 5_000], ["free", 95_000])
    return {
        "ai-summaries": (rollout(25_000), plain),
        "a thousandth": (rollout(1), percentage(1)),
        "all but a thousandth": (rollout(99_999), percentage(99_999)),
        "flagge-ß-用": (rollout(33_333), percentage(33_333)),
        "salted": ({"salt": "spring"} | rollout(50_000), percentage(50_000, cat("spring"))),
        "by-company": ({"bucket_by": "company"} | rollout(50_000), percentage(50_000, cat("by-company", "company"))),
        "salted-company": (
            {"salt": "spring", "bucket_by": "company"} | rollout(10_000),
            percentage(10_000, cat("spring", "company")),
        ),
        "hold-out": (
            rollout(FULL, holdout={"weight": 5_000}),
            {"if": [{"==": [held, "held"]}, "off", "on"]},
        ),
        "candidates": (
            {"rollout": {"stable": "off", "candidate": CANDIDATES, "weight": 60_000}},
            {"if": [{"==": [percentage(60_000), "on"]}, several, "off"]},
        ),
        "split-by-rule": (
            rule(CANDIDATES, "plan", "equals", "team"),
            {"if": [{"==": [{"var": "plan"}, "team"]}, fractional(["a", 30_000], ["b", 70_000]), "off"]},
        ),
        "in": (
            rule("on", "country", "in", ["NO", "SE"]) | rollout(25_000),
            {"if": [{"in": [{"var": "country"}, ["NO", "SE"]]}, "on", plain]},
        ),
        "contains": (
            rule("on", "email", "contains", "5@") | rollout(25_000),
            {"if": [{"in": ["5@", {"var": "email"}]}, "on", plain]},
        ),
        "starts_with": (
            rule("on", "email", "starts_with", "p7"),
            {"if": [{"starts_with": [{"var": "email"}, "p7"]}, "on", "off"]},
        ),
        "ends_with": (
            rule("on", "email", "ends_with", "@acme.example"),
            {"if": [{"ends_with": [{"var": "email"}, "@acme.example"]}, "on", "off"]},
        ),
        "number": (rule("on", "seats", ">=", 20), {"if": [{">=": [{"var": "seats"}, 20]}, "on", "off"]}),
        "semver": (
            rule("on", "version", "semver>=", "2.10.0-beta"),
            {"if": [{"sem_ver": [{"var": "version"}, ">=", "2.10.0-beta"]}, "on", "off"]},
        ),
    }


def more() -> dict[str, dict[str, object]]:
    """Flags that only the export writes in flagd's words."""
    is_team, is_solo = (condition("plan", "equals", plan) for plan in ("team", "solo"))
    split = {"stable": "off", "candidate": CANDIDATES, "weight": 70_000}
    many = [is_team, {"not": condition("country", "equals", "NO")}]
    seats = [condition("seats", ">", 40), condition("seats", "<=", 5)]
    return {
        "number-equals": rule("on", "seats", "equals", 10),
        "number-is-0": rule("on", "seats", "equals", 0),
        "number-at-most": rule("on", "seats", "<=", 10),
        "number-or-text-in": rule("on", "seats", "in", [1, 2, "x", 3]),
        "exists": {"rules": [{"if": {"not": condition("seats", "exists", None)}, "serve": "on"}]},
        "key": rule("on", "targeting_key", "starts_with", ["user-1", "jö"]),
        "lists": {"deny": ["user-0", "user-5"], "allow": {"a": ["user-5", "user-10"]}} | rollout(50_000),
        "all-not-any": {"rules": [{"if": {"all": [*many, {"any": seats}]}, "serve": "on"}]} | rollout(10_000),
        "segment": {"rules": [{"if": {"segment": "nordic"}, "serve": CANDIDATES}]} | rollout(33_333),
        "pilot": {"pilot": {"keys": ["user-5", "user-10"], "opted_out": ["user-10"]}} | rollout(0),
        "pilot-by-condition": {"pilot": {"if": is_solo, "opted_out": ["user-15"]}} | rollout(20_000),
        "pilot-of-candidates": {"pilot": {"if": is_solo}, "rollout": split},
        "part-held-out": rollout(40_000, holdout={"weight": 7_000}),
        "candidates-held-out": {"rollout": split | {"holdout": {"weight": 9_000, "salt": "all"}}},
        "companies-held-out": {
            "bucket_by": "company",
            "salt": "spring",
            "rollout": split | {"holdout": {"weight": 9_000}},
        },
        "needs-salted": {"prerequisites": [{"flag": "salted", "variants": ["on"]}]} | rollout(50_000),
        "needs-disabled": {"prerequisites": [{"flag": "disabled", "variants": ["off"]}]} | rollout(50_000),
        "disabled": {"state": "disabled"} | rollout(50_000),
        "static": {},
        "full": rollout(FULL),
    }


def ruleset(generation: str) -> Ruleset:
    base = {"variants": VARIANTS, "default_variant": "off", "generation": generation}
    flags = {key: base | ours for key, (ours, _) in table().items()} | {
        key: base | ours for key, ours in more().items()
    }
    segments = {"nordic": condition("country", "in", ["NO", "SE"])}
    document = {"schema": 1, "environment": "agreement", "revision": 1, "flags": flags, "segments": segments}
    return ruleset_from_json(document)


def exported(generation: str) -> tuple[dict[str, Any], dict[str, CompiledFlag[EvaluationDetails]]]:
    """All flags in the words that we export, and as the SDK asks them."""
    all_flags = ruleset(generation)
    made = export(all_flags)
    if made.refused:
        raise SystemExit(f"not all flags could be exported: {dict(made.refused)}")
    return made.document, compile_ruleset(all_flags)


def by_hand() -> dict[str, Any]:
    return {
        "flags": {
            key: {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "off", "targeting": theirs}
            for key, (_, theirs) in table().items()
        }
    }


def flagd_answers(python: Path, definitions: dict[str, Any], crowd: Crowd, work: Path) -> dict[str, list[str | None]]:
    question = work / "question.json"
    question.write_text(json.dumps({"flagd": definitions, "people": crowd}), encoding="utf-8")
    # A clean environment: nothing of ours may be imported there.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [python, HERE / "ask_flagd.py", question], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


def environment_with(package: str, place: Path) -> Path:
    """A throw-away environment with this package; the path of its Python."""
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, place], check=True)
        subprocess.run([UV, "pip", "install", "--quiet", "--python", python, package], check=True)
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a directory for the environments, to use them again")
    kept = parser.parse_args().keep
    crowd, differing = people(), 0
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for generation, package in RELEASES.items():
            python = environment_with(package, (kept or work) / package)
            definitions, compiled = exported(generation)
            for words, asked in (("by hand", by_hand()), ("exported", definitions)):
                theirs = flagd_answers(python, asked, crowd, work)
                print(f"\ngeneration {generation}, {package}, {words}, {len(crowd):,} people")
                for key in asked["flags"]:
                    ours = [compiled[key].choose(person, attributes).variant for person, attributes in crowd]
                    different = sum(one != other for one, other in zip(ours, theirs[key], strict=True))
                    differing += different
                    shares = ", ".join(f"{name} {ours.count(name):,}" for name in VARIANTS if name in ours)
                    print(f"  {key:22} {different:6,} differ   ({shares})")
    print(f"\n{differing:,} answers differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
