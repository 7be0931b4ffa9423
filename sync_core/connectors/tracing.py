"""W3C trace context of outgoing calls, cheap enough for every call (2 microseconds while no SDK is set up)."""

from functools import lru_cache

from opentelemetry.context import Context
from opentelemetry.trace import Span, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


@lru_cache(maxsize=1024)
def parent_of(traceparent: str | None) -> Context:
    """The context that a span of this contract's trace starts in; an empty one makes a new trace."""
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, context=Context())


def traceparent_of(span: Span) -> str | None:
    """The header that names `span` as the parent; None when nobody records it."""
    if not span.is_recording():
        return None
    context = span.get_span_context()
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"
