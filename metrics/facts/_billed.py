"""What the ERPs invoiced, credited, were paid and recognised of each contract, by the newest status of each object.

Amounts in another currency than the contract's are counted, not summed. What was reported before its project was known
is found by the project's key. An invoice that says `paid` without a payment is paid in full. Of which contracts revenue
is known is told by sync_core/unreported.py. Of a contract that was signed anew after an end only what came since
counts: what was billed under the agreement before is history. An invoice is of its day; what refers to it goes with it.
"""

from typing import Final

from metrics.facts._fold_order import BEGUN
from sync_core.statuses import counts, is_paid

_COUNTS: Final = counts("b.status")
_NEWEST: Final = """
    SELECT DISTINCT ON (r.contract_id, r.system, r.kind, r.ref)
           r.contract_id, r.system, r.kind, r.ref, r.invoice_ref, r.amount, r.currency, r.status, r.occurred_on
    FROM (
        SELECT f.contract_id, f.seq, f.system, f.kind, f.ref, f.invoice_ref, f.amount, f.currency, f.status,
               f.occurred_on
        FROM core.financial_fact AS f WHERE f.contract_id = ANY(:ids) AND f.kind IN ('invoice', 'payment', 'revenue')
        UNION ALL
        SELECT x.contract_id, f.seq, f.system, f.kind, f.ref, f.invoice_ref, f.amount, f.currency, f.status,
               f.occurred_on
        FROM core.crosswalk AS x JOIN core.financial_fact AS f
             ON f.system = x.system AND f.project_key = x.business_key
        WHERE x.contract_id = ANY(:ids) AND x.kind = 'project' AND f.contract_id IS NULL
          AND f.kind IN ('invoice', 'payment', 'revenue')
    ) AS r ORDER BY r.contract_id, r.system, r.kind, r.ref, r.seq DESC
"""
_SINCE: Final = f"SELECT b.contract_id, max(b.day) AS day FROM ({BEGUN}) AS b GROUP BY b.contract_id"
_OF_NOW: Final = """
    SELECT b.* FROM newest AS b LEFT JOIN since AS s ON s.contract_id = b.contract_id
         LEFT JOIN newest AS i ON i.contract_id = s.contract_id AND i.system = b.system AND i.kind = 'invoice'
              AND i.ref = b.invoice_ref
    WHERE s.day IS NULL OR coalesce(i.occurred_on, b.occurred_on) >= s.day
"""
# billed and credited are both positive; a credit note is an invoice of a negative amount.
BILLED: Final = f"""
    WITH newest AS MATERIALIZED ({_NEWEST}), since AS MATERIALIZED ({_SINCE}), of_now AS MATERIALIZED ({_OF_NOW})
    SELECT b.contract_id, b.currency,
           coalesce(sum(b.amount) FILTER (WHERE b.kind = 'invoice' AND b.amount > 0 AND {_COUNTS}), 0) AS billed,
           coalesce(-sum(b.amount) FILTER (WHERE b.kind = 'invoice' AND b.amount < 0 AND {_COUNTS}), 0) AS credited,
           coalesce(sum(b.amount) FILTER (WHERE b.kind = 'payment' AND {_COUNTS}), 0)
               + coalesce(sum(b.amount) FILTER (WHERE b.kind = 'invoice' AND {is_paid("b.status")} AND NOT EXISTS (
                   SELECT FROM of_now AS p WHERE p.contract_id = b.contract_id AND p.system = b.system
                      AND p.kind = 'payment' AND p.invoice_ref = b.ref AND {counts("p.status")})), 0) AS paid,
           coalesce(sum(b.amount) FILTER (WHERE b.kind = 'revenue' AND {_COUNTS}), 0) AS recognised,
           count(*) AS objects
    FROM of_now AS b GROUP BY b.contract_id, b.currency
"""
# The project as its ERP last confirmed it; of several the newest. Its value is null where the ERP holds none. Since a
# move a project holds what closed ones, of others and its own ERP's earlier ones, have not: with that it is the
# contract's value again.
PROJECT: Final = """
    SELECT DISTINCT ON (x.contract_id) x.contract_id, x.fields, metrics.number(x.fields ->> 'value') + coalesce((
               SELECT sum(metrics.number(b.value ->> 'billed'))
               FROM core.placement AS p CROSS JOIN LATERAL jsonb_each(p.behind) AS b
               WHERE p.contract_id = x.contract_id), 0) AS value
    FROM core.crosswalk AS x WHERE x.contract_id = ANY(:ids) AND x.kind = 'project' AND x.state = 'confirmed'
    ORDER BY x.contract_id, x.confirmed_at DESC, x.system
"""
