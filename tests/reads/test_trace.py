"""A contract's trace from the journal: nesting by time, replays with a link, nothing out of reach."""

from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.reads.reads import Reads
from sync_core.reads.trace import Part
from tests import rows
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW, SOURCE

TRACE, OTHER = "ab" * 16, "cd" * 16
MS = timedelta(milliseconds=1)


def reads(engine: sa.Engine) -> Reads:
    return Reads(engine, clock=VirtualClock(NOW), estate=rows.estate())


def event(engine: sa.Engine, contract: str, trace_id: str, *, correlation: str = "k-1", name: str = "signed") -> None:
    insert(
        engine, "event", source=SOURCE, id=f"e-{uuid4()}", type=f"com.tieline.contract.{name}.v1",
        external_id=contract, occurred_at=NOW, recorded_at=NOW, received_by="webhook", correlation_id=correlation,
        traceparent=f"00-{trace_id}-{'12' * 8}-01", data="{}", attributes="{}",
    )  # fmt: skip


def run(
    engine: sa.Engine, contract_id: int, trace_id: str, *, correlation: str = "k-1", after_ms: int = 100,
    calls: list[tuple[str, float, str, int]] = [], outcome: str = "converged",  # noqa: B006
) -> str:  # fmt: skip
    """`calls`: (operation, begin in ms after the run's, outcome, milliseconds)."""
    run_id, begun = str(uuid4()), NOW + after_ms * MS
    journalled = [[name, ms, ended, 200, begun + at * MS, True] for name, at, ended, ms in calls]
    insert(
        engine, "run", run_id=run_id, contract_id=contract_id, rev=1, lane="cloud", outcome=outcome, state="active",
        correlation_id=correlation, trace_id=trace_id, started_at=begun, finished_at=begun + 500 * MS,
        recorded_at=begun, calls=orjson.dumps(journalled).decode(),
    )  # fmt: skip
    return run_id


def operation(engine: sa.Engine, run_id: str, contract_id: int, step: int, begin_ms: int, end_ms: int,
              **columns: object) -> None:  # fmt: skip
    begun = NOW + 100 * MS
    values: dict[str, object] = {
        "run_id": run_id, "step": step, "contract_id": contract_id, "system": "cloud", "action": "create",
        "kind": "project", "business_key": f"b-{step}", "status": "done", "span_id": f"{step:016x}",
        "started_at": begun + begin_ms * MS, "finished_at": begun + end_ms * MS,
    }  # fmt: skip
    insert(engine, "operation", "", **(values | columns))


def test_calls_stand_under_the_operation_in_whose_time_they_began(database: sa.Engine) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    event(database, "C-1", TRACE)
    looked, created = ("project.find", 5, "ok", 20), ("project.create", 110, "ok", 50)
    refused = ("lines.create", 210, "erp.rejected", 30)
    made = run(database, contract, TRACE, calls=[looked, created, refused])
    operation(database, made, contract, 0, 100, 190)
    operation(database, made, contract, 1, 200, 250, kind="contract_line", error="closed period", status="failed")
    found = reads(database).trace(contract)
    assert found is not None
    [one] = found.traces
    assert (one.trace_id, one.correlation_id, one.replay_id) == (TRACE, "k-1", None)
    assert [(step.part, step.depth, step.name, step.ok) for step in one.steps] == [
        (Part.EVENT, 0, "contract.signed.v1", True),
        (Part.RUN, 1, "run in cloud", True),
        (Part.CALL, 2, "project.find", True),
        (Part.OPERATION, 2, "project.create", True),
        (Part.CALL, 3, "project.create", True),
        (Part.OPERATION, 2, "contract_line.create", False),
        (Part.CALL, 3, "lines.create", False),
    ]
    assert (one.steps[4].took, one.steps[4].started_at) == (50 * MS, NOW + 210 * MS)
    assert one.finished_at == NOW + 600 * MS


def test_of_two_operations_side_by_side_the_later_one_has_the_call(database: sa.Engine) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    made = run(database, contract, TRACE, calls=[("a.b", 60, "ok", 5)])
    operation(database, made, contract, 0, 0, 100)
    operation(database, made, contract, 1, 50, 100)
    operation(database, made, contract, 2, 55, 100, span_id=None, status="no_op")
    found = reads(database).trace(contract)
    assert found is not None
    [one] = found.traces
    assert [(step.part, step.detail) for step in one.steps] == [
        (Part.RUN, ""), (Part.OPERATION, "b-0"), (Part.OPERATION, "b-1"), (Part.CALL, "write, HTTP 200"),
    ]  # fmt: skip


def test_a_replayed_run_is_a_trace_of_its_own_with_a_link(database: sa.Engine) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    event(database, "C-1", TRACE)
    run(database, contract, TRACE)
    again = run(database, contract, OTHER, after_ms=60_000)
    replay = insert(
        database, "replay", "replay_id", created_at=NOW, created_by="a@example.com", title="t", origin="current",
        selection="{}", entities=["US01"], items=1, state="finished", per_minute=60,
    )  # fmt: skip
    insert(
        database, "replay_item", replay_id=replay, contract_id=contract, position=1, eligibility="eligible",
        preview="done", preview_due_at=NOW, state="verified", lane="cloud", plan="[]", run_id=again,
    )  # fmt: skip
    found = reads(database).trace(contract)
    assert found is not None
    newest, oldest = found.traces
    assert (newest.trace_id, newest.replay_id, newest.original) == (OTHER, replay, TRACE)
    assert (oldest.trace_id, oldest.replay_id, oldest.original) == (TRACE, None, None)


def test_each_event_with_its_own_runs(database: sa.Engine) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    event(database, "C-1", TRACE)
    event(database, "C-1", OTHER, correlation="k-2", name="amended")
    run(database, contract, OTHER, correlation="k-2", outcome="retry")
    found = reads(database).trace(contract)
    assert found is not None
    by_trace = {one.trace_id: [(step.part, step.outcome) for step in one.steps] for one in found.traces}
    assert by_trace == {TRACE: [(Part.EVENT, "ok")], OTHER: [(Part.EVENT, "ok"), (Part.RUN, "retry")]}


def test_each_attempt_can_be_looked_at_apart(database: sa.Engine) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    event(database, "C-1", TRACE)
    for after_ms in (100, 3_600_000, 7_200_000):
        run(database, contract, TRACE, after_ms=after_ms, calls=[("a.b", 10, "ok", 5)], outcome="retry")
    found = reads(database).trace(contract)
    assert found is not None
    [one] = found.traces
    parts = [[step.part for step in attempt.steps] for attempt in one.attempts()]
    assert parts == [[Part.EVENT, Part.RUN, Part.CALL], [Part.RUN, Part.CALL], [Part.RUN, Part.CALL]]
    assert [len(attempt.attempts()) for attempt in one.attempts()] == [1, 1, 1]


@pytest.mark.parametrize(("entities", "seen"), [("US01", True), ("GB01", False)])
def test_a_contract_out_of_reach_is_none(database: sa.Engine, entities: str, seen: bool) -> None:
    contract = add_contract(database, external_id="C-1", took=1)
    event(database, "C-1", TRACE)
    viewer = person("cfo@example.com", [f"executive@{entities}"])
    assert (reads(database).within(viewer).trace(contract) is not None) is seen
    assert reads(database).within(viewer).trace(10**9) is None
