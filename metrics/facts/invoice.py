"""Invoices with their disputes, credits and payments: one row for each invoice of a contract (docs/kpis.md, disputes).

An ERP reports each status as a further row; the newest one of an object counts, and the day of issue and the day on
which a dispute was raised are the first that were reported. Disputes that people imported name the system of the
invoice. What was reported before its project was known is found by the project's key.

A mismatch is proven when, on the whole day of issue, an amendment that was executed before was not yet confirmed in the
ERP, or an exception about rates, milestones, PO, tax, entity or amendments was open. An amendment is confirmed by the
first run that began after its event came and ended with everything read back.
"""

from collections.abc import Mapping
from typing import Final

import orjson

from metrics.facts.fact import OF_WEEK, Fact
from metrics.months import MONTH
from sync_core.statuses import counts, is_draft, is_paid, is_void

MATURE_DAYS: Final = 60  # only disputes raised within these count, so that months can be compared
# Causes of exceptions (sync_core/cases/ownership.py) that make an invoice wrong, by what is wrong with it then.
MISMATCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "rate": ("rate_card_missing", "rate_twice", "rate_missing", "labour_category_missing"),
    "milestone": (
        "milestones_do_not_add_up", "milestone_key_twice", "lines_do_not_add_up", "amount_invalid", "billing_mixed",
    ),
    "po": ("po_missing",),
    "tax": ("tax_code_missing", "tax_profile_missing", "customer_tax_profile_missing"),
    "entity": ("legal_entity_unknown", "legal_entity_missing", "currency_differs"),
    "amendment": ("amendment_missing", "events_contradict", "billed_differs", "silent_change"),
}  # fmt: skip

_COLUMNS: Final = (
    "contract_id", "system", "ref", "legal_entity", "service_line", "geography", "billing", "test", "kind", "status",
    "currency", "amount", "issued_on", "period", "month", "disputes", "disputed", "dispute_state", "raised_on", "late",
    "cause", "sync_cause", "credited", "paid", "paid_on", "foreign_disputes", "foreign_payments",
)  # fmt: skip

