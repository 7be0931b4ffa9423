"""Where comparisons are queued and kept: core.drift_check and core.drift. Set-based; the caller commits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.journal.journal import document
from sync_core.keys import ContractId
from sync_core.watch.drift import Compared, Drift, Stands

WATCHED: Final = ("active", "suspended", "ended")
_CAUSES: Final = ("ownership_conflict", "billed_differs", "double_in_erp", "clm_differs")  # of the runs that it wakes
_MOST_ENROLLED: Final = 5_000
_RECENT: Final = 5_000  # contracts before the newest one that every round looks through for new ones
WHOLE_EVERY: Final = timedelta(hours=1)  # all of them, for what became active late or again, or came to another ERP

# Nothing is on its way for it: else a difference would only be what a run is about to do.
_QUIET: Final = """c.state = ANY(:watched) AND c.lease_owner IS NULL AND c.replay_id IS NULL
    AND c.wanted_rev = c.done_rev AND (c.due_at IS NULL OR c.due_at > :now)"""

# Along the primary key from where it begins. What has left and something happened to since is enrolled anew.
_ENROL = sa.text("""
    INSERT INTO core.drift_check AS d (contract_id, lane)
    SELECT c.contract_id, c.lane FROM core.contract AS c
    WHERE c.state = ANY(:watched) AND c.lane = :lane AND c.project_ref IS NOT NULL
      AND c.contract_id > (SELECT CASE WHEN :whole THEN 0 ELSE max(contract_id) - :recent END FROM core.contract)
      AND NOT EXISTS (SELECT FROM core.drift_check AS k WHERE k.contract_id = c.contract_id AND k.lane = c.lane
                      AND (k.left_at IS NULL OR k.left_at >= c.updated_at))
    ORDER BY c.contract_id LIMIT :most
    ON CONFLICT (contract_id) DO UPDATE SET lane = excluded.lane, left_at = NULL
""")
_COLUMNS = """c.contract_id, c.source, c.external_id, c.state, c.lease_token, c.wanted_rev, c.project_ref,
    c.writeback_at"""
_ASKED = sa.text(f"""
    SELECT {_COLUMNS} FROM core.drift_check AS d JOIN core.contract AS c USING (contract_id)
    WHERE d.lane = :lane AND d.asked_at IS NOT NULL AND {_QUIET} ORDER BY d.asked_at, d.contract_id LIMIT :most
""")
# With an open difference, and a run since: whether it has closed it is what somebody waits for.
_REPAIRED = sa.text(f"""
    SELECT {_COLUMNS} FROM core.drift_check AS d JOIN core.contract AS c USING (contract_id)
    WHERE d.lane = :lane AND {_QUIET}
      AND EXISTS (SELECT FROM core.run AS r WHERE r.contract_id = d.contract_id AND r.started_at >= d.checked_at)
      AND d.contract_id IN (SELECT contract_id FROM core.drift WHERE closed_at IS NULL AND stands <> 'allowed')
    LIMIT :most
""")
# Along drift_check_turn, in which those that have left are not: however many contracts have ended, none is walked past.
_OLDEST = sa.text(f"""
    SELECT {_COLUMNS} FROM core.drift_check AS d JOIN core.contract AS c USING (contract_id)
    WHERE d.lane = :lane AND d.left_at IS NULL AND {_QUIET} ORDER BY d.checked_at NULLS FIRST LIMIT :most
