"""Every run is counted once: its calls by duration, its end, and whether it was the first of its message."""

import math
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
import sqlalchemy as sa

from collectors import journal
from collectors.journal import Counted, collect
from metrics.technical import Technical, together
from sync_core.clock import VirtualClock
from sync_core.errors import READ_BACK_WORDS
from sync_core.telemetry.latencies import Kind

NOW = datetime(2026, 11, 23, 12, 30, 20, tzinfo=UTC)
_RUN = sa.text("""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, trace_id, started_at,
                          finished_at, recorded_at, error_class, error, calls, digest)
    VALUES (:run_id, :contract_id, :rev, :lane, :outcome, 'waiting', 'k', :trace_id, :at, :at, :at, :error_class,
            :error, CAST(:calls AS jsonb), :digest)
""")
TRACE = "0af7651916cd43dd8448eb211c80319c"


def add_run(
    conn: sa.Connection,
    contract_id: int = 1,
    rev: int = 1,
    *,
    outcome: str = "converged",
    lane: str = "cloud",
    at: datetime = NOW - timedelta(minutes=5),
    error_class: str | None = None,
    error: str | None = None,
    calls: list[tuple[str, float, str, bool]] | None = None,
    digest: str | None = "d",
    trace_id: str | None = TRACE,
) -> str:
    """`calls`: (operation, milliseconds, outcome, writes), all begun at `at`."""
    run_id = str(uuid4())
    journalled = [[name, ms, ended, 200, at, writes] for name, ms, ended, writes in calls or []]
    conn.execute(
        _RUN,
        {
            "run_id": run_id, "contract_id": contract_id, "rev": rev, "lane": lane, "outcome": outcome, "at": at,
            "trace_id": trace_id, "error_class": error_class, "error": error, "digest": digest,
            "calls": orjson.dumps(journalled).decode(),
        },
    )  # fmt: skip
    return run_id


