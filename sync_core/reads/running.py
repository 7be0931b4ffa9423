"""How the engine runs: lanes, workers, scheduled jobs, and the short status that operators ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from sync_core.journal.progress import State
from sync_core.locks import Lock, held
from sync_core.money import Money
from sync_core.reads.amounts import MoneyTotal
from sync_core.reads.scope import CONTRACT, OF_CONTRACT, Entities, bound
from sync_core.reads.waiting import waiting_by_lane

# A worker lives while it holds its advisory lock. Locks do not show on a replica: there its beat counts.
SILENCE = timedelta(seconds=60)

# Slot leases are by the database's clock. A run that converged has read its ERP back, and the watermark of an ERP's
# books moves when a page of them was read: both are calls that were answered.
LANES = sa.text(f"""
    SELECT l.lane, l.breaker, l.reason, l.failures, l.opened_at, l.probe_at, l.max_in_flight,
           (SELECT count(*) FROM core.lane_slot AS s
            WHERE s.lane = l.lane AND s.worker_id IS NOT NULL AND s.lease_until > now()) AS slots_used,
           greatest((SELECT r.finished_at FROM core.run AS r WHERE r.lane = l.lane AND r.outcome = 'converged'
                     ORDER BY r.finished_at DESC LIMIT 1),
                    (SELECT w.updated_at FROM core.watermark AS w WHERE w.name = 'erp:' || l.lane)) AS reached_at,
           (SELECT count(*) FROM core.observed AS o JOIN core.contract AS c USING (contract_id)
            WHERE o.lane = l.lane AND {OF_CONTRACT}) AS observed,
           (SELECT k.does_without FROM core.connector_check AS k WHERE k.lane = l.lane) AS does_without
    FROM core.lane AS l ORDER BY l.lane
""")
WORKERS = sa.text(f"""
    WITH locks AS (
        SELECT key AS worker_id FROM ({held(Lock.WORKER)}) AS h
    ), held AS (
        SELECT lease_owner AS worker_id, count(*) AS contracts FROM core.contract
        WHERE lease_owner IS NOT NULL GROUP BY lease_owner
    )
    SELECT w.worker_id, w.name, w.version, w.started_at, w.beat_at,
           w.worker_id IN (SELECT worker_id FROM locks) OR pg_is_in_recovery() AND w.beat_at > :heard AS alive,
           coalesce(held.contracts, 0) AS contracts
    FROM core.worker AS w LEFT JOIN held USING (worker_id) ORDER BY w.worker_id
""")
JOBS = sa.text("""
    WITH newest AS (
        SELECT DISTINCT ON (job) job, scheduled_for, started_at, finished_at, outcome, detail
        FROM core.job_run ORDER BY job, scheduled_for DESC
    )
    SELECT newest.*, (SELECT r.finished_at FROM core.job_run AS r
                      WHERE r.job = newest.job AND r.outcome = 'ok' ORDER BY r.scheduled_for DESC LIMIT 1) AS last_ok_at
    FROM newest ORDER BY job
""")
STATES = sa.text(f"SELECT state, count(*) AS contracts FROM core.contract WHERE {CONTRACT} GROUP BY state")
# Before the first activation a contract waits since its signature, later since the change that made it wait. One that
# is billable, not due and not being tried again waits for nobody but its CLM.
OLDEST = sa.text(f"""
    SELECT min(CASE WHEN first_active_at IS NULL THEN coalesce(signed_at, state_since) ELSE state_since END)
    FROM core.contract WHERE state = 'waiting' AND (first_active_at IS NULL OR due_at <= :now OR last_error IS NOT NULL)
      AND {CONTRACT}
""")
QUARANTINE = sa.text(f"""
    SELECT count(*) FROM core.quarantine LEFT JOIN core.contract AS c USING (source, external_id)
    WHERE released_at IS NULL AND dismissed_at IS NULL AND {OF_CONTRACT}
""")
VERSIONS = sa.text("""
    SELECT current_setting('server_version') AS postgresql,
           (SELECT digest FROM core.estate_version ORDER BY activated_at DESC LIMIT 1) AS estate
