"""What an event set off in a contract, step by step in time: the traces that the contract's page draws."""

from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Moment, View, answer
from app.api.calling import Call, calling
from app.api.inputs import NO_NUL, Id
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.commands.desk import NotFound
from sync_core.reads.trace import Part, Step, Trace

routes = resource("contracts")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]
Chosen = Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this one")]


class StepView(View):
    """One step; those below it, with a greater depth, follow it."""

    part: Part
    depth: Annotated[int, Field(description="0: the event, or the run of a replay; each step stands below its cause")]
    name: str
    detail: Annotated[str, Field(description="Who sent it, the business key, the error, or read or write and status")]
    started_at: Moment
    finished_at: Moment
    took_ms: float
    outcome: Annotated[str, Field(description="`ok`, `done`, or what went wrong")]
    ok: bool


class TraceView(View):
    """One event and all its runs, or one run of a replay."""

    trace_id: Annotated[str | None, Field(description="As in logs and in what goes out by OTLP; null: it has none")]
    correlation_id: str
    started_at: Moment
    finished_at: Moment
    replay_id: int | None
    original_trace_id: Annotated[str | None, Field(description="The trace that a replay's run repeats")]
    steps: Annotated[list[StepView], Field(description="In the order of time")]


class TracesView(View):
    """Newest first, of the newest 50 runs and 100 events."""

    items: list[TraceView]
    more: Annotated[bool, Field(description="There are older runs or events than these")]


@routes.get(
    "/contracts/{contract_id}/traces",
    response_model=TracesView,
    responses=problems(404),
    summary="What each event set off in a contract: runs, operations and ERP calls in time",
)
def contract_traces(call: Reading, contract_id: Id, trace_id: Chosen = None, correlation_id: Chosen = None) -> Response:
    found = call.reads.trace(contract_id)
    if found is None:
        raise NotFound(f"there is no contract {contract_id} within your reach")
    call.showed([contract_id])
    chosen = (
        one for one in found.traces if trace_id in (None, one.trace_id) and correlation_id in (None, one.correlation_id)
    )
    return answer(TracesView(items=[_trace(one) for one in chosen], more=found.more))


def _trace(one: Trace) -> TraceView:
    return TraceView(
        trace_id=one.trace_id or None,
        correlation_id=one.correlation_id,
        started_at=one.started_at,
        finished_at=one.finished_at,
        replay_id=one.replay_id,
        original_trace_id=one.original,
        steps=[_step(step) for step in one.steps],
    )


def _step(step: Step) -> StepView:
    return StepView(
        part=step.part,
        depth=step.depth,
        name=step.name,
        detail=step.detail,
        started_at=step.started_at,
        finished_at=step.finished_at,
        took_ms=step.took.total_seconds() * 1000,
        outcome=step.outcome,
        ok=step.ok,
    )
