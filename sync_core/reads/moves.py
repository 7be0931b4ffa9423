"""The reconciliation of a move: of each contract that it was to take, the money in both ERPs against what was signed.

    signed = billed in the old + to bill in the old + billed in the new + to bill in the new + difference

What an ERP billed is what its read-back at the close said, or a later one of what finance settled there, or its
invoices as collected since, whichever is more. What is to be billed is the value of the project that it holds, as last
read back, less what was billed in that project: not in an earlier one of the contract that was closed there. So a
contract that has left the old ERP and is not in the new one yet stands with its rest in the difference, and so does
what is not to be billed any more of one that was ended meanwhile. Each difference says of which kind it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay.replay import ItemState
from sync_core.statuses import counts


class Stands(StrEnum):
    """Where a contract is just now."""

    OLD = "old"
    LEAVING = "leaving"  # the old ERP has not been read back as closed
    BETWEEN = "between"  # closed in the old, not made in the new yet
    NEW = "new"


class Why(StrEnum):
    """Of which kind a difference is."""

    ENDED = "ended"  # cancelled, terminated or over: the rest is not billed any more
    BETWEEN = "between"  # on its way: closed in the old ERP, or closing, and not made in the new one yet
    NOWHERE = "nowhere"  # neither ERP holds a project of it: it was stopped before it got one
    OTHER = "other"  # what the ERPs hold and the contract says do not agree


@dataclass(frozen=True, slots=True)
class Sums:
    """In one currency; they add up by the equation above."""

    signed: Money
    billed_old: Money
    to_bill_old: Money
    billed_new: Money
    to_bill_new: Money
    difference: Money


@dataclass(frozen=True, slots=True)
class ReconciledRow:
    item_id: int
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    state: ItemState
    stands: Stands
    sums: Sums
    why: Why | None  # None: there is no difference


@dataclass(frozen=True, slots=True)
class OpenPart:
    """The differences of one kind."""

    why: Why
    contracts: int
    amount: Money


@dataclass(frozen=True, slots=True)
class ReconciledTotal:
    """All contracts of one currency."""

    contracts: int
    differing: int  # contracts whose difference is not nothing
    sums: Sums
    parts: tuple[OpenPart, ...] = ()  # they add up to the difference


@dataclass(frozen=True, slots=True)
class Reconciliation:
    move_id: int
    move_from: str
    move_to: str
    whole: bool  # no contract of it is beyond the reader's reach
    totals: tuple[ReconciledTotal, ...]  # by currency, in the order of their codes
    read_at: datetime | None = None  # the oldest read-back that the sums are from; None: no project was read back


ReconciledPage = Listed[ReconciledRow]


def _invoiced(lane: str) -> str:
    """By the newest status of each invoice."""
    return f"""coalesce((
        SELECT sum(n.amount) FROM (
            SELECT DISTINCT ON (f.ref) f.amount, f.status FROM core.financial_fact AS f
            WHERE f.contract_id = c.contract_id AND f.kind = 'invoice' AND f.system = {lane}
              AND f.currency = c.currency
            ORDER BY f.ref, f.seq DESC) AS n
        WHERE {counts("n.status")}), 0)"""


def _held(lane: str) -> str:
    return f"""(
        SELECT CAST(x.fields ->> 'value' AS numeric) FROM core.crosswalk AS x
        WHERE x.contract_id = c.contract_id AND x.kind = 'project' AND x.state = 'confirmed' AND x.system = {lane}
        LIMIT 1)"""


def _to_bill(lane: str, held: str) -> str:
    """Of one that has ended nothing where its project was closed, else no more than its milestones that are open there:
    the crosswalk's row of a project says where it stood.
    """
    return f"""CASE WHEN c.state <> 'ended' THEN {held} WHEN (
        SELECT o.action FROM core.operation AS o
        WHERE o.contract_id = c.contract_id AND o.system = {lane} AND o.kind = 'project' AND o.status = 'done'
          AND o.action IN ('create', 'update', 'activate', 'close')
        ORDER BY o.finished_at DESC, o.step DESC LIMIT 1) = 'close' THEN 0 ELSE least({held}, coalesce((
        SELECT sum(CAST(x.fields ->> 'amount' AS numeric)) FROM core.crosswalk AS x
        WHERE x.contract_id = c.contract_id AND x.kind = 'milestone' AND x.state = 'confirmed' AND x.system = {lane}
          AND x.invoiced IS NULL), 0)) END"""


def _closed(lane: str) -> str:
    """Billed there in projects that were closed as the contract left."""
    return f"coalesce(CAST(p.behind -> {lane} ->> 'billed' AS numeric), 0)"


# Until it has left: what finance credits there afterwards is in what is read there since.
_PREVIEWED: Final = """CASE WHEN p.leaving IS NULL AND p.lane <> r.move_from AND jsonb_exists(p.behind, r.move_from)
                    THEN 0 ELSE coalesce(i.billed, 0) END"""
_REST_OLD: Final = "coalesce(greatest(k.held_old + b.closed_old + b.others - k.billed_old, 0), 0)"
_REST_NEW: Final = "coalesce(greatest(k.held_new + b.closed_new - k.billed_new, 0), 0)"
_FROM: Final = f"""core.replay_item AS i JOIN core.replay AS r USING (replay_id)
    JOIN core.contract AS c USING (contract_id) LEFT JOIN core.placement AS p USING (contract_id)
    CROSS JOIN LATERAL (
        SELECT {_closed("r.move_from")} AS closed_old, {_closed("r.move_to")} AS closed_new, coalesce((
                   SELECT sum(CAST(b.value ->> 'billed' AS numeric)) FROM jsonb_each(p.behind) AS b
                   WHERE b.key NOT IN (r.move_from, r.move_to)), 0) AS others
    ) AS b CROSS JOIN LATERAL (
        SELECT greatest({_invoiced("r.move_from")}, b.closed_old, {_PREVIEWED}) + b.others AS billed_old,
               greatest({_invoiced("r.move_to")}, b.closed_new) AS billed_new,
               {_held("r.move_from")} AS held_old, {_held("r.move_to")} AS held_new, (
                   SELECT min(x.confirmed_at) FROM core.crosswalk AS x
                   WHERE x.contract_id = c.contract_id AND x.kind = 'project' AND x.state = 'confirmed'
                     AND x.system IN (r.move_from, r.move_to)) AS read_at
    ) AS k CROSS JOIN LATERAL (
        SELECT {_to_bill("r.move_from", _REST_OLD)} AS to_bill_old, {_to_bill("r.move_to", _REST_NEW)} AS to_bill_new
    ) AS t CROSS JOIN LATERAL (
        SELECT c.value - k.billed_old - t.to_bill_old - k.billed_new - t.to_bill_new AS difference,
               CASE WHEN p.leaving IS NOT NULL THEN 'leaving' WHEN coalesce(p.lane, '') <> r.move_to THEN 'old'
                    WHEN k.held_new IS NULL THEN 'between' ELSE 'new' END AS stands
    ) AS d CROSS JOIN LATERAL (
        SELECT CASE WHEN d.difference = 0 THEN NULL WHEN c.state = 'ended' AND d.difference > 0 THEN 'ended'
                    WHEN d.stands IN ('leaving', 'between') THEN 'between'
                    WHEN k.held_old IS NULL AND k.held_new IS NULL THEN 'nowhere' ELSE 'other' END AS why
    ) AS w"""
_COLUMNS: Final = """i.item_id, c.contract_id, c.external_id, c.title, c.legal_entity, c.currency, i.state, d.stands,
    c.value AS signed, k.billed_old, t.to_bill_old, k.billed_new, t.to_bill_new, d.difference, w.why, gap.size"""
# Contracts that were skipped because they were not there, or not signed, are no part of it.
_CONDITIONS: Final = ("i.replay_id = :replay_id", "i.eligibility = 'eligible'", OF_CONTRACT)
_WHERE: Final = " AND ".join(_CONDITIONS)
_MOVE = sa.text("""
    SELECT move_from, move_to, entities FROM core.replay WHERE replay_id = :replay_id AND move_to IS NOT NULL
       AND (CAST(:entities AS text[]) IS NULL OR entities && CAST(:entities AS text[]))
