"""Lanes, workers, jobs and the status that operators ask for."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa

from sync_core.journal.progress import State
from sync_core.locks import Lock
from sync_core.money import Money
from sync_core.reads import Reads, Unconverted
from sync_core.reads.snapshot import snapshot
from tests.reads.handmade import add_contract, add_quarantined, insert
from tests.rows import NOW


def test_a_lane_shows_its_slots_and_the_money_that_waits_there(database: sa.Engine, reads: Reads) -> None:
    insert(database, "lane", lane="cloud", breaker="open", reason="connection refused", max_in_flight=4)
    insert(database, "lane", lane="legacy", max_in_flight=2)
    with database.begin() as conn:
        conn.execute(
            sa.text("""INSERT INTO core.lane_slot (lane, slot, worker_id, lease_until) VALUES
            ('cloud', 0, 1, now() + interval '1 h'), ('cloud', 1, 1, now() - interval '1 s'),
            ('cloud', 2, NULL, now() + interval '1 h')""")
        )
    add_contract(database, value_reporting=Decimal(30))
    add_contract(database, value_reporting=None, currency="BRL", value=Decimal(7))
    add_contract(database, state="blocked", value_reporting=Decimal(500))
    cloud, legacy = reads.lanes()
    assert (cloud.lane, cloud.breaker, cloud.reason) == ("cloud", "open", "connection refused")
    assert (cloud.slots_used, cloud.slots_total) == (1, 4)
    assert (cloud.waiting.count, cloud.waiting.money) == (2, Money(Decimal(30), "USD"))
    assert cloud.waiting.unconverted == (Unconverted(Money(Decimal(7), "BRL"), 1),)
    assert (legacy.waiting.count, legacy.slots_used, legacy.breaker) == (0, 0, "closed")


def test_a_lane_says_when_its_erp_last_answered(database: sa.Engine, reads: Reads) -> None:
    for lane in ("called", "never", "read"):
        insert(database, "lane", lane=lane, max_in_flight=4)
    contract = add_contract(database)
    for number, (hours, outcome) in enumerate([(30, "converged"), (5, "converged"), (1, "blocked")]):
        at = NOW - timedelta(hours=hours)
        insert(
            database, "run", run_id=UUID(int=number), contract_id=contract, rev=1, lane="called", outcome=outcome,
            state="active", correlation_id="k", started_at=at, finished_at=at, recorded_at=at,
        )  # fmt: skip
    insert(database, "watermark", name="erp:read", value="9", updated_at=NOW - timedelta(hours=2))
    assert {lane.lane: lane.reached_at for lane in reads.lanes()} == {
        "called": NOW - timedelta(hours=5), "never": None, "read": NOW - timedelta(hours=2),
    }  # fmt: skip


def test_a_worker_lives_as_long_as_its_lock(database: sa.Engine, reads: Reads) -> None:
    values = {"name": "w", "version": "1.2.3", "started_at": NOW, "beat_at": NOW}
    dead, alive = (insert(database, "worker", "worker_id", **values) for _ in range(2))
    add_contract(database, lease_owner=alive)
    with database.connect() as holder:
        holder.execute(sa.text(f"SELECT pg_advisory_lock({Lock.WORKER}, :worker)"), {"worker": alive})
        assert [(w.worker_id, w.alive, w.contracts) for w in reads.workers()] == [(dead, False, 0), (alive, True, 1)]
        seen = reads.status()
        assert (seen.workers_alive, seen.versions["workers"]) == (1, "1.2.3")
        holder.execute(sa.text(f"SELECT pg_advisory_unlock({Lock.WORKER}, :worker)"), {"worker": alive})
    assert not any(worker.alive for worker in reads.workers())


def test_a_job_shows_its_newest_run_and_when_it_last_went_well(database: sa.Engine, reads: Reads) -> None:
    for minutes, outcome in ((20, "ok"), (10, "ok"), (0, "failed")):
        at = NOW - timedelta(minutes=minutes)
        insert(database, "job_run", job="poll", scheduled_for=at, started_at=at, finished_at=at, outcome=outcome)
    insert(database, "job_run", job="rollup", scheduled_for=NOW, started_at=NOW)
    poll, rollup = reads.jobs()
    assert (poll.job, poll.scheduled_for, poll.outcome) == ("poll", NOW, "failed")
    assert poll.last_ok_at == NOW - timedelta(minutes=10)
    assert (rollup.job, rollup.finished_at, rollup.last_ok_at) == ("rollup", None, None)


def test_status_names_every_state_even_of_an_empty_database(reads: Reads) -> None:
    said = orjson.loads(orjson.dumps(reads.status().as_json()))
    assert said["contracts"] == dict.fromkeys((state.value for state in State), 0)
    assert (said["oldest_waiting_age_s"], said["lanes"], said["quarantine_open"]) == (None, [], 0)
    assert set(said["versions"]) == {"tieline", "workers", "postgresql", "estate"}


@pytest.mark.parametrize(("took", "seconds"), [(None, 30 * 3600), (2, 3600)])
def test_the_oldest_wait_is_since_signature_or_since_the_change(
    database: sa.Engine, reads: Reads, took: float | None, seconds: float
) -> None:
    add_contract(database, signed=30, took=took, state="waiting", state_since=NOW - timedelta(hours=1), due_at=NOW)
    add_contract(database, signed=99, state="blocked")
    add_quarantined(database, "Q-1", hours=1)
    insert(database, "lane", lane="cloud", max_in_flight=4)
    seen = reads.status()
    assert (seen.oldest_waiting_age_s, seen.quarantine_open) == (seconds, 1)
    assert orjson.loads(orjson.dumps(seen.as_json()))["lanes"][0]["slots_total"] == 4


@pytest.mark.parametrize(
    ("took", "due", "error", "waits"),
    [
        (None, 1, None, True),  # never billable: it waits, whenever the next attempt is
        (2, -1, None, True),
        (2, 1, "connection refused", True),  # the next attempt comes after a pause
        (2, 1, None, False),  # billable, and only an amendment that may never come is waited for
        (2, None, None, False),
    ],
)
def test_what_is_billable_and_not_due_does_not_wait(
    database: sa.Engine, reads: Reads, took: float | None, due: float | None, error: str | None, waits: bool
) -> None:
    due_at = None if due is None else NOW + timedelta(hours=due)
    since = NOW - timedelta(hours=4)
    add_contract(database, signed=30, took=took, state="waiting", state_since=since, due_at=due_at, last_error=error)
    assert (reads.status().oldest_waiting_age_s is not None) == waits


def test_reading_changes_nothing_and_is_refused_if_it_would(database: sa.Engine) -> None:
    with pytest.raises(sa.exc.InternalError, match="read-only"), snapshot(database) as conn:
        conn.execute(sa.text("UPDATE core.contract SET title = ''"))
