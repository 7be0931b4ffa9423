"""W3C trace context: event, run, operation and ERP call as spans, with the ids that the journal keeps.

Without an SDK nothing is recorded, and each step still has ids, so that journal, logs and the headers of calls agree
(2 microseconds a call). With one (app/telemetry/telemetry.py) the span's own ids are those that are journalled.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("tieline")
# The operation under way: tasks begun in it inherit it.
_CURRENT: ContextVar[str | None] = ContextVar("tieline_traceparent", default=None)


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


def current() -> str | None:
    """Of the operation under way in this task."""
    return _CURRENT.get()


def recorded() -> bool:
    """Whether an SDK is set up, so that a step that nobody needs for the journal is worth its microseconds."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@dataclass(frozen=True, slots=True)
class Step:
    """One step under way; `traceparent` is for what it calls."""

    span: Span
    traceparent: str

    @property
    def trace_id(self) -> str:
        return self.traceparent.split("-")[1]

    @property
    def span_id(self) -> str:
        return self.traceparent.split("-")[2]

    @property
    def recorded(self) -> bool:
        return self.span.is_recording()

    def end(self, outcome: str, *, ok: bool, words: str = "") -> None:
        """Once. `words` say what went wrong."""
        if self.span.is_recording():
            self.span.set_attribute("tieline.outcome", outcome)
            if not ok:
                self.span.set_status(Status(StatusCode.ERROR, words[:500] or outcome))
        self.span.end()


def begin(
    name: str,
    *,
    parent: str | None,
    kind: SpanKind = SpanKind.INTERNAL,
    link: str | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> Step:
    """`parent` and `link` are traceparents; a link names another trace, such as that which a replay repeats."""
    links = [Link(trace.get_current_span(parent_of(link)).get_span_context())] if link else None
    span = _TRACER.start_span(name, context=parent_of(parent), kind=kind, links=links, attributes=attributes)
    return Step(span, traceparent_of(span) or _made_up(parent))


@contextmanager
def operation(name: str, *, parent: str | None) -> Iterator[Step]:
    """A step in which the calls of the block are: they name it as their parent."""
    step = begin(name, parent=parent)
    token = _CURRENT.set(step.traceparent)
    try:
        yield step
    except BaseException as wrong:
        step.end(getattr(wrong, "code", "failed"), ok=False, words=str(wrong))
        raise
    finally:
        _CURRENT.reset(token)
    step.end("done", ok=True)


@contextmanager
def ended(steps: Iterable[Step]) -> Iterator[None]:
    """Steps that end with the block, all alike."""
    try:
        yield
    except BaseException as wrong:
        for step in steps:
            step.end(getattr(wrong, "code", "failed"), ok=False, words=str(wrong))
        raise
    for step in steps:
        step.end("ok", ok=True)


def _made_up(parent: str | None) -> str:
    trace_id, flags = (parent.split("-")[1], parent.split("-")[3]) if parent else (secrets.token_hex(16), "01")
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
