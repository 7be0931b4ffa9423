"""The trace of a contract as the journal has it: event, run, operation, ERP call, each with its place in time.

Nothing has to be switched on for it: trace and span ids are journalled whether or not spans go out by OTLP. Calls carry
no span id in the journal; each stands under the operation in whose time it began, else under its run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

import sqlalchemy as sa

from sync_core.reads.scope import OF_CONTRACT, Entities, bound

MOST_RUNS: Final = 50  # the newest
MOST_EVENTS: Final = 100

_EVENTS = sa.text(f"""
    SELECT e.seq, e.type, e.occurred_at, e.recorded_at, e.received_by, e.correlation_id, e.traceparent
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = :contract_id AND {OF_CONTRACT} ORDER BY e.seq DESC LIMIT :most
""")
_RUNS = sa.text(f"""
    SELECT r.run_id, r.lane, r.outcome, r.correlation_id, r.trace_id, r.started_at, r.finished_at, r.error, r.calls,
           (SELECT i.replay_id FROM core.replay_item AS i
            WHERE i.contract_id = r.contract_id AND i.run_id = r.run_id LIMIT 1) AS replay_id
    FROM core.contract AS c JOIN core.run AS r USING (contract_id)
    WHERE c.contract_id = :contract_id AND {OF_CONTRACT} ORDER BY r.started_at DESC, r.run_id LIMIT :most
""")
_OPERATIONS = sa.text("""
    SELECT run_id, step, action, kind, business_key, status, error, span_id, started_at, finished_at
    FROM core.operation WHERE run_id = ANY(:run_ids) AND status <> 'no_op' ORDER BY run_id, started_at, step
""")
_SEEN = sa.text(f"SELECT EXISTS (SELECT FROM core.contract AS c WHERE c.contract_id = :contract_id AND {OF_CONTRACT})")


class Part(StrEnum):
    EVENT = "event"
    RUN = "run"
    OPERATION = "operation"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the waterfall. `depth` counts from the event, 0; texts are of ERPs and CLMs."""

    part: Part
    depth: int
    name: str
    detail: str
    started_at: datetime
    finished_at: datetime
    outcome: str  # ok, or what went wrong
    ok: bool

    @property
    def took(self) -> timedelta:
        return self.finished_at - self.started_at


@dataclass(frozen=True, slots=True)
class Trace:
    """What one event set off, in the order of time, or one replayed run with a link to the trace that it repeats."""

    trace_id: str
    correlation_id: str
    steps: Sequence[Step]
    replay_id: int | None = None
    original: str | None = None  # the trace id that a replay links to

    @property
    def started_at(self) -> datetime:
        return self.steps[0].started_at

    @property
    def finished_at(self) -> datetime:
        return max(step.finished_at for step in self.steps)

    def attempts(self) -> list["Trace"]:
        """Each run of it apart, the first one with the events before it: between two tries there may be days."""
        starts = [at for at, step in enumerate(self.steps) if step.part is Part.RUN]
        if len(starts) < 2:
            return [self]
        cuts = [0, *starts[1:], len(self.steps)]
        return [replace(self, steps=self.steps[low:high]) for low, high in pairwise(cuts)]


@dataclass(frozen=True, slots=True)
class ContractTrace:
    """Newest first. `more`: there are older runs or events than are shown."""

    traces: Sequence[Trace]
    more: bool


def contract_trace(conn: sa.Connection, contract_id: int, *, entities: Entities) -> ContractTrace | None:
    """None when there is no such contract within reach."""
    mine = {"contract_id": contract_id, **bound(entities)}
    if not conn.scalar(_SEEN, mine):
        return None
    events = conn.execute(_EVENTS, {**mine, "most": MOST_EVENTS}).all()
    runs = conn.execute(_RUNS, {**mine, "most": MOST_RUNS}).all()
    operations = conn.execute(_OPERATIONS, {"run_ids": [run.run_id for run in runs]}).all()
    traces = sorted(_traces(events, runs, operations), key=lambda one: one.started_at, reverse=True)
    return ContractTrace(traces, len(events) == MOST_EVENTS or len(runs) == MOST_RUNS)


