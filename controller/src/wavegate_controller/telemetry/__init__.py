"""What the controller tells of itself: metrics in a registry of its own, log lines, and spans where they are wanted."""

from wavegate_controller.telemetry.logs import log_to_stderr
from wavegate_controller.telemetry.queries import CountedHistory, CountedProvider
from wavegate_controller.telemetry.recorder import PrometheusRecorder
from wavegate_controller.telemetry.spans import NoSpans, Spans, TracedSink, open_spans

__all__ = [
    "CountedHistory",
    "CountedProvider",
    "NoSpans",
    "PrometheusRecorder",
    "Spans",
    "TracedSink",
    "log_to_stderr",
    "open_spans",
]