""")


@dataclass(frozen=True, slots=True)
class LaneState:
    lane: str
    breaker: str  # closed, open, paused
    reason: str | None
    failures: int
    opened_at: datetime | None
    probe_at: datetime | None
    slots_total: int
    slots_used: int
    waiting: MoneyTotal  # contracts that wait for their first activation here
    reached_at: datetime | None  # when the ERP last answered, as far as is kept; None: never
    observed: int = 0  # contracts of which what would be done here is only looked at
    does_without: str | None = None  # what its ERP has not and the lane runs without


@dataclass(frozen=True, slots=True)
class WorkerState:
    worker_id: int
    name: str
    version: str
    started_at: datetime
    beat_at: datetime
    alive: bool
    contracts: int  # held now


@dataclass(frozen=True, slots=True)
class JobState:
    """The newest run of a scheduled job. `finished_at` None: it runs, or its host died."""

    job: str
    scheduled_for: datetime
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    detail: str | None
    last_ok_at: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """Trial contracts are counted here: it is the engine's state, not the business's."""

    now: datetime
    by_state: Mapping[State, int]
    oldest_waiting_age_s: float | None
    lanes: tuple[LaneState, ...]
    quarantine_open: int
    workers_alive: int
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """For `tieline status --json`: plain values, times in ISO form, money as text."""
        return {
            "now": self.now.isoformat(),
            "contracts": {state.value: self.by_state[state] for state in State},
            "oldest_waiting_age_s": self.oldest_waiting_age_s,
            "lanes": [_lane_json(lane) for lane in self.lanes],
            "quarantine_open": self.quarantine_open,
            "workers_alive": self.workers_alive,
            "versions": dict(self.versions),
        }


def lanes(conn: sa.Connection, *, now: datetime, reporting: str, entities: Entities) -> list[LaneState]:
    """All lanes; what waits in them is that of these legal entities."""
    waiting = waiting_by_lane(conn, reporting=reporting, entities=entities)
    nothing = MoneyTotal(Money(Decimal(0), reporting), 0)
    return [
        LaneState(
            row.lane, row.breaker, row.reason, row.failures, row.opened_at, row.probe_at, row.max_in_flight,
            row.slots_used, waiting.get(row.lane, nothing), row.reached_at,
            row.observed, row.does_without,
        )
        for row in conn.execute(LANES, bound(entities))
    ]  # fmt: skip


def workers(conn: sa.Connection, *, now: datetime) -> list[WorkerState]:
    return [WorkerState(*row) for row in conn.execute(WORKERS, {"heard": now - SILENCE})]


def jobs(conn: sa.Connection) -> list[JobState]:
    return [JobState(*row) for row in conn.execute(JOBS)]


def status(conn: sa.Connection, *, now: datetime, reporting: str, product: str, entities: Entities) -> Status:
    """`product` is the release that asks."""
    mine = bound(entities)
    oldest = conn.scalar(OLDEST, {**mine, "now": now})
    crew = [worker for worker in workers(conn, now=now) if worker.alive]
    versions = conn.execute(VERSIONS).one()
    return Status(
        now=now,
        by_state=dict.fromkeys(State, 0) | {State(row.state): row.contracts for row in conn.execute(STATES, mine)},
        oldest_waiting_age_s=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        lanes=tuple(lanes(conn, now=now, reporting=reporting, entities=entities)),
        quarantine_open=int(conn.scalar(QUARANTINE, mine) or 0),
        workers_alive=len(crew),
        versions={
            "tieline": product,
            "workers": ", ".join(sorted({worker.version for worker in crew})),
            "postgresql": versions.postgresql,
            "estate": versions.estate or "",
        },
    )


def _lane_json(lane: LaneState) -> dict[str, object]:
    return {
        "lane": lane.lane,
        "breaker": lane.breaker,
        "reason": lane.reason,
        "slots_used": lane.slots_used,
        "slots_total": lane.slots_total,
        "reached_at": None if lane.reached_at is None else lane.reached_at.isoformat(),
        "observed": lane.observed,
        "waiting": lane.waiting.count,
        "waiting_money": str(lane.waiting.money.amount),
        "currency": lane.waiting.money.currency,
        "waiting_without_rate": {part.total.currency: str(part.total.amount) for part in lane.waiting.unconverted},
    }
