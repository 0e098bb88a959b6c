"""Where the SDK reads time. Both clocks only ever run forward; neither tells the time of day."""

from time import monotonic, perf_counter

__all__ = ["monotonic", "perf_counter"]
