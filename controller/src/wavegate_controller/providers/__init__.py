"""Where measurements come from: one module per kind of metrics server, each a `ports.MetricProvider`."""

from wavegate_controller.providers.prometheus import PrometheusProvider

__all__ = ["PrometheusProvider"]
