"""From signature to the first payment: one row a signed contract (docs/kpis.md, contract to cash).

Something may be billed on the first milestone's day, or with time and materials at the end of the first month of work,
but not before the contract is active. An invoice counts once it is issued unless its ERP has
cancelled it, a payment unless it bounced (sync_core/statuses.py).
"""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts._signature import SIGNED_AT
from metrics.facts._touches import TOUCHES
from metrics.facts.fact import OF_WEEK, Fact
from sync_core.statuses import counts, is_paid

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "test", "stage", "step", "lost", "period",
    "signed_on", "active_on", "billable_on", "invoice_on", "payment_on", "touches",
)  # fmt: skip
HAND_OFFS: Final = ("active", "billable", "invoice", "payment")  # what each number of `touches` leads to

# The newest status of each invoice and payment. A project that was known before its contract is found by its key.
_BOOKED: Final = """
    SELECT DISTINCT ON (f.contract_id, f.system, f.kind, f.ref) f.* FROM (
        SELECT contract_id, system, kind, ref, status, amount, occurred_on, seq FROM core.financial_fact
        WHERE contract_id = ANY(:ids)
        UNION ALL
        SELECT x.contract_id, n.system, n.kind, n.ref, n.status, n.amount, n.occurred_on, n.seq
        FROM core.crosswalk AS x JOIN core.financial_fact AS n ON n.system = x.system AND n.project_key = x.business_key
        WHERE x.contract_id = ANY(:ids) AND x.kind = 'project' AND n.contract_id IS NULL
    ) AS f WHERE f.kind IN ('invoice', 'payment') AND f.amount > 0
    ORDER BY f.contract_id, f.system, f.kind, f.ref, f.seq DESC
"""
_PAID: Final = f"""
    SELECT b.contract_id, min(b.occurred_on) FILTER (WHERE b.kind = 'invoice') AS invoice_on,
           coalesce(min(b.occurred_on) FILTER (WHERE b.kind = 'payment'),
                    min(b.occurred_on) FILTER (WHERE b.kind = 'invoice' AND {is_paid("b.status")})) AS payment_on
    FROM ({_BOOKED}) AS b
    WHERE {counts("b.status")} GROUP BY b.contract_id
"""
_PLANNED: Final = """
    SELECT x.contract_id, metrics.day(min(x.fields ->> 'bill_on') FILTER (WHERE x.kind = 'milestone')) AS milestone_on,
           metrics.day(min(x.fields ->> 'starts_on') FILTER (WHERE x.kind = 'project')) AS starts_on
    FROM core.crosswalk AS x
    WHERE x.contract_id = ANY(:ids) AND x.kind IN ('milestone', 'project') AND x.state = 'confirmed'
    GROUP BY x.contract_id
"""
_DATED: Final = f"""
    SELECT c.*, k.zone, p.milestone_on, p.starts_on, b.invoice_on, b.payment_on,
           CAST(c.began_at AT TIME ZONE k.zone AS date) AS signed_on,
           CASE WHEN c.first_active_at IS NOT NULL
                THEN CAST(greatest(c.first_active_at, c.began_at) AT TIME ZONE k.zone AS date) END AS active_on
    FROM (SELECT c.*, {SIGNED_AT} AS began_at FROM core.contract AS c
          WHERE c.contract_id = ANY(:ids) AND c.signed_at IS NOT NULL) AS c
         JOIN metrics.calendar AS k ON k.calendar = coalesce(
             (SELECT own.calendar FROM metrics.calendar AS own WHERE own.calendar = c.legal_entity), '')
         LEFT JOIN ({_PLANNED}) AS p USING (contract_id) LEFT JOIN ({_PAID}) AS b USING (contract_id)
"""
_BILLABLE: Final = """
    CASE WHEN d.active_on IS NULL THEN NULL
         WHEN d.billing = 'milestones' THEN greatest(d.active_on, coalesce(d.milestone_on, d.bill_on))
         ELSE CAST(date_trunc('month', CAST(greatest(d.active_on, d.starts_on) AS timestamp)) + interval '1 month'
                   - interval '1 day' AS date) END
"""
# How far one came that has not even an invoice: the engine has it at least.
_STEP: Final = """
    coalesce((SELECT p.step FROM core.progress AS p
              WHERE p.contract_id = d.contract_id AND p.step IN ('validated', 'project_created', 'billing_set_up')
              ORDER BY array_position(ARRAY['validated', 'project_created', 'billing_set_up'], p.step) DESC LIMIT 1),
             'captured')
"""
# Which hand-off a touch came before; null for one after the first payment.
_BEFORE: Final = """
    CASE WHEN d.first_active_at IS NULL OR t.at <= d.first_active_at THEN 1
         WHEN day.was > d.payment_on THEN NULL
         WHEN day.was > d.invoice_on THEN 4
         WHEN day.was > d.billable_on THEN 3 ELSE 2 END
"""
_FRESH: Final = f"""
    WITH known AS MATERIALIZED (SELECT d.*, {_BILLABLE} AS billable_on FROM ({_DATED}) AS d),
    touched AS (
        SELECT t.contract_id, ARRAY[{", ".join(f"count(*) FILTER (WHERE h.place = {n})" for n in range(1, 5))}] AS n
        FROM ({TOUCHES}) AS t JOIN known AS d USING (contract_id)
             CROSS JOIN LATERAL (SELECT CAST(t.at AT TIME ZONE d.zone AS date) AS was) AS day
             CROSS JOIN LATERAL (SELECT {_BEFORE} AS place) AS h
        GROUP BY t.contract_id
    )
    SELECT d.contract_id, d.legal_entity, d.service_line, d.geography, d.billing, d.test,
           CASE WHEN d.payment_on IS NOT NULL THEN 'paid' WHEN d.invoice_on IS NOT NULL THEN 'invoiced'
                WHEN d.active_on IS NOT NULL THEN 'active' ELSE 'signed' END AS stage,
           CASE WHEN coalesce(d.payment_on, d.invoice_on, d.active_on) IS NULL THEN {_STEP} ELSE '' END AS step,
           d.state = 'ended' AND d.invoice_on IS NULL AND d.payment_on IS NULL AS lost,
           CAST(date_trunc('week', d.began_at, :zone) AT TIME ZONE :zone AS date) AS period,
           d.signed_on, d.active_on, d.billable_on, d.invoice_on, d.payment_on,
           CAST(coalesce(t.n, ARRAY[0, 0, 0, 0]) AS integer[]) AS touches
    FROM known AS d LEFT JOIN touched AS t USING (contract_id)
"""