""")
_PARTS: Final = ", ".join(
    f"count(*) FILTER (WHERE w.why = '{why}') AS n_{why}, sum(d.difference) FILTER (WHERE w.why = '{why}') AS of_{why}"
    for why in Why
)
_TOTALS = sa.text(f"""
    SELECT c.currency, count(*) AS contracts, count(*) FILTER (WHERE d.difference <> 0) AS differing,
           sum(c.value) AS signed, sum(k.billed_old) AS billed_old, sum(t.to_bill_old) AS to_bill_old,
           sum(k.billed_new) AS billed_new, sum(t.to_bill_new) AS to_bill_new, sum(d.difference) AS difference,
           min(k.read_at) AS read_at, {_PARTS}
    FROM {_FROM} WHERE {_WHERE} GROUP BY c.currency ORDER BY c.currency
""")
# What differs most comes first.
_ORDER: Final = Order("gap.size", descending=True, nullable=False, kind=Decimal, row_id="i.item_id")
AMOUNTS: Final = tuple(Sums.__slots__)
# Programs read them by place: a new one is the last.
FILE_COLUMNS: Final = ("contract", "title", "legal_entity", "currency", *AMOUNTS, "stands", "item", "why")


def reconciliation(conn: sa.Connection, replay_id: int, *, entities: Entities) -> Reconciliation | None:
    """None when there is no such move, or nothing of it is within reach."""
    bind = {"replay_id": replay_id, **bound(entities)}
    move = conn.execute(_MOVE, bind).one_or_none()
    if move is None:
        return None
    rows = conn.execute(_TOTALS, bind).all()
    totals = tuple(ReconciledTotal(row.contracts, row.differing, _sums(row), _parts(row)) for row in rows)
    read_at = min((row.read_at for row in rows if row.read_at is not None), default=None)
    whole = entities is None or entities.issuperset(move.entities)
    return Reconciliation(replay_id, move.move_from, move.move_to, whole, totals, read_at)


def reconciled(replay_id: int, *, entities: Entities) -> Listing[ReconciledRow]:
    """Only contracts within reach."""
    where = Where(_CONDITIONS, {"replay_id": replay_id, **bound(entities)})
    source = f"{_FROM} CROSS JOIN LATERAL (SELECT abs(d.difference) AS size) AS gap"
    return Listing(_COLUMNS, source, where, _ORDER, _row)


def _row(row: Row) -> ReconciledRow:
    return ReconciledRow(
        row.item_id, row.contract_id, row.external_id, row.title, row.legal_entity, ItemState(row.state),
        Stands(row.stands), _sums(row), Why(row.why) if row.why else None,
    )  # fmt: skip


def _parts(row: Row) -> tuple[OpenPart, ...]:
    found = ((why, getattr(row, f"n_{why}"), getattr(row, f"of_{why}")) for why in Why)
    return tuple(OpenPart(why, n, Money(amount, row.currency)) for why, n, amount in found if n)


def _sums(row: Row) -> Sums:
    return Sums(*(Money(getattr(row, name), row.currency) for name in AMOUNTS))


def listed(rows: Sequence[ReconciledRow]) -> list[dict[str, object]]:
    """Flat, as a table of a file has them."""
    return [
        {
            "contract": row.external_id,
            "title": row.title,
            "legal_entity": row.legal_entity,
            "currency": row.sums.signed.currency,
            **{name: getattr(row.sums, name).amount for name in AMOUNTS},
            "stands": row.stands.value,
            "item": row.state.value,
            "why": row.why.value if row.why else "",
        }
        for row in rows
    ]
