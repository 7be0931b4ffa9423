"""Signed, in the ERP, billed, credited, paid: one row a signed contract, in its currency (docs/kpis.md).

What the ERP has left to bill is what it holds as the contract's value less what it billed. A gap is explained by what
is on record: the contract ended, its ERP does not have it yet, or a change of it is on its way.
"""

from typing import Final

from metrics.facts._billed import BILLED, PROJECT
from metrics.facts.fact import STOCK, Fact

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "currency", "test", "signed", "erp_value",
    "billed", "credited", "paid", "foreign_n", "remaining", "explained", "gap",
)  # fmt: skip

_FRESH: Final = f"""
    SELECT s.*, s.signed - (s.billed - s.credited + s.remaining) AS gap
    FROM (
        SELECT c.contract_id, c.legal_entity, c.service_line, c.geography, c.billing, c.currency, c.test,
               c.value AS signed, p.value AS erp_value, coalesce(b.billed, 0) AS billed,
               coalesce(b.credited, 0) AS credited, coalesce(b.paid, 0) AS paid,
               CAST(coalesce(o.objects, 0) AS int) AS foreign_n,
               CASE WHEN c.state = 'ended' OR c.first_active_at IS NULL THEN 0
                    ELSE greatest(coalesce(p.value, 0) - coalesce(b.billed - b.credited, 0), 0) END AS remaining,
               CASE WHEN c.state = 'ended' THEN 'ended'
                    WHEN c.first_active_at IS NULL THEN 'not_provisioned'
                    WHEN c.state <> 'active' OR c.wanted_rev <> c.done_rev THEN 'on_its_way'
                    WHEN p.value IS NULL THEN 'not_reported' ELSE '' END AS explained
        FROM core.contract AS c LEFT JOIN ({PROJECT}) AS p USING (contract_id)
             LEFT JOIN money AS b ON b.contract_id = c.contract_id AND b.currency = c.currency
             LEFT JOIN (SELECT m.contract_id, sum(m.objects) AS objects FROM money AS m
                        JOIN core.contract AS k ON k.contract_id = m.contract_id AND k.currency <> m.currency
                        GROUP BY m.contract_id) AS o ON o.contract_id = c.contract_id
        WHERE c.contract_id = ANY(:ids) AND c.signed_at IS NOT NULL
    ) AS s
"""
_SUMS: Final = ("signed", "billed", "credited", "paid", "remaining")
_COUNTED: Final = "NOT f.test"
UNEXPLAINED: Final = "f.explained = '' AND f.gap <> 0"
_CELLS: Final = " UNION ALL ".join((
    *(f"SELECT '{name}', {STOCK}, f.currency, -1, 1, f.{name} WHERE {_COUNTED} AND f.{name} <> 0" for name in _SUMS),
    f"SELECT 'contracts', {STOCK}, f.currency, -1, 1, 0 WHERE {_COUNTED}",
    f"SELECT 'in_erp', {STOCK}, f.currency, -1, 1, f.erp_value WHERE {_COUNTED} AND f.erp_value IS NOT NULL",
    f"SELECT 'foreign', {STOCK}, f.currency, -1, f.foreign_n, 0 WHERE {_COUNTED} AND f.foreign_n > 0",
    f"SELECT f.explained, {STOCK}, f.currency, -1, 1, f.gap WHERE {_COUNTED} AND f.explained <> '' AND f.gap <> 0",
    f"SELECT 'unexplained', {STOCK}, f.currency, -1, 1, abs(f.gap) WHERE {_COUNTED} AND {UNEXPLAINED}",
    f"SELECT 'gap', {STOCK}, f.currency, -1, 1, f.gap WHERE {_COUNTED} AND {UNEXPLAINED}",
    f"SELECT 'test', {STOCK}, f.currency, -1, 1, 0 WHERE f.test",
))  # fmt: skip

FACT = Fact(
    name="books",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=f"WITH money AS MATERIALIZED ({BILLED}) {_FRESH}",
    cells=_CELLS,
)
