"""Where measurements come from: one module per kind of source, each a `ports.MetricProvider`."""

from wavegate_controller.providers.http import Access
from wavegate_controller.providers.prometheus import PrometheusProvider
from wavegate_controller.providers.scrape import ScrapeProvider

__all__ = ["Access", "PrometheusProvider", "ScrapeProvider"]
