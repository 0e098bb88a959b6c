"""OpenTelemetry's GenAI metrics of one call of a model, shown to Prometheus beside the SDK's own.

Names, units and buckets are those of OpenTelemetry's semantic conventions for GenAI clients. `feature_flag.key` and
`feature_flag.result.variant` say for which variant the model worked: by them the gates tell the two apart.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


class GenAiMetrics:
    """Instruments of a meter of their own."""

    def __init__(self) -> None:
        # Into prometheus_client's registry, where the SDK counts, too.
        self._provider = MeterProvider([PrometheusMetricReader()])
        meter = self._provider.get_meter("llm-example")
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of a GenAI operation.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time until the first chunk of the answer came.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens read and written.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    @contextmanager
    def operation(self, *, model: str, flag: str, variant: str | None) -> Iterator["Operation"]:
        """One call of a model, from before its question is sent until its last word came or it failed."""
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "example",
            "gen_ai.request.model": model,
            "feature_flag.key": flag,
            "feature_flag.result.variant": variant or "",
        }
        operation, begun = Operation(), perf_counter()
        error: Mapping[str, str] = {}
        try:
            yield operation
        except Exception as failure:
            error = {"error.type": type(failure).__qualname__}
            raise
        finally:
            self._duration.record(perf_counter() - begun, {**attributes, **error})
            if operation.first_chunk_at is not None:
                self._first_chunk.record(operation.first_chunk_at - begun, attributes)
                self._tokens.record(operation.read, {**attributes, "gen_ai.token.type": "input"})
                self._tokens.record(operation.written, {**attributes, "gen_ai.token.type": "output"})

    def close(self) -> None:
        """Takes the instruments from the registry."""
        self._provider.shutdown()


class Operation:
    """What the caller says of it."""

    def __init__(self) -> None:
        self.first_chunk_at: float | None = None
        self.read = 0
        self.written = 0

    def chunk(self, tokens: int) -> None:
        """Some of the answer came."""
        if self.first_chunk_at is None:
            self.first_chunk_at = perf_counter()
        self.written += tokens
