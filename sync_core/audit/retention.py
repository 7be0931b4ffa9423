"""Retention: the records of contracts that ended long ago are deleted, unless a legal hold keeps them.

Never deleted: audit rows, checkpoints, holds, shared ERP objects, what belongs to a contract that is in work or has an
open exception. Run as the tables' owner: the application's role may not delete such records at all.

Each batch is one transaction with its own audit row, whose Merkle root is over the keys of the contracts deleted. The
contracts are locked first and holds are looked for after that, so that a hold placed meanwhile is honoured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.telemetry.measured import MARK

BATCH: Final = 500  # contracts of one transaction

# What a contract's records are, in an order in which they can go: a table and which of its rows are this batch's.
_OF_CASE: Final = "case_id IN (SELECT case_id FROM core.case WHERE contract_id = ANY(:ids))"
_OF_CONTRACT: Final = "contract_id = ANY(:ids)"
_OF_KEY: Final = """(source, external_id) IN (SELECT source, external_id FROM core.contract
    WHERE contract_id = ANY(:ids))"""
RECORDS: Final[Mapping[str, str]] = {
    "operation": _OF_CONTRACT,
    "run": _OF_CONTRACT,
    "progress": _OF_CONTRACT,
    "case_history": _OF_CASE,
    "case": _OF_CONTRACT,
    "financial_fact": _OF_CONTRACT,
    "crosswalk": _OF_CONTRACT,
    "placement": _OF_CONTRACT,
    "observed": _OF_CONTRACT,
    "adoption": _OF_CONTRACT,
    "batch_refusal": _OF_CONTRACT,
    "drift": _OF_CONTRACT,
    "drift_check": _OF_CONTRACT,
    "told": _OF_CONTRACT,
    "replay_item": _OF_CONTRACT,
    "outgoing": _OF_CONTRACT,
    "renewal_alert": _OF_CONTRACT,
    "quarantine": _OF_KEY,
    "event": _OF_KEY,
    "contract": _OF_CONTRACT,
}
KEPT: Final = frozenset({"audit", "legal_hold"})  # they name contracts too, and stay

_ENDED: Final = """state = 'ended' AND state_since < :before AND lease_owner IS NULL AND done_rev = wanted_rev
    AND NOT EXISTS (SELECT 1 FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open')"""
_HELD: Final = """EXISTS (SELECT 1 FROM core.legal_hold AS h
    WHERE h.contract_id = c.contract_id AND h.released_at IS NULL)"""

_COUNT = sa.text(f"""
    SELECT count(*) FILTER (WHERE NOT {_HELD}) AS going, count(*) FILTER (WHERE {_HELD}) AS held,
           array_agg(contract_id) FILTER (WHERE NOT {_HELD}) AS ids
    FROM core.contract AS c WHERE {_ENDED}
""")
_HELD_ONES = sa.text(f"""
    SELECT external_id FROM core.contract AS c WHERE {_ENDED} AND {_HELD} ORDER BY contract_id LIMIT :most
""")
# A locked contract is in work, or somebody places a hold on it: it is left for the next run.
_PICK = sa.text(f"""
    SELECT contract_id FROM core.contract AS c WHERE {_ENDED} AND contract_id > :after
    ORDER BY contract_id LIMIT :batch FOR UPDATE SKIP LOCKED
""")
# A statement of its own, after the locks: it sees the holds that were committed before they were taken.
_FREE = sa.text(f"""
    SELECT contract_id, source, external_id, legal_entity FROM core.contract AS c
    WHERE contract_id = ANY(:ids) AND NOT {_HELD} ORDER BY contract_id
""")


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go. `rows` by table; `held_ids`: the first contracts under a legal hold, by their id in the CLM."""

    before: datetime
    contracts: int
    held: int
    held_ids: tuple[str, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went, in `batches` transactions, and how many contracts were left because of a hold."""

    contracts: int
    held: int
    batches: int
    rows: Mapping[str, int]


def preview(conn: sa.Connection, *, before: datetime, named: int = 20) -> Preview:
    """Deletes nothing; counts the rows of all contracts that ended before the moment."""
    found = conn.execute(_COUNT, {"before": before}).one()
    ids = list(found.ids or [])
    rows = {
        table: int(conn.scalar(sa.text(f"SELECT count(*) FROM core.{table} WHERE {which}"), {"ids": ids}) or 0)
        for table, which in RECORDS.items()
    }
    held = tuple(conn.scalars(_HELD_ONES, {"before": before, "most": named}))
    return Preview(before, found.going, found.held, held, rows)


def apply(
    owner: sa.Engine, actor: Actor, *, before: datetime, reason: str, clock: Clock, batch: int = BATCH
) -> Deleted:
    """Delete in batches until nothing is left to go; what was deleted stays deleted when a later batch fails.

    `owner` connects as the tables' owner. Raises Forbidden.
    """
    actor.require(Permission.HOLDS_WRITE)
    rows, contracts, held, batches, after = dict.fromkeys(RECORDS, 0), 0, 0, 0, 0
    while True:
        with owner.begin() as conn:
            ids = list(conn.scalars(_PICK, {"before": before, "after": after, "batch": batch}))
            if not ids:
                return Deleted(contracts, held, batches, rows)
            after = ids[-1]
            going = conn.execute(_FREE, {"ids": ids}).all()
            held += len(ids) - len(going)
            if going:
                counted = _delete(conn, [row.contract_id for row in going])
                _note(conn, actor, going, counted, before=before, reason=reason, now=clock.now())
                rows = {table: rows[table] + counted[table] for table in rows}
                contracts, batches = contracts + len(going), batches + 1


def _delete(conn: sa.Connection, ids: list[int]) -> dict[str, int]:
    """What is not there any more counts no more: the next refresh ends what the measures know of it."""
    conn.execute(MARK, {"ids": ids})
    return {
        table: conn.execute(sa.text(f"DELETE FROM core.{table} WHERE {which}"), {"ids": ids}).rowcount
        for table, which in RECORDS.items()
    }


def _note(
    conn: sa.Connection,
    actor: Actor,
    going: Sequence[sa.Row[tuple[object, ...]]],
    counted: Mapping[str, int],
    *,
    before: datetime,
    reason: str,
    now: datetime,
) -> None:
    entities = {str(row.legal_entity) for row in going}
    entry = audit.Entry(
        "retention.apply",
        f"{len(going)} contracts",
        reason,
        legal_entity=entities.pop() if len(entities) == 1 else None,
        detail={"ended_before": before, "rows": dict(counted)},
        items=[[row.source, row.external_id] for row in going],
    )
    audit.append(conn, actor, [entry], now=now)