def _took(measure: str, start: str, end: str) -> str:
    """Whole days, in seconds; 0 when the later one came first."""
    seconds = f"CAST(greatest({end} - {start}, 0) AS bigint) * 86400"
    return f"""
    UNION ALL SELECT '{measure}', f.period, '', width_bucket(CAST({seconds} AS float8), CAST(:bounds AS float8[])), 1,
        {seconds} WHERE NOT f.test AND NOT f.lost AND {end} - {start} IS NOT NULL"""


def _waits(measure: str, since: str, condition: str) -> str:
    """By the day since when, so that ages are worked out when they are asked for."""
    return f"""
    UNION ALL SELECT '{measure}', f.period, CAST({since} AS text), -1, 1, 0
        WHERE NOT f.test AND NOT f.lost AND {since} IS NOT NULL AND {condition}"""


_CELLS: Final = f"""
    SELECT CASE WHEN f.lost THEN 'lost' ELSE 'stage' END, f.period, coalesce(nullif(f.step, ''), f.stage), -1, 1, 0
        WHERE NOT f.test
    UNION ALL SELECT 'test', f.period, '', -1, 1, 0 WHERE f.test
    {_took("to_active", "f.signed_on", "f.active_on")}
    {_took("to_billable", "f.active_on", "f.billable_on")}
    {_took("to_invoice", "f.billable_on", "f.invoice_on")}
    {_took("to_payment", "f.invoice_on", "f.payment_on")}
    {_took("to_cash", "f.signed_on", "f.payment_on")}
    {_waits("wait_active", "f.signed_on", "f.active_on IS NULL")}
    {_waits("wait_invoice", "f.billable_on", "f.invoice_on IS NULL AND f.payment_on IS NULL")}
    {_waits("wait_payment", "f.invoice_on", "f.payment_on IS NULL")}
    {_waits("wait_cash", "f.signed_on", "f.payment_on IS NULL")}
    UNION ALL SELECT 'touches', f.period, t.name, -1, 1, t.n
        FROM unnest(f.touches, CAST('{{{",".join(HAND_OFFS)}}}' AS text[])) AS t(n, name) WHERE NOT f.test AND t.n > 0
"""

FACT = Fact(
    name="cash",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=OF_WEEK,
    values={"bounds": list(BOUNDS)},
)