_REPORTED: Final = """
    SELECT f.contract_id, f.seq, f.system, f.of_system, coalesce(f.of_system, f.system) AS books, f.kind, f.ref,
           f.invoice_ref, f.amount, f.currency, lower(f.status) AS status, f.occurred_on, f.cause
    FROM core.financial_fact AS f WHERE f.contract_id = ANY(:ids) AND f.kind <> 'revenue'
    UNION ALL
    SELECT x.contract_id, f.seq, f.system, NULL, f.system, f.kind, f.ref, f.invoice_ref, f.amount, f.currency,
           lower(f.status), f.occurred_on, f.cause
    FROM core.crosswalk AS x JOIN core.financial_fact AS f ON f.system = x.system AND f.project_key = x.business_key
    WHERE x.contract_id = ANY(:ids) AND x.kind = 'project' AND f.contract_id IS NULL AND f.kind <> 'revenue'
"""
# Each object once: its last status, and its first day, which a person may have corrected.
_OBJECTS: Final = f"""
    SELECT DISTINCT ON (r.contract_id, r.system, r.kind, r.ref)
           r.contract_id, r.books AS system, r.kind, r.ref, r.invoice_ref, r.amount, r.currency, r.status, r.cause,
           CASE WHEN r.of_system IS NULL
                THEN coalesce(min(r.occurred_on) FILTER (WHERE NOT {is_draft("r.status")}) OVER same, r.occurred_on)
                ELSE r.occurred_on END AS first_on,
           r.occurred_on AS last_on
    FROM reported AS r WINDOW same AS (PARTITION BY r.contract_id, r.system, r.kind, r.ref)
    ORDER BY r.contract_id, r.system, r.kind, r.ref, r.seq DESC
"""
_INVOICES: Final = f"""
    SELECT o.contract_id, o.system, o.ref, o.status, o.currency, o.amount, o.first_on AS issued_on,
           CASE WHEN {is_void("o.status")} THEN 'cancelled' WHEN {is_draft("o.status")} THEN 'draft'
                WHEN o.amount < 0 THEN 'credit_note'
                WHEN o.invoice_ref IS NOT NULL THEN 'rebill' ELSE 'invoice' END AS kind
    FROM objects AS o WHERE o.kind = 'invoice'
    UNION ALL
    SELECT d.contract_id, d.system, coalesce(d.invoice_ref, d.ref), '', min(d.currency), 0, min(d.first_on), 'unknown'
    FROM objects AS d
    WHERE d.kind = 'dispute' AND NOT EXISTS (
        SELECT FROM objects AS o WHERE o.kind = 'invoice' AND o.contract_id = d.contract_id
            AND o.system = d.system AND o.ref = coalesce(d.invoice_ref, d.ref))
    GROUP BY 1, 2, 3
"""
_IN_TIME: Final = "d.first_on <= i.issued_on + CAST(:mature_days AS integer)"
_UPHELD, _WITHDRAWN = "('upheld', 'accepted')", "('withdrawn', 'rejected')"
_SETTLED: Final = "('resolved', 'settled', 'closed')"
_DISPUTES: Final = f"""
    SELECT i.contract_id, i.system, i.ref, CAST(count(*) FILTER (WHERE {_IN_TIME}) AS integer) AS disputes,
           CAST(count(*) FILTER (WHERE d.currency <> i.currency) AS integer) AS foreign_n,
           coalesce(sum(abs(d.amount)) FILTER (WHERE {_IN_TIME} AND d.currency = i.currency), 0) AS amount,
           min(d.first_on) FILTER (WHERE {_IN_TIME}) AS raised_on,
           (array_agg(d.cause ORDER BY d.first_on, d.ref) FILTER (WHERE {_IN_TIME} AND d.cause <> ''))[1] AS cause,
           CASE WHEN count(*) FILTER (WHERE {_IN_TIME}) = 0 THEN ''
                WHEN bool_or(d.status IN {_UPHELD}) FILTER (WHERE {_IN_TIME}) THEN 'upheld'
                WHEN bool_or(d.status NOT IN {_UPHELD} AND d.status NOT IN {_WITHDRAWN}
                             AND d.status NOT IN {_SETTLED}) FILTER (WHERE {_IN_TIME}) THEN 'open'
                WHEN bool_or(d.status IN {_SETTLED}) FILTER (WHERE {_IN_TIME}) THEN 'settled'
                ELSE 'withdrawn' END AS state
    FROM issued AS i JOIN objects AS d
         ON d.contract_id = i.contract_id AND d.system = i.system AND coalesce(d.invoice_ref, d.ref) = i.ref
    WHERE d.kind = 'dispute' GROUP BY 1, 2, 3
"""
_OWN: Final = "p.currency = i.currency"  # in another currency: counted, not summed
_PAID: Final = f"""
    SELECT i.contract_id, i.system, i.ref,
           coalesce(sum(p.amount) FILTER (WHERE p.kind = 'payment' AND {_OWN}), 0) AS paid,
           max(p.last_on) FILTER (WHERE p.kind = 'payment' AND {_OWN}) AS paid_on,
           coalesce(-sum(p.amount) FILTER (WHERE p.kind = 'invoice' AND p.amount < 0 AND {_OWN}), 0) AS credited,
           CAST(count(*) FILTER (WHERE p.kind = 'payment' AND NOT {_OWN}) AS integer) AS foreign_n
    FROM issued AS i JOIN objects AS p
         ON p.contract_id = i.contract_id AND p.system = i.system AND p.invoice_ref = i.ref
    WHERE p.kind IN ('payment', 'invoice') AND {counts("p.status")}
    GROUP BY 1, 2, 3
"""
_DAY: Final = "CAST({} AS timestamp) AT TIME ZONE :zone"
_UNCONFIRMED: Final = f"""
    SELECT 'amendment' AS kind, 0 AS place FROM core.event AS e
    WHERE e.source = c.source AND e.external_id = c.external_id AND e.type = 'com.tieline.contract.amended.v1'
      AND coalesce(metrics.moment_of(e.data -> 'amendment' ->> 'executed_at'), e.occurred_at)
          < {_DAY.format("i.issued_on")}
      AND NOT EXISTS (SELECT FROM core.run AS r
                      WHERE r.contract_id = c.contract_id AND r.outcome = 'converged'
                        AND r.state IN ('active', 'suspended') AND r.started_at >= e.recorded_at
                        AND r.finished_at < {_DAY.format("i.issued_on + 1")})
"""
_OPEN_CASE: Final = f"""
    SELECT m.kind, 1 FROM core.case AS k JOIN jsonb_to_recordset(CAST(:mismatches AS jsonb)) AS m(kind text, cause text)
           USING (cause)
    WHERE k.contract_id = c.contract_id AND (
        SELECT h.what IN ('opened', 'reopened') AND h.occurred_at < {_DAY.format("i.issued_on")}
        FROM core.case_history AS h
        WHERE h.case_id = k.case_id AND h.what IN ('opened', 'reopened', 'resolved', 'decided')
          AND h.occurred_at < {_DAY.format("i.issued_on + 1")}
        ORDER BY h.occurred_at DESC, h.recorded_at DESC LIMIT 1)
"""
# FULL, although neither side has an invoice that `issued` has not: a full join is never a nested loop, and that is what
# the planner takes for lists of which it knows nothing (3.6 s instead of 0.1 s for 5,000 invoices).
_FRESH: Final = f"""
    WITH reported AS MATERIALIZED ({_REPORTED}), objects AS MATERIALIZED ({_OBJECTS}),
         issued AS MATERIALIZED ({_INVOICES})
    SELECT i.contract_id, i.system, i.ref, c.legal_entity, c.service_line, c.geography, c.billing, c.test, i.kind,
           i.status, i.currency, i.amount, i.issued_on,
           i.issued_on - (CAST(extract(isodow FROM i.issued_on) AS integer) - 1) AS period,
           {MONTH.format("i.issued_on")} AS month,
           coalesce(d.disputes, 0) AS disputes, greatest(least(coalesce(d.amount, 0), i.amount), 0) AS disputed,
           coalesce(d.state, '') AS dispute_state, d.raised_on, coalesce(d.disputes, 1) = 0 AS late,
           coalesce(d.cause, '') AS cause, coalesce(s.kind, '') AS sync_cause, coalesce(p.credited, 0) AS credited,
           CASE WHEN coalesce(p.paid, 0) = 0 AND {is_paid("i.status")} THEN i.amount
                ELSE coalesce(p.paid, 0) END AS paid,
           p.paid_on, coalesce(d.foreign_n, 0) AS foreign_disputes, coalesce(p.foreign_n, 0) AS foreign_payments
    FROM issued AS i FULL JOIN ({_DISPUTES}) AS d USING (contract_id, system, ref)
         FULL JOIN ({_PAID}) AS p USING (contract_id, system, ref) JOIN core.contract AS c USING (contract_id)
         LEFT JOIN LATERAL (SELECT w.kind FROM ({_UNCONFIRMED} UNION ALL {_OPEN_CASE}) AS w(kind, place)
                            WHERE d.disputes > 0 AND (coalesce(d.cause, '') = '' OR d.cause = ANY(:sync_causes))
                            ORDER BY w.place, w.kind LIMIT 1) AS s ON true
"""

