"""Where the SDK reads time. The first two clocks only ever run forward and do not tell the time of day."""

from time import monotonic, perf_counter
from time import time as now

__all__ = ["monotonic", "now", "perf_counter"]
