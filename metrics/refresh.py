"""Keeps facts and rollups true: looks again at every contract that something happened to, and at no other.

What happened is read by the ids of committed transactions, below the oldest one that still runs, so nothing that
commits late is passed over. A refresh can be asked for once it has finished, never before; one cut short leaves the
contracts it owes in metrics.dirty, and the next caller finishes it first. Many may call at once: a lock makes each
transaction of theirs come after the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import sqlalchemy as sa

from metrics import agreements, calendars, rates, stuck_cells
from metrics.facts import facts
from metrics.facts.fact import Fact
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.locks import Lock

BATCH: Final = 2_000  # contracts per transaction

_LOCK = sa.text(f"SELECT pg_advisory_xact_lock({Lock.MEASURES}, 1)")
_LAST = sa.text("SELECT at, CAST(cut AS text) AS cut, finished_at FROM metrics.refresh ORDER BY at DESC LIMIT 1")
# The cut, and since when everything is below it: now, if nothing runs; else what an earlier refresh saw as not begun.
_HEAD = sa.text("""
    SELECT CAST(pg_snapshot_xmin(s) AS text) AS cut, CAST(pg_snapshot_xmax(s) AS text) AS head,
           CASE WHEN pg_snapshot_xmin(s) = pg_snapshot_xmax(s) THEN CAST(:now AS timestamptz)
                ELSE (SELECT max(r.at) FROM metrics.refresh AS r WHERE r.head <= pg_snapshot_xmin(s)) END AS covers
    FROM pg_current_snapshot() AS s
""")
_BEGIN = sa.text("""
    INSERT INTO metrics.refresh (at, cut, head, covers, contracts, anew, release)
    VALUES (:at, CAST(:cut AS xid8), CAST(:head AS xid8), :covers, 0, :anew, :release)
""")
_COUNT = sa.text("UPDATE metrics.refresh SET contracts = contracts + :contracts WHERE at = :at")
_FINISH = sa.text("UPDATE metrics.refresh SET finished_at = greatest(at, :now) WHERE at = :at")
_FINISHED = sa.text("SELECT finished_at, covers FROM metrics.refresh WHERE at = :at")
_SHAPE = sa.text("SELECT digest FROM metrics.shape")
_SHAPED = sa.text("""
    INSERT INTO metrics.shape (digest) VALUES (:digest) ON CONFLICT (one) DO UPDATE SET digest = excluded.digest
""")
_NO_CELLS = sa.text("DELETE FROM metrics.cell")
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
    UNION SELECT m.contract_id FROM metrics.mark AS m WHERE m.recorded_xid < CAST(:cut AS xid8)
    ON CONFLICT DO NOTHING
""")
_UNMARK = sa.text("DELETE FROM metrics.mark WHERE recorded_xid < CAST(:cut AS xid8)")
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
    at: datetime  # it can be asked for from this moment on
    covers: datetime  # everything that was committed before is in
    contracts: int


def refresh(
    engine: sa.Engine, *, clock: Clock, estate: Estate, batch: int = BATCH, release: str | None = None
) -> Refreshed:
    """Take in all that is committed. Commits per `batch` contracts; few contracts are one transaction.

    `release` is noted as the one that measures; None: the one that is installed.
    """
    measured, release = 0, release or version("tieline")
    while True:
        at, is_own, done = _first(engine, clock=clock, estate=estate, batch=batch, release=release)
        measured += done + _rest(engine, at, clock=clock, estate=estate, batch=batch)
        with engine.connect() as conn:
            finished = conn.execute(_FINISHED, {"at": at}).one()
        if is_own:
            return Refreshed(finished.finished_at, finished.covers, measured)


def _first(engine: sa.Engine, *, clock: Clock, estate: Estate, batch: int, release: str) -> tuple[datetime, bool, int]:
    """Begins a refresh and measures the first contracts; else goes on with the one cut short, which is not ours."""
    with engine.begin() as conn:
        conn.execute(_LOCK)
        conn.execute(_PREPARE)
        last = conn.execute(_LAST).first()
        if last is not None and last.finished_at is None:
            return last.at, False, _batch(conn, last.at, clock=clock, estate=estate, batch=batch)
        at = _begin(conn, last, estate, now=clock.now(), release=release)
        return at, True, _batch(conn, at, clock=clock, estate=estate, batch=batch)


