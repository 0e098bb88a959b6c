"""What a relay tells of itself. What apps counted is not among it: that goes up, and would count twice."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest


def exposition(*, revision: int, connected: bool, age: float | None, streams: int, keys: int, circular: bool) -> bytes:
    """The metrics at this moment, in the Prometheus text format.

    Args:
        revision: of the ruleset that is served; 0 for none.
        connected: whether the upstream answered when last asked.
        age: seconds since it confirmed the ruleset; None if it never did.
        streams: of rulesets, open here.
        keys: SDK keys that are in use here.
        circular: whether relays follow each other.
    """
    registry = CollectorRegistry()
    for name, description, value in (
        ("ruleset_revision", "Revision that is served; 0 for none.", revision),
        ("upstream_connected", "1 if the upstream answered when last asked.", connected),
        ("streams", "Streams of rulesets that are open.", streams),
        ("sdk_keys", "SDK keys that are in use here.", keys),
        ("loop", "1 if relays follow each other, so that nothing is served.", circular),
    ):
        Gauge(f"wavegate_relay_{name}", description, registry=registry).set(value)
    if age is not None:
        description = "Time since the upstream confirmed the ruleset that is served."
        Gauge("wavegate_relay_ruleset_age_seconds", description, registry=registry).set(age)
    return generate_latest(registry)