""")


# News of their invoices: which milestone each is of, only the ERP says. In the order of their ids.
_INVOICED = sa.text("""
    UPDATE core.drift_check AS d SET asked_at = :now
    FROM (SELECT contract_id FROM core.drift_check WHERE contract_id = ANY(:ids) AND lane = :lane AND asked_at IS NULL
          ORDER BY contract_id FOR UPDATE) AS k
    WHERE d.contract_id = k.contract_id
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A contract to compare, as it is now."""

    contract_id: ContractId
    source: str
    external_id: str
    state: str
    lease_token: int
    wanted_rev: int
    project_ref: str | None
    writeback_at: datetime | None


async def enrol(conn: AsyncConnection, lane: str, *, whole: bool, recent: int = _RECENT) -> bool:
    """Put contracts that are new to the watch of an ERP into its queue, and those that came back to life; whether all
    were that were looked at. `whole`: all contracts are looked through, else the latest.
    """
    bound = {"lane": lane, "watched": list(WATCHED), "most": _MOST_ENROLLED, "recent": recent, "whole": whole}
    return (await conn.execute(_ENROL, bound)).rowcount < _MOST_ENROLLED


async def ask(conn: AsyncConnection, lane: str, contract_ids: Sequence[int], *, now: datetime) -> None:
    """Have contracts that are watched compared before others. The caller commits."""
    if contract_ids:
        await conn.execute(_INVOICED, {"ids": sorted(set(contract_ids)), "lane": lane, "now": now})


async def due(conn: AsyncConnection, lane: str, *, most: int, asked: int, now: datetime) -> list[Due]:
    """What was asked for (`asked` at most), what was repaired meanwhile, then the oldest comparisons."""
    bound = {"lane": lane, "watched": list(WATCHED), "now": now}
    found = {row.contract_id: Due(*row) for row in await conn.execute(_ASKED, {**bound, "most": asked})}
    most += len(found)
    for statement in (_REPAIRED, _OLDEST) if most > len(found) else ():
        for row in await conn.execute(statement, {**bound, "most": most}):
            if len(found) < most:
                found.setdefault(row.contract_id, Due(*row))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one contract's comparison. `compared`: the systems that could be read."""

    due: Due
    compared: tuple[Compared, ...] = ()
    unread: str = ""  # why something could not be

    @property
    def found(self) -> tuple[Drift, ...]:
        return tuple(one for each in self.compared for one in each.found)

    @property
    def outcome(self) -> str:
        return "unread" if self.unread else "differs" if self.found else "same"


# Locked in the order of the workers' group commit. A contract to which something happened meanwhile is left as it was:
# what was read of it says nothing about drift. An ended one of which all said the same leaves the turn: nobody works on
# it any more. Enrolment brings it back when something happened to it since; the engine's hot path knows nothing of it.
_KEEP = sa.text("""
    WITH k AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:checks AS jsonb)) AS k(
            id bigint, token bigint, rev bigint, outcome text, words text, systems text[], wakes boolean, tells boolean)
    ), d AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:drifts AS jsonb)) AS d(
            id bigint, system text, kind text, key text, field text, ours text, theirs text, stands text,
            function text, words text)
    ), b AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:billed AS jsonb)) AS b(
            id bigint, system text, ref text, invoiced numeric)
    ), still AS MATERIALIZED (
        SELECT k.*, c.state = 'ended' AS ended FROM core.contract AS c JOIN k ON k.id = c.contract_id
        WHERE c.lease_token = k.token AND c.wanted_rev = k.rev AND c.lease_owner IS NULL
        ORDER BY c.source, c.external_id FOR NO KEY UPDATE OF c
    ), seen AS (
        INSERT INTO core.drift AS o (contract_id, system, kind, business_key, field, ours, theirs, stands, function,
                                     words, first_seen_at, last_seen_at)
        SELECT d.id, d.system, d.kind, d.key, d.field, d.ours, d.theirs, d.stands, d.function, d.words,
               CAST(:now AS timestamptz), CAST(:now AS timestamptz)
        FROM d JOIN still ON still.id = d.id ORDER BY d.id, d.system, d.kind, d.key, d.field
        ON CONFLICT (contract_id, system, kind, business_key, field) WHERE closed_at IS NULL DO UPDATE
        SET ours = excluded.ours, theirs = excluded.theirs, stands = excluded.stands, function = excluded.function,
            words = excluded.words, last_seen_at = excluded.last_seen_at
        RETURNING contract_id, stands, xmax = 0 AS fresh
    ), closed AS (
        UPDATE core.drift AS o SET closed_at = :now FROM still
        WHERE o.contract_id = still.id AND o.closed_at IS NULL AND o.system = ANY(still.systems)
          AND NOT EXISTS (SELECT FROM d WHERE d.id = o.contract_id AND d.system = o.system AND d.kind = o.kind
                          AND d.key = o.business_key AND d.field = o.field)
        RETURNING o.contract_id, o.stands, o.kind
    ), billed AS (
        UPDATE core.crosswalk AS x SET invoiced = b.invoiced FROM b JOIN still ON still.id = b.id
        WHERE x.contract_id = b.id AND x.system = b.system AND x.ref = b.ref AND x.kind = 'milestone'
          AND x.state = 'confirmed' AND x.invoiced IS DISTINCT FROM b.invoiced
    ), noted AS (
        UPDATE core.drift_check AS n
        SET checked_at = :now, words = k.words,
            outcome = CASE WHEN still.id IS NULL THEN 'busy' ELSE k.outcome END,
            asked_at = CASE WHEN still.id IS NULL THEN n.asked_at END,
            left_at = CASE WHEN still.ended AND k.outcome = 'same' THEN CAST(:now AS timestamptz) END
        FROM k LEFT JOIN still ON still.id = k.id WHERE n.contract_id = k.id
    ), moved AS (
        UPDATE core.contract AS c
        SET due_at = CASE WHEN (still.wakes AND (
                    EXISTS (SELECT FROM seen WHERE seen.contract_id = still.id AND stands = 'owner' AND fresh)
                    OR NOT EXISTS (SELECT FROM core.case AS x WHERE x.contract_id = still.id
                                   AND x.cause = ANY(:causes) AND x.state IN ('open', 'decided'))))
                OR EXISTS (SELECT FROM closed WHERE closed.contract_id = still.id AND stands = 'owner')
              THEN least(c.due_at, CAST(:now AS timestamptz)) ELSE c.due_at END,
            writeback_at = CASE WHEN still.tells THEN CAST(:now AS timestamptz) ELSE c.writeback_at END
        FROM still WHERE c.contract_id = still.id AND (still.wakes OR still.tells
            OR EXISTS (SELECT FROM closed WHERE closed.contract_id = still.id AND stands = 'owner'))
        RETURNING c.contract_id
    )
    SELECT (SELECT count(*) FROM still) AS kept, (SELECT count(*) FROM seen WHERE fresh) AS opened,
           (SELECT count(*) FROM closed) AS closed, (SELECT count(*) FROM moved) AS moved
""")


