"""Answers of a Prometheus API for people who look: any number of series, holes and NaN and all."""

import json

from wavegate_controller.domain.measurement import Broken, Labelled, Series
from wavegate_controller.providers.response import Data, malformed

#: Gives what a name means on the server: counter, gauge, histogram.
METADATA = "/api/v1/metadata?metric={}"


def vector(data: Data) -> tuple[Labelled, ...] | Broken:
    """All series of an instant answer; a scalar has no labels."""
    try:
        if data.kind == "scalar":
            return (Labelled(labels={}, value=float(data.result[1])),)
        if data.kind != "vector":
            return malformed(f"{data.kind} where values at one time were asked for")
        return tuple(Labelled(labels=each["metric"], value=float(each["value"][1])) for each in data.result)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return malformed(f"a value that cannot be read: {error!r}")


def ranges(data: Data) -> tuple[Series, ...] | Broken:
    """All series of an answer over time, NaN and infinity as they come."""
    if data.kind != "matrix":
        return malformed(f"{data.kind} where values over time were asked for")
    try:
        return tuple(
            Series(
                labels=each["metric"],
                samples=tuple((float(at), float(value)) for at, value in each["values"]),
            )
            for each in data.result
        )
    except (KeyError, TypeError, ValueError) as error:
        return malformed(f"values that cannot be read: {error!r}")


def kind_of(body: bytes, name: str) -> str | None:
    """What the metadata say a metric is; None where they say nothing, or not one thing."""
    try:
        known = {each["type"] for each in json.loads(body)["data"].get(name, [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return known.pop() if len(known) == 1 else None
