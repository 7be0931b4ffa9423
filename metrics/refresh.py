"""Keeps facts and rollups true: looks again at every contract that something happened to, and at no other.

What happened is read by the ids of committed transactions, below the oldest one that still runs, so nothing that
commits late is passed over. A refresh cut short leaves the contracts it owes in metrics.dirty, and the next one goes on
under the same moment. Many may call at once: a lock makes each transaction of theirs come after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import sqlalchemy as sa

from metrics import calendars, rates
from metrics.facts import facts
from metrics.facts.fact import Fact
from sync_core.clock import Clock
from sync_core.estate import Estate

BATCH: Final = 2_000  # contracts per transaction

_LOCK = sa.text("SELECT pg_advisory_xact_lock(7721, 1)")
_LAST = sa.text("""
    SELECT at, CAST(cut AS text) AS cut, finished_at, CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS head
    FROM metrics.refresh ORDER BY at DESC LIMIT 1
""")
_HEAD = sa.text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")
_BEGIN = sa.text("INSERT INTO metrics.refresh (at, cut, contracts) VALUES (:at, CAST(:cut AS xid8), 0)")
_COUNT = sa.text("UPDATE metrics.refresh SET contracts = contracts + :contracts WHERE at = :at")
_FINISH = sa.text("UPDATE metrics.refresh SET finished_at = :now WHERE at = :at")
_ALL = sa.text("INSERT INTO metrics.dirty SELECT contract_id FROM core.contract ON CONFLICT DO NOTHING")


def _new(alias: str) -> str:
    return f"{alias}.recorded_xid >= CAST(:since AS xid8) AND {alias}.recorded_xid < CAST(:cut AS xid8)"


_CHANGED = sa.text(f"""
    INSERT INTO metrics.dirty
    SELECT c.contract_id FROM core.contract AS c JOIN core.event AS e USING (source, external_id) WHERE {_new("e")}
    UNION SELECT r.contract_id FROM core.run AS r WHERE {_new("r")}
    UNION SELECT k.contract_id FROM core.case AS k JOIN core.case_history AS h USING (case_id) WHERE {_new("h")}
    UNION SELECT coalesce(f.contract_id, x.contract_id)
    FROM core.financial_fact AS f LEFT JOIN core.crosswalk AS x
         ON x.system = f.system AND x.kind = 'project' AND x.business_key = f.project_key
    WHERE {_new("f")} AND coalesce(f.contract_id, x.contract_id) IS NOT NULL
    ON CONFLICT DO NOTHING
""")
_TAKE = sa.text("""
    DELETE FROM metrics.dirty WHERE contract_id IN (
        SELECT contract_id FROM metrics.dirty ORDER BY contract_id LIMIT :batch) RETURNING contract_id
""")
_LEFT = sa.text("SELECT EXISTS (SELECT FROM metrics.dirty)")
_OPEN = sa.text("SELECT EXISTS (SELECT FROM metrics.refresh WHERE at = :at AND finished_at IS NULL)")
# Values differ much from batch to batch; a plan made for few contracts would be kept for many.
_PREPARE = sa.text("SELECT set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true)")


@dataclass(frozen=True, slots=True)
class Refreshed:
    at: datetime  # what can be asked for from now on
    contracts: int


def refresh(engine: sa.Engine, *, clock: Clock, estate: Estate, batch: int = BATCH) -> Refreshed:
    """Take in all that is committed. Commits per `batch` contracts."""
    with engine.begin() as conn:
        conn.execute(_LOCK)
        at = _begin(conn, estate, now=clock.now())
        rates.take_in(conn, estate, at=at, now=clock.now())
    values = {"at": at, "zone": estate.group.timezone, "reporting": estate.group.reporting_currency}
    measured = 0
    while True:
        with engine.begin() as conn:
            conn.execute(_LOCK)
            conn.execute(_PREPARE)
            ids = list(conn.scalars(_TAKE, {"batch": batch}))
            if not conn.scalar(_OPEN, {"at": at}):  # another has finished it, and begun the next
                conn.rollback()
                return Refreshed(at, measured)
            if ids:
                _measure(conn, ids, values)
                conn.execute(_COUNT, {"at": at, "contracts": len(ids)})
                measured += len(ids)
            if not conn.scalar(_LEFT):
                conn.execute(_FINISH, {"at": at, "now": clock.now()})
                return Refreshed(at, measured)


def _begin(conn: sa.Connection, estate: Estate, *, now: datetime) -> datetime:
    """The moment of the refresh: of the one that was cut short, else a new one."""
    calendars.keep(conn, estate, now=now)
    last = conn.execute(_LAST).first()
    if last is None:
        conn.execute(_ALL)
        at, cut = now, str(conn.scalar(_HEAD))
    elif last.finished_at is None:
        moment: datetime = last.at
        return moment
    else:
        at, cut = max(now, last.at + timedelta(microseconds=1)), last.head
        # A database restored elsewhere counts its transactions anew.
        since = last.cut if int(last.cut) <= int(cut) else "0"
        conn.execute(_CHANGED, {"since": since, "cut": cut})
    conn.execute(_BEGIN, {"at": at, "cut": cut})
    return at


def _measure(conn: sa.Connection, ids: list[int], values: dict[str, object]) -> None:
    for fact, statement, names in _writes():
        needed = {**values, **fact.values, "ids": ids}
        conn.execute(statement, {name: needed[name] for name in names})


@cache
def _writes() -> Sequence[tuple[Fact, sa.TextClause, Sequence[str]]]:
    """The statement of each fact and what it binds."""
    made = ((fact, sa.text(fact.write)) for fact in facts().values())
    return [(fact, statement, list(statement.compile().params)) for fact, statement in made]