@dataclass(frozen=True, slots=True)
class Kept:
    kept: int
    opened: int
    closed: int
    woken: bool  # there may be work for the engine


async def keep(conn: AsyncConnection, checks: Sequence[Check], *, clms: Sequence[str], now: datetime) -> Kept:
    """`clms`: names of CLMs, which are told again what they were not told."""
    rows = [_row(check, clms) for check in checks]
    drifts = [_drift(check, one) for check in checks for one in check.found]
    billed = [one for check in checks for one in _billed(check)]
    bound = {"checks": document(rows), "drifts": document(drifts), "billed": document(billed), "now": now,
             "causes": list(_CAUSES)}  # fmt: skip
    row = (await conn.execute(_KEEP, bound)).one()
    return Kept(row.kept, row.opened, row.closed, row.moved > 0)


def _row(check: Check, clms: Sequence[str]) -> dict[str, object]:
    ours = any(one.stands is Stands.OURS and one.system not in clms for one in check.found)
    return {
        "id": check.due.contract_id,
        "token": check.due.lease_token,
        "rev": check.due.wanted_rev,
        "outcome": check.outcome,
        "words": check.unread[:500],
        "systems": [each.system for each in check.compared],
        "wakes": not ours and any(one.stands is Stands.OWNER for one in check.found),
        "tells": any(one.told_again and one.system in clms for one in check.found),
    }


def _billed(check: Check) -> Iterator[dict[str, object]]:
    """What an ERP invoices changes no contract and is no drift: it is what the crosswalk is to know."""
    for each in check.compared:
        for ref, amount in each.invoiced.items():
            yield {"id": check.due.contract_id, "system": each.system, "ref": ref, "invoiced": amount}


def _drift(check: Check, one: Drift) -> dict[str, object]:
    return {
        "id": check.due.contract_id,
        "system": one.system,
        "kind": one.kind,
        "key": one.key,
        "field": one.field,
        "ours": one.ours,
        "theirs": one.theirs,
        "stands": one.stands.value,
        "function": one.function,
        "words": one.words,
    }
