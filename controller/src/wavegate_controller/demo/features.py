"""The two AI features of the demo's product, and the plan that both are rolled out by."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """A flag of the product app.

    Attributes:
        path: where the app serves it.
    """

    key: str
    path: str
    description: str


#: Climbs to 100 %.
HARMLESS: Final = Feature(key="ai-summaries", path="/summarize", description="Summaries of long documents")
#: Turns harmful on the way.
HARMFUL: Final = Feature(key="ai-answers", path="/ask", description="Answers instead of search results")
FEATURES: Final = (HARMLESS, HARMFUL)
CANDIDATE: Final = "on"
WAVES: Final = (10, 25, 50, 100)

#: Requests a second for each feature, over all apps.
RATE: Final = 100
#: What `errors` and `latency` do to the candidate.
ERROR_SHARE: Final = 0.5
LATENCY_SECONDS: Final = 0.6

_LATENCY_QUERY: Final = (
    "histogram_quantile(0.95, sum by (le) "
    '(rate(wavegate_duration_seconds_bucket{flag="{{flag}}", variant="{{candidate}}"}[{{window}}])))'
)

#: For waves of seconds, where real ones last hours: so little time cannot prove much, and the gates are told so.
GATES: Final[list[dict[str, Any]]] = [
    {
        "type": "error_rate",
        # One failure more among a hundred is no news in a crowd this small. It also keeps `suspicion`, which only
        # holds, from stretching the waves.
        "margin": 0.5,
        "absolute_margin": 0.01,
        # The last gate opens once "at most twice as bad, and five in a hundred" is shown, which takes seconds.
        "final_margin": 1.0,
        "gate_absolute_margin": 0.05,
    },
    {
        "type": "threshold",
        "name": "latency-p95",
        "query": _LATENCY_QUERY,
        "operator": "<",
        # The candidate needs about 10 ms: far enough away for a busy machine, near enough for what `latency` adds.
        "limit": 0.4,
        "failures": 2,
        "of": 3,
        "window": "5s",
    },
]


GUARDRAIL: Final[dict[str, Any]] = {
    # The usual 0.05 is for a rollout now and then. Here one starts every minute, and a false alarm would spoil the
    # story; the harm that is shown is large enough for far stronger evidence.
    "alpha": 0.001,
    "min_requests": 25,
    "stale_after": "5s",
}


def flag_document(feature: Feature) -> dict[str, Any]:
    """What creates the flag."""
    return {"key": feature.key, "description": feature.description}


def rollout_document(feature: Feature, *, bake: str) -> dict[str, Any]:
    """What creates a rollout of the flag, with so much time in each wave."""
    waves = [{"percent": percent, "bake": bake, "target": bake} for percent in WAVES]
    plan = {"interval": "1s", "waves": waves, "gates": GATES, "guardrail": GUARDRAIL}
    return {"flag": feature.key, "candidate": CANDIDATE, "plan": plan}