def trace_id_of(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent else None


def _traces(events: Sequence[sa.Row[Any]], runs: Sequence[sa.Row[Any]], done: Sequence[sa.Row[Any]]) -> Iterator[Trace]:
    by_run: dict[object, list[sa.Row[Any]]] = {}
    for operation in done:
        by_run.setdefault(operation.run_id, []).append(operation)
    found: dict[tuple[str, str], list[Step]] = {}
    for event in reversed(events):
        key = (trace_id_of(event.traceparent) or "", event.correlation_id)
        found.setdefault(key, []).append(_event(event))
    originals = {correlation: trace for trace, correlation in found}
    replays: dict[tuple[str, str], int] = {}
    for run in reversed(runs):
        key = (run.trace_id or "", run.correlation_id)
        if key not in found and run.replay_id is not None:
            replays[key] = run.replay_id
        found.setdefault(key, []).extend(_run(run, by_run.get(run.run_id, []), depth=0 if key in replays else 1))
    for (trace_id, correlation_id), steps in found.items():
        number = replays.get((trace_id, correlation_id))
        original = originals.get(correlation_id) or None if number is not None else None
        yield Trace(trace_id, correlation_id, steps, number, original)


def _event(event: sa.Row[Any]) -> Step:
    name = event.type.removeprefix("com.tieline.")
    return Step(Part.EVENT, 0, name, event.received_by, event.recorded_at, event.recorded_at, "ok", ok=True)


def _run(run: sa.Row[Any], operations: Sequence[sa.Row[Any]], *, depth: int) -> Iterator[Step]:
    ok = run.outcome in ("converged", "skipped", "waiting")
    yield Step(
        Part.RUN, depth, f"run in {run.lane}" if run.lane else "run", run.error or "", run.started_at, run.finished_at,
        "ok" if ok else run.outcome, ok=ok,
    )  # fmt: skip
    calls = [_call(call, depth + 1) for call in run.calls]
    taken: dict[int, list[Step]] = {}
    for call in calls:
        place = _place(call, operations)
        taken.setdefault(place, []).append(call)
    below = [(step.started_at, [step]) for step in taken.get(-1, [])]
    for at, operation in enumerate(operations):
        one = _operation(operation, depth + 1)
        nested = [_call_below(step) for step in sorted(taken.get(at, []), key=lambda step: step.started_at)]
        below.append((one.started_at, [one, *nested]))
    for _, steps in sorted(below, key=lambda group: group[0]):
        yield from steps


def _place(call: Step, operations: Sequence[sa.Row[Any]]) -> int:
    """The operation in whose time the call began, the one that began last if there are several; -1 for none."""
    inside = [
        (operation.started_at, at)
        for at, operation in enumerate(operations)
        if operation.span_id and operation.started_at <= call.started_at <= operation.finished_at
    ]
    return max(inside)[1] if inside else -1


def _operation(operation: sa.Row[Any], depth: int) -> Step:
    ok = operation.error is None and operation.status != "failed"
    return Step(
        Part.OPERATION, depth, f"{operation.kind}.{operation.action}", operation.error or operation.business_key,
        operation.started_at, operation.finished_at, operation.status, ok=ok,
    )  # fmt: skip


def _call(call: Sequence[Any], depth: int) -> Step:
    """[operation, milliseconds, outcome, HTTP status, begin, writes] as the journal keeps it."""
    operation, ms, outcome, status, started_at, writes = call
    begun = datetime.fromisoformat(started_at)
    detail = f"{'write' if writes else 'read'}{f', HTTP {status}' if status else ''}"
    return Step(
        Part.CALL, depth, operation, detail, begun, begun + timedelta(milliseconds=ms), outcome, ok=outcome == "ok"
    )


def _call_below(step: Step) -> Step:
    return Step(
        step.part, step.depth + 1, step.name, step.detail, step.started_at, step.finished_at, step.outcome, step.ok
    )