def _rest(engine: sa.Engine, at: datetime, *, clock: Clock, estate: Estate, batch: int) -> int:
    """Until it has finished, by us or by another; how many we measured."""
    measured = 0
    while True:
        with engine.begin() as conn:
            conn.execute(_LOCK)
            conn.execute(_PREPARE)
            if not conn.scalar(_OPEN, {"at": at}):
                return measured
            measured += _batch(conn, at, clock=clock, estate=estate, batch=batch)


def _batch(conn: sa.Connection, at: datetime, *, clock: Clock, estate: Estate, batch: int) -> int:
    ids = list(conn.scalars(_TAKE, {"batch": batch}))
    if ids:
        zone, reporting = estate.group.timezone, estate.group.reporting_currency
        said = agreements.known(conn, ids, estate)
        _measure(conn, ids, {"at": at, "zone": zone, "reporting": reporting, **said})
        conn.execute(_COUNT, {"at": at, "contracts": len(ids)})
    if not conn.scalar(_LEFT):
        conn.execute(_FINISH, {"at": at, "now": clock.now()})
        stuck_cells.keep(conn, estate, at=at)
    return len(ids)


def _begin(
    conn: sa.Connection, last: sa.Row[*tuple[Any, ...]] | None, estate: Estate, *, now: datetime, release: str
) -> datetime:
    """The moment of a new one, after all that could be asked for before."""
    head = conn.execute(_HEAD, {"now": now}).one()
    at: datetime = now if last is None else max(now, last.finished_at + timedelta(microseconds=1))
    if last is not None and int(last.cut) > int(head.cut):
        conn.execute(_ALL)  # a database restored elsewhere counts its transactions anew
    elif last is not None:
        conn.execute(_CHANGED, {"since": last.cut, "cut": head.cut})
    conn.execute(_UNMARK, {"cut": head.cut})
    anew = _reshape(conn, estate, at=at)
    calendars.keep(conn, estate, at=at)
    covers = head.covers or (now if last is None else last.finished_at)
    noted = {"cut": head.cut, "head": head.head, "covers": covers, "anew": anew, "release": release}
    conn.execute(_BEGIN, {"at": at, **noted})
    rates.take_in(conn, estate, at=at, now=now)
    return at


def _reshape(conn: sa.Connection, estate: Estate, *, at: datetime) -> str | None:
    """The first time, and when a release or the group's zone makes facts or rollups otherwise: all are made anew.

    Why: `release` or `settings`, None the first time. What reads otherwise since is no late news (snapshots say so).
    """
    code, settings = _digests(estate.group.timezone, estate.group.reporting_currency)
    digest, before = f"{code}.{settings}", conn.scalar(_SHAPE)
    if before == digest:
        return None
    for fact in facts().values():
        conn.execute(sa.text(f"UPDATE {fact.table} SET known_to = :at WHERE known_to IS NULL"), {"at": at})
    conn.execute(_NO_CELLS)
    conn.execute(_ALL)
    conn.execute(_SHAPED, {"digest": digest})
    if before is None:
        return None
    return "settings" if before.startswith(f"{code}.") else "release"


@cache
def _digests(zone: str, reporting: str) -> tuple[str, str]:
    """Of what the release makes facts by, and of what the estate says."""
    made = "\n".join(f"{fact.write} {sorted(fact.values.items())}" for fact in facts().values())
    code, settings = (hashlib.sha256(one.encode()).hexdigest()[:16] for one in (made, f"{zone}\n{reporting}"))
    return code, settings


def _measure(conn: sa.Connection, ids: list[int], values: dict[str, object]) -> None:
    for fact, statement, names in _writes():
        needed = {**values, **fact.values, "ids": ids}
        conn.execute(statement, {name: needed[name] for name in names})


@cache
def _writes() -> Sequence[tuple[Fact, sa.TextClause, Sequence[str]]]:
    """The statement of each fact and what it binds."""
    made = ((fact, sa.text(fact.write)) for fact in facts().values())
    return [(fact, statement, list(statement.compile().params)) for fact, statement in made]
