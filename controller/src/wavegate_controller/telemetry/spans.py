"""Spans by OpenTelemetry, for whoever installs the extra `otel`; the one door to its packages.

Where the SDK sends them, how many, and under which name is said by OpenTelemetry's own variables, such as
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` and `OTEL_RESOURCE_ATTRIBUTES`.

How it fails: without the packages, `open_spans` refuses. A collector that is away costs nothing but log lines of
OpenTelemetry's, since spans are sent by a thread of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Protocol

from wavegate_controller.domain.errors import Invalid
from wavegate_controller.domain.publication import PublishedRuleset
from wavegate_controller.ports import RulesetSink

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

_NAME: Final = "wavegate-controller"


class Span(Protocol):
    """What goes on."""

    def note(self, key: str, value: str | float) -> None:
        """Say more about it."""
        ...

    def fail(self, reason: str) -> None:
        """It did not do what it was begun for."""
        ...


class Spans(Protocol):
    """Says what the process does, and for how long."""

    def span(self, name: str, attributes: Mapping[str, str | float]) -> AbstractContextManager[Span]:
        """Begins now, within the one that goes on in this thread, and ends with the block."""
        ...

    def close(self) -> None:
        """Send what is not sent yet."""
        ...


class NoSpans:
    """Fulfils `Spans` and `Span`, and does nothing."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str | float]) -> Iterator[Span]:  # noqa: ARG002 - see above
        """Nothing."""
        yield self

    def note(self, key: str, value: str | float) -> None:
        """Nothing."""

    def fail(self, reason: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class OtelSpans:
    """Fulfils `Spans` by a tracer provider of its own: OpenTelemetry's global one belongs to whoever embeds us."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("wavegate", version(_NAME))

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str | float]) -> Iterator[Span]:
        """See `Spans`; what is raised within fails it."""
        with self._tracer.start_as_current_span(name, attributes=dict(attributes)) as span:
            yield _OtelSpan(span)

    def close(self) -> None:
        """Send what is not sent yet, for a moment."""
        self._provider.force_flush(1000)


class _OtelSpan:
    """Fulfils `Span`."""

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span

    def note(self, key: str, value: str | float) -> None:
        self._span.set_attribute(key, value)

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - see `open_spans`

        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR, reason))


class TracedSink:
    """Fulfils `ports.RulesetSink` with another, in a span."""

    def __init__(self, sink: RulesetSink, spans: Spans) -> None:
        self._sink = sink
        self._spans = spans

    def publish(self, ruleset: PublishedRuleset) -> None:
        """Serve it."""
        about: dict[str, str | float] = {
            "wavegate.environment": ruleset.environment,
            "wavegate.revision": ruleset.revision,
        }
        with self._spans.span("publish", about):
            self._sink.publish(ruleset)


def open_spans(*, wanted: bool) -> Spans:
    """Spans that are exported by OTLP over HTTP, or none.

    Raises:
        Invalid: they are wanted, and OpenTelemetry is not installed.
    """
    if not wanted:
        return NoSpans()
    # Not at the top: most have none, and it takes a fifth of a second.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise Invalid(
            "traces", "needs OpenTelemetry, which is not here", "`pip install 'wavegate-controller[otel]'`, or false"
        ) from None
    # What the environment says (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins over the name that we give.
    resource = Resource({"service.name": _NAME, "service.version": version(_NAME)}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelSpans(provider)