_INVOICE: Final = "f.kind = 'invoice' AND NOT f.test"
_DISPUTED: Final = f"{_INVOICE} AND f.disputes > 0"
_CAUSE: Final = "CASE WHEN f.cause <> '' THEN f.cause WHEN f.sync_cause <> '' THEN f.sync_cause ELSE 'not stated' END"
_CELLS: Final = f"""
    SELECT 'issued', f.period, f.currency, f.month, 1, f.amount WHERE {_INVOICE}
    UNION ALL SELECT 'planned', f.period, f.currency, f.month, 1, f.amount
        WHERE {_INVOICE} AND f.billing <> 'time_and_materials'
    UNION ALL SELECT 'disputed', f.period, f.currency, f.month, 1, f.disputed WHERE {_DISPUTED}
    UNION ALL SELECT f.dispute_state, f.period, f.currency, f.month, 1, f.disputed WHERE {_DISPUTED}
    UNION ALL SELECT 'sync', f.period, f.currency, f.month, 1, f.disputed WHERE {_DISPUTED} AND f.sync_cause <> ''
    UNION ALL SELECT 'cause', f.period, {_CAUSE}, f.month, 1, 0 WHERE {_DISPUTED}
    UNION ALL SELECT 'late', f.period, f.currency, f.month, 1, f.amount WHERE {_INVOICE} AND f.late
    UNION ALL SELECT f.kind, f.period, f.currency, f.month, 1, f.amount WHERE f.kind <> 'invoice' AND NOT f.test
    UNION ALL SELECT 'foreign_dispute', f.period, f.currency, f.month, f.foreign_disputes, 0
        WHERE NOT f.test AND f.foreign_disputes > 0
    UNION ALL SELECT 'foreign_payment', f.period, f.currency, f.month, f.foreign_payments, 0
        WHERE NOT f.test AND f.foreign_payments > 0
    UNION ALL SELECT 'test', f.period, f.currency, f.month, 1, f.amount WHERE f.test
"""

FACT = Fact(
    name="invoice",
    key=("contract_id", "system", "ref"),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=OF_WEEK,
    money=("amount", "disputed", "credited", "paid"),
    values={
        "mature_days": MATURE_DAYS,
        "sync_causes": list(MISMATCHES),
        "mismatches": orjson.dumps(
            [{"kind": kind, "cause": cause} for kind, causes in MISMATCHES.items() for cause in causes]
        ).decode(),
    },
)
