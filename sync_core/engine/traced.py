"""A run as a step of its event's trace, and as what the log lines of its task concern."""

from opentelemetry.trace import SpanKind

from sync_core.connectors import tracing
from sync_core.connectors.tracing import Step
from sync_core.engine.claim import Claimed, Loaded
from sync_core.telemetry.log_context import concerns


def begun(claimed: Claimed, loaded: Loaded) -> Step:
    """One that carries an item of a replay has a trace of its own, with a link to the original."""
    about = {
        "tieline.contract": claimed.external_id,
        "tieline.correlation_id": loaded.correlation_id,
        "tieline.lane": claimed.lane,
    }
    parent, link = (None, loaded.traceparent) if claimed.replay else (loaded.traceparent, None)
    step = tracing.begin("contract.converge", parent=parent, kind=SpanKind.INTERNAL, link=link, attributes=about)
    concerns(correlation_id=loaded.correlation_id, trace_id=step.trace_id, contract=claimed.external_id)
    return step
