"""What a CLM is told of a contract beside its state: its money as the ERP reports it, and what others own of it.

Sums are taken from the newest status of each fact (core.financial_fact); a withdrawn invoice counts nothing, a credit
note takes away. Of an ERP that reports no payments of the contract, an invoice that is paid was paid in full. Facts in
another currency than the contract's are left out: they cannot be added. Revenue is told where it is known
(sync_core/unreported.py); else it is not reported.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.statuses import counts, is_paid
from sync_core.unreported import unreported
from sync_core.writeback.billing import Billing, revenue_status

DEBOUNCE: Final = timedelta(seconds=3)  # facts that come within it are told in one call
_NO_DISPUTE: Final = ("withdrawn", "upheld", "settled", "resolved", "closed")

# Beside core.contract AS c. `facts` is the newest fact that the sums are of: what comes later is told later.
JOIN: Final = f"""
    LEFT JOIN LATERAL (
        SELECT max(s.facts) AS facts, sum(s.billed) AS billed, sum(s.paid) AS paid, sum(s.disputed) AS disputed,
               CASE WHEN NOT EXISTS ({unreported("= c.contract_id")})
                    THEN coalesce(sum(s.recognised), 0) END AS recognised
        FROM (  -- a contract that was moved has facts of several ERPs, and only some of them report payments
            SELECT n.system, max(n.seq) AS facts,
                   sum(n.amount) FILTER (WHERE n.kind = 'revenue' AND {counts("n.status")}) AS recognised,
                   sum(n.amount) FILTER (WHERE n.kind = 'invoice' AND {counts("n.status")}) AS billed,
                   coalesce(sum(n.amount) FILTER (WHERE n.kind = 'payment' AND {counts("n.status")}),
                            sum(n.amount) FILTER (WHERE n.kind = 'invoice' AND {is_paid("n.status")})) AS paid,
                   sum(n.amount) FILTER (WHERE n.kind = 'dispute' AND NOT n.status = ANY(:settled)) AS disputed
            FROM (
                SELECT DISTINCT ON (f.system, f.kind, f.ref)
                       f.seq, f.system, f.kind, f.amount, lower(f.status) AS status, f.currency
                FROM core.financial_fact AS f WHERE f.contract_id = c.contract_id
                ORDER BY f.system, f.kind, f.ref, f.seq DESC
            ) AS n WHERE n.currency = c.currency GROUP BY n.system
        ) AS s
    ) AS money ON true
    LEFT JOIN LATERAL (
        SELECT min(x.fields ->> 'bill_on') AS day FROM core.crosswalk AS x
        WHERE x.contract_id = c.contract_id AND x.kind = 'milestone' AND x.state = 'confirmed'
          AND x.fields ->> 'bill_on' > CAST(:today AS text)
    ) AS milestone ON true
"""
SUMS: Final = "money.facts, money.billed, money.paid, money.disputed, money.recognised, c.value"
_OWN_DAY: Final = "CASE WHEN CAST(c.bill_on AS text) > CAST(:today AS text) THEN CAST(c.bill_on AS text) END"
NEXT_BILL: Final = f"CAST(coalesce(milestone.day, {_OWN_DAY}) AS date)"
# Only what is not due earlier already, so that news after news does not put it off for ever. Locked in the order of
# intake and the group commit.
DUE: Final = sa.text("""
    WITH mine AS (
        SELECT contract_id FROM core.contract
        WHERE contract_id = ANY(:ids) AND (writeback_at IS NULL OR writeback_at > :at)
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET writeback_at = :at FROM mine WHERE c.contract_id = mine.contract_id
""")
KEEP: Final = sa.text("""
    INSERT INTO core.told AS t (contract_id, told_at, said)
    SELECT r.id, CAST(:now AS timestamptz), r.said
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS r(id bigint, said jsonb) ORDER BY r.id
    ON CONFLICT (contract_id) DO UPDATE SET told_at = excluded.told_at, said = excluded.said
""")


def binds(today: date) -> dict[str, object]:
    """What JOIN and NEXT_BILL bind."""
    return {"settled": list(_NO_DISPUTE), "today": today.isoformat()}


def billing_of(row: sa.Row[Any]) -> Billing | None:
    """None: nothing was invoiced, paid, disputed or recognised yet."""
    if row.facts is None:
        return None
    zero = Decimal(0)
    status = revenue_status(row.recognised, row.value)
    return Billing(row.currency, row.billed or zero, row.paid or zero, row.disputed or zero, row.next_bill_on,
                   row.recognised, status)  # fmt: skip


async def due(conn: AsyncConnection, contract_ids: Sequence[int], *, now: datetime) -> int:
    """Let the CLMs of these contracts be told soon; how many were not yet about to be. The caller commits."""
    if not contract_ids:
        return 0
    return (await conn.execute(DUE, {"ids": sorted(set(contract_ids)), "at": now + DEBOUNCE})).rowcount


def stored(value: object) -> str:
    return orjson.dumps(value, default=str).decode()