def counted(engine: sa.Engine, clock: VirtualClock, *, batch: int = 5_000) -> Counted:
    """All that is committed: transactions of other tests on this server can hold the watermark back."""
    with engine.begin() as conn:
        mark = int(conn.scalar(sa.text("SELECT CAST(pg_current_xact_id() AS text)")) or 0)
    runs = calls = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as conn:
            head = int(conn.scalar(sa.text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")) or 0)
        done = collect(engine, clock=clock, batch=batch)
        runs, calls = runs + done.runs, calls + done.calls
        if head > mark:
            return Counted(runs, calls)
    raise AssertionError("transactions of others have kept the journal back for a minute")


def rows(engine: sa.Engine, sql: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(sql))]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


def test_a_call_is_in_the_bucket_whose_upper_bound_holds_it(database: sa.Engine, clock: VirtualClock) -> None:
    """5 ms is at most 5 ms; 5.001 ms is not; two minutes and a bit are beyond every bound."""
    with database.begin() as conn:
        add_run(conn, calls=[("project.create", ms, "ok", True) for ms in (5, 5.001, 2500, 120_000, 120_001)])
    assert counted(database, clock) == Counted(1, 5)
    found = rows(database, "SELECT le, n FROM telemetry.call_minute ORDER BY le")
    assert found == [(0.005, 1), (0.01, 1), (2.5, 1), (120.0, 1), (math.inf, 1)]
    assert rows(database, "SELECT le, n FROM telemetry.call_hour ORDER BY le") == found
    assert rows(database, "SELECT le, n FROM telemetry.call_total ORDER BY le") == found


def test_a_run_is_counted_once_whoever_counts_and_however_often(database: sa.Engine, clock: VirtualClock) -> None:
    for number in range(7):
        with database.begin() as conn:
            add_run(conn, number, calls=[("project.find", 20, "ok", False)])
    assert counted(database, clock, batch=2) == Counted(7, 7)
    assert counted(database, clock) == Counted(0, 0)
    with database.begin() as conn:
        add_run(conn, 9, calls=[("project.find", 20, "ok", False)])
    assert counted(database, clock) == Counted(1, 1)
    assert rows(database, "SELECT n, total_s FROM telemetry.call_total") == [(8, pytest.approx(0.160))]
    assert rows(database, "SELECT n FROM telemetry.count_total WHERE name = 'attempts'") == [(8,)]


def test_a_run_that_is_not_committed_yet_is_counted_when_it_is(database: sa.Engine, clock: VirtualClock) -> None:
    slow = database.connect()
    begun = slow.begin()
    add_run(slow, 1, calls=[("a.b", 1, "ok", False)])
    with database.begin() as conn:
        add_run(conn, 2, calls=[("a.b", 1, "ok", False)])
    assert collect(database, clock=clock).runs == 0, "below the oldest transaction that still runs there is nothing"
    begun.commit()
    slow.close()
    assert counted(database, clock) == Counted(2, 2)


def test_attempts_messages_and_retries(database: sa.Engine, clock: VirtualClock) -> None:
    """By hand: 3 messages; attempts 2 + 1 + 3 = 6, of which transient 1, ambiguous 1, permanent 2; amplification 2."""
    at = NOW - timedelta(minutes=5)

    def ago(seconds: int) -> datetime:
        return at + timedelta(seconds=seconds)

    with database.begin() as conn:
        add_run(conn, 1, outcome="retry", error_class="transient", at=ago(0))
        add_run(conn, 1, outcome="converged", at=ago(1))
        add_run(conn, 2, outcome="blocked", digest=None, at=ago(2))
        add_run(conn, 3, outcome="retry", error_class="ambiguous", at=ago(3))
        add_run(conn, 3, outcome="retry", error_class="internal", at=ago(4))
        add_run(conn, 3, outcome="failed", error_class="internal", at=ago(5))
    counted(database, clock)
    found = Technical(database, clock=clock).report().attempts["cloud"]
    assert found.by_label == {"ok": 1, "blocked": 1, "transient": 1, "ambiguous": 1, "permanent": 2}
    assert (found.attempts, found.failed, found.messages, found.failed_messages) == (6, 4, 3, 1)
    assert found.failure_rate == pytest.approx(4 / 6)
    assert found.message_failure_rate == pytest.approx(1 / 3)
    assert found.amplification == 2.0


def test_a_new_revision_is_a_new_message_and_its_first_attempt_counts_it(
    database: sa.Engine, clock: VirtualClock
) -> None:
    with database.begin() as conn:
        add_run(conn, 1, rev=1, lane="cloud", at=NOW - timedelta(minutes=9))
        add_run(conn, 1, rev=2, lane="legacy", at=NOW - timedelta(minutes=8))
    counted(database, clock)
    found = Technical(database, clock=clock).report().attempts
    assert {lane: part.messages for lane, part in found.items()} == {"cloud": 1, "legacy": 1}
    assert together(found).amplification == 1.0


def test_a_message_is_given_up_once(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        for minutes in (9, 8, 7):
            add_run(conn, 1, outcome="failed", error_class="internal", at=NOW - timedelta(minutes=minutes))
    counted(database, clock)
    found = Technical(database, clock=clock).report().attempts["cloud"]
    assert (found.attempts, found.messages, found.failed_messages) == (3, 1, 1)


def test_a_message_that_is_given_up_later_has_failed_among_those_it_was_first_tried_with(
    database: sa.Engine, clock: VirtualClock
) -> None:
    """Four hours ago two messages in one lane, of which one is given up now in another; and now one that is well."""
    with database.begin() as conn:
        for contract in (1, 2):
            add_run(conn, contract, outcome="retry", error_class="transient", at=NOW - timedelta(hours=4))
        add_run(conn, 3)
        replayed = add_run(conn, 4, outcome="failed", error_class="internal")  # no message: a person asked for it
        conn.execute(
            sa.text("""
            WITH asked AS (
                INSERT INTO core.replay (created_at, created_by, title, origin, selection, entities, items, state,
                                         per_minute)
                VALUES (:at, 'pat', '', 'current', '{}', '{GB01}', 1, 'finished', 1) RETURNING replay_id)
            INSERT INTO core.replay_item (replay_id, contract_id, position, eligibility, preview, preview_due_at, state,
                                          run_id)
            SELECT replay_id, 4, 1, 'eligible', 'done', :at, 'failed', CAST(:run AS uuid) FROM asked"""),
            {"at": NOW, "run": replayed},
        )
    counted(database, clock)
    with database.begin() as conn:
        add_run(conn, 1, lane="legacy", outcome="failed", error_class="internal")
    counted(database, clock)
    technical = Technical(database, clock=clock)
    recent = technical.report(timedelta(hours=1)).attempts
    assert {lane: (part.messages, part.failed_messages) for lane, part in recent.items()} == {
        "cloud": (1, 0), "legacy": (0, 0),
    }  # fmt: skip
    assert (recent["cloud"].message_failure_rate, recent["legacy"].message_failure_rate) == (0.0, None)
    longer = technical.report(timedelta(hours=6)).attempts
    assert (longer["cloud"].messages, longer["cloud"].failed_messages) == (3, 1)


def test_read_backs_that_found_something_else_are_told_apart(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        add_run(conn, 1)
        add_run(conn, 2, digest=None)
        add_run(conn, 3, outcome="retry", error_class="ambiguous", error=f"cloud: {READ_BACK_WORDS}: update project P")
        add_run(conn, 4, outcome="retry", error_class="ambiguous", error="cloud: no answer within 30 s")
    counted(database, clock)
    found = rows(database, "SELECT label, n FROM telemetry.count_total WHERE name = 'read_backs' ORDER BY 1")
    assert found == [("mismatch", 1), ("ok", 1)]


def test_nothing_happened_is_none_and_not_nought(database: sa.Engine, clock: VirtualClock) -> None:
    counted(database, clock)
    report = Technical(database, clock=clock).report()
    assert (report.calls, dict(report.attempts)) == ([], {})
    whole = together(report.attempts)
    assert (whole.failure_rate, whole.message_failure_rate, whole.amplification) == (None, None, None)


def test_the_last_trace_of_each_bucket_is_kept(database: sa.Engine, clock: VirtualClock) -> None:
    other = "f" * 32
    with database.begin() as conn:
        add_run(conn, 1, at=NOW - timedelta(minutes=9), calls=[("a.b", 3, "ok", False)])
        add_run(conn, 2, at=NOW - timedelta(minutes=8), calls=[("a.b", 4, "ok", False)], trace_id=other)
    counted(database, clock)
    with database.begin() as conn:
        add_run(conn, 3, at=NOW - timedelta(minutes=7), calls=[("a.b", 2, "ok", False)], trace_id=None)
    counted(database, clock)
    assert rows(database, "SELECT n, trace_id, trace_s FROM telemetry.call_total") == [(3, other, 0.004)]


def test_what_is_older_than_is_kept_counts_in_the_totals_alone(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        add_run(conn, 1, at=datetime(2026, 8, 31, 23, 59, tzinfo=UTC), calls=[("a.b", 3, "ok", False)])
        add_run(conn, 2, at=datetime(2025, 9, 30, 23, 59, tzinfo=UTC), calls=[("a.b", 3, "ok", False)])
    counted(database, clock)
    assert rows(database, "SELECT count(*) FROM telemetry.call_minute") == [(0,)]
    assert rows(database, "SELECT at FROM telemetry.call_hour") == [(datetime(2026, 8, 31, 23, tzinfo=UTC),)]
    assert rows(database, "SELECT n FROM telemetry.call_total") == [(2,)]


def test_a_database_restored_elsewhere_is_not_stuck(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        conn.execute(
            sa.text("INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, '99999999999', :now)"),
            {"name": journal.WATERMARK, "now": NOW},
        )
    assert counted(database, clock) == Counted(0, 0)
    with database.begin() as conn:
        add_run(conn, 1, calls=[("a.b", 3, "ok", False)])
    assert counted(database, clock) == Counted(1, 1)


def test_the_report_names_each_system_and_adds_operations(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        add_run(conn, 1, calls=[("a.find", 20, "ok", False), ("a.create", 200, "erp.rejected", True)])
        add_run(conn, 2, lane="legacy", calls=[("a.find", 30, "ok", False)])
    counted(database, clock)
    report = Technical(database, clock=clock).report()
    assert [(one.system, one.operation, one.writes, one.n) for one in report.calls] == [
        ("cloud", "a.create", True, 1), ("cloud", "a.find", False, 1), ("legacy", "a.find", False, 1),
    ]  # fmt: skip
    cloud, legacy = report.calls_of(Kind.ERP)
    assert (cloud.n, cloud.failed, cloud.failure_share, legacy.n) == (2, 1, 0.5, 1)
