"""Signed, in the ERP, billed, credited, paid, recognised: one row a signed contract, in its currency (docs/kpis.md).

What the ERP has left to bill is what it holds as the contract's value less what it billed. What is on record explains a
gap by its amount and sign: a contract that ended, is not in its ERP yet or of which the ERP says no value, at most what
was never billed; changes on their way, at most what they change. Nothing explains more billed than was signed.

Revenue is in none of that. It is known, be it zero, where the contract's ERP and all that invoiced it report revenue
(sync_core/unreported.py); else `silent` are those that report none, and `unasked` those that nobody has asked yet.
Versions of before these two columns name neither: their contract's ERP is told as silent, as it was then.
"""

from typing import Final

from metrics.facts._agreed import EVENTS, VALUES
from metrics.facts._billed import BILLED, PROJECT
from metrics.facts.fact import STOCK, Fact
from sync_core.unreported import unreported

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "currency", "test", "signed", "erp_value",
    "billed", "credited", "paid", "foreign_n", "remaining", "explained", "gap", "explained_amount", "unexplained",
    "erp", "recognised", "silent", "unasked",
)  # fmt: skip

_STEPPING: Final = """
    SELECT c.contract_id, c.source, c.external_id, c.legal_entity, c.value,
           CAST(c.updated_at AT TIME ZONE :zone AS date) AS seen_on, coalesce(
        (SELECT max(r.started_at) FROM core.run AS r
         WHERE r.contract_id = c.contract_id AND r.outcome = 'converged'), '-infinity') AS confirmed_at
    FROM core.contract AS c
    WHERE c.contract_id = ANY(:ids) AND c.signed_at IS NOT NULL AND c.first_active_at IS NOT NULL
      AND c.state <> 'ended' AND (c.state NOT IN ('active', 'suspended') OR c.wanted_rev <> c.done_rev)
"""
# What the events that no run has confirmed yet change of the value; 0 where none of them does.
_ON_ITS_WAY: Final = """
    SELECT o.contract_id, o.value - (array_agg(metrics.number(e.terms ->> 'value') ORDER BY e.place DESC)
        FILTER (WHERE e.recorded_at < o.confirmed_at AND e.terms ->> 'value' IS NOT NULL))[1] AS delta
    FROM stepping AS o JOIN agreeing AS e USING (contract_id)
    GROUP BY o.contract_id, o.value HAVING bool_or(e.recorded_at >= o.confirmed_at)
"""
# The part of a gap that its reason explains: never what is billed above what was signed.
_EXPLAINED: Final = """
    CASE g.reason
        WHEN '' THEN 0
        WHEN 'on_its_way' THEN CASE
            WHEN g.delta > 0 THEN least(greatest(g.gap, 0), g.delta)
            ELSE greatest(least(g.gap + greatest(g.billed - g.credited - g.signed, 0), 0), g.delta) END
        ELSE least(greatest(g.gap, 0), greatest(g.signed, 0)) END
"""
_SIDES: Final = f"""
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
                    WHEN c.state NOT IN ('active', 'suspended') OR c.wanted_rev <> c.done_rev THEN 'on_its_way'
                    WHEN p.value IS NULL THEN 'not_reported' ELSE '' END AS reason,
               coalesce(w.delta, 0) AS delta,
               CASE WHEN c.first_active_at IS NULL THEN '' ELSE c.lane END AS erp,
               CASE WHEN u.contract_id IS NULL THEN coalesce(b.recognised, 0) END AS recognised,
               coalesce(u.silent, '{{}}') AS silent, coalesce(u.unasked, '{{}}') AS unasked
        FROM core.contract AS c LEFT JOIN ({PROJECT}) AS p USING (contract_id)
             LEFT JOIN on_its_way AS w USING (contract_id)
             LEFT JOIN money AS b ON b.contract_id = c.contract_id AND b.currency = c.currency
             LEFT JOIN (SELECT m.contract_id, sum(m.objects) AS objects FROM money AS m
                        JOIN core.contract AS k ON k.contract_id = m.contract_id AND k.currency <> m.currency
                        GROUP BY m.contract_id) AS o ON o.contract_id = c.contract_id
             LEFT JOIN (SELECT n.contract_id, array_agg(n.system ORDER BY n.system) FILTER (WHERE n.asked) AS silent,
                               array_agg(n.system ORDER BY n.system) FILTER (WHERE NOT n.asked) AS unasked
                        FROM ({unreported("= ANY(:ids)")}) AS n GROUP BY n.contract_id) AS u
                  ON u.contract_id = c.contract_id
        WHERE c.contract_id = ANY(:ids) AND c.signed_at IS NOT NULL
    ) AS s
"""
_FRESH: Final = f"""
    WITH money AS MATERIALIZED ({BILLED}), stepping AS MATERIALIZED ({_STEPPING}),
         agreeing AS MATERIALIZED ({EVENTS}), on_its_way AS MATERIALIZED ({_ON_ITS_WAY})
    SELECT x.*, CASE WHEN x.explained_amount <> 0 THEN x.reason ELSE '' END AS explained,
           x.gap - x.explained_amount AS unexplained
    FROM (SELECT g.*, {_EXPLAINED} AS explained_amount FROM ({_SIDES}) AS g) AS x
"""
_SUMS: Final = ("signed", "billed", "credited", "paid", "remaining")
_COUNTED: Final = "NOT f.test"
_NET: Final = "f.billed - f.credited"
UNEXPLAINED: Final = "f.unexplained <> 0"
_UNASKED: Final = f"{_COUNTED} AND f.unasked <> '{{}}' AND f.silent = '{{}}'"  # what one does not report stays unknown
_SILENT: Final = f"{_COUNTED} AND f.recognised IS NULL AND (f.silent <> '{{}}' OR f.unasked = '{{}}')"
_SILENT_ERPS: Final = "unnest(CASE WHEN f.silent = '{}' THEN ARRAY[f.erp] ELSE f.silent END)"
_CELLS: Final = " UNION ALL ".join((
    *(f"SELECT '{name}', {STOCK}, f.currency, -1, 1, f.{name} WHERE {_COUNTED} AND f.{name} <> 0" for name in _SUMS),
    f"SELECT 'contracts', {STOCK}, f.currency, -1, 1, 0 WHERE {_COUNTED}",
    f"SELECT 'in_erp', {STOCK}, f.currency, -1, 1, f.erp_value WHERE {_COUNTED} AND f.erp_value IS NOT NULL",
    f"SELECT 'recognised', {STOCK}, f.currency, -1, 1, f.recognised WHERE {_COUNTED} AND f.recognised <> 0",
    f"SELECT 'deferred', {STOCK}, f.currency, -1, 1, {_NET} - f.recognised WHERE {_COUNTED} AND {_NET} > f.recognised",
    f"SELECT 'accrued', {STOCK}, f.currency, -1, 1, f.recognised - ({_NET}) WHERE {_COUNTED} AND {_NET} < f.recognised",
    f"SELECT 'heard', {STOCK}, f.currency, -1, 1, 0 WHERE {_COUNTED} AND f.recognised IS NOT NULL AND f.erp <> ''",
    f"SELECT 'silent', {STOCK}, f.currency, -1, 1, {_NET} WHERE {_SILENT}",
    f"SELECT 'silent_erp', {STOCK}, e.name, -1, 1, 0 FROM {_SILENT_ERPS} AS e(name) WHERE {_SILENT} AND e.name <> ''",
    f"SELECT 'unasked', {STOCK}, f.currency, -1, 1, {_NET} WHERE {_UNASKED}",
    f"SELECT 'unasked_erp', {STOCK}, e.name, -1, 1, 0 FROM unnest(f.unasked) AS e(name) WHERE {_UNASKED}",
    f"SELECT 'foreign', {STOCK}, f.currency, -1, f.foreign_n, 0 WHERE {_COUNTED} AND f.foreign_n > 0",
    f"SELECT f.explained, {STOCK}, f.currency, -1, 1, f.explained_amount"
    f" WHERE {_COUNTED} AND f.explained_amount <> 0",
    f"SELECT 'unexplained', {STOCK}, f.currency, -1, 1, abs(f.unexplained) WHERE {_COUNTED} AND {UNEXPLAINED}",
    f"SELECT 'gap', {STOCK}, f.currency, -1, 1, f.unexplained WHERE {_COUNTED} AND {UNEXPLAINED}",
    f"SELECT 'test', {STOCK}, f.currency, -1, 1, 0 WHERE f.test",
))  # fmt: skip

FACT = Fact(
    name="books",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    money=(*_SUMS, "erp_value", "gap", "explained_amount", "unexplained", "recognised"),
    values=VALUES,
)
