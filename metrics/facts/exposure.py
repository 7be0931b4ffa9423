"""Money that stands between what was signed and what the ERP confirmed: one row a contract that is out of step.

A contract in step has none: its last run read the ERP back and found it as agreed. What depends on the moment (how much
a bill run misses) is worked out from the bill dates when it is asked for (metrics/kpis/stuck_money.py).
"""

from typing import Final

from metrics.facts._agreed import EVENTS, HELD, MILESTONES, RATES, RATES_IN_FORCE, STOOD, TERMS, VALUES
from metrics.facts._billed import BILLED, PROJECT
from metrics.facts.fact import STOCK, Fact

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "currency", "test", "unverified",
    "provisioned", "state", "causes", "since", "since_work_s", "target_value", "erp_value", "billed", "value_gap",
    "rates_gross", "rates_net", "blocked", "settled", "first_due", "due_on", "due_target", "due_net",
)  # fmt: skip

_MOST_MONTHS: Final = 120
_STEPPING: Final = """
    SELECT c.contract_id, c.source, c.external_id, c.legal_entity, c.service_line, c.geography, c.billing, c.currency,
           c.test, c.state, c.value, c.signed_at, c.state_since, c.unclean_at IS NOT NULL AS unverified,
           c.first_active_at IS NOT NULL AS provisioned, CAST(c.updated_at AT TIME ZONE :zone AS date) AS seen_on,
           k.causes, k.since AS blocked_since
    FROM core.contract AS c CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(k.cause ORDER BY k.cause), '{}') AS causes,
               min(coalesce(k.first_opened_at, k.opened_at)) AS since
        FROM core.case AS k
        WHERE k.contract_id = c.contract_id AND k.state = 'open'
          AND k.cause NOT IN ('earned_not_billed', 'silent_change', 'rate_change_unbilled')  -- the ERP is as agreed
    ) AS k
    WHERE c.contract_id = ANY(:ids) AND c.signed_at IS NOT NULL
      AND (c.state NOT IN ('active', 'suspended', 'ended') OR c.wanted_rev <> c.done_rev OR c.unclean_at IS NOT NULL
           OR k.causes <> '{}')
"""
# Since when: a first activation since the signature, a change since the first of those that no run has confirmed.
_SINCE: Final = """
    SELECT o.contract_id, CASE WHEN NOT o.provisioned THEN o.signed_at ELSE coalesce(
        (SELECT min(e.occurred_at) FROM agreeing AS e
         WHERE e.contract_id = o.contract_id AND e.recorded_at >= coalesce((
             SELECT max(r.started_at) FROM core.run AS r
             WHERE r.contract_id = o.contract_id AND r.outcome = 'converged'), '-infinity')),
        o.blocked_since, o.state_since) END AS at
    FROM stepping AS o
"""
# Both sides of the contract. An ERP that holds no value is taken to hold the right one; one that can bill nothing of it
# yet holds none. What was cancelled should bill no more than it has.
_SIDES: Final = """
    SELECT o.*, coalesce(b.billed - b.credited, 0) AS billed, coalesce(t.ended, false) AS ended,
           CASE WHEN NOT coalesce(t.ended, false) THEN coalesce(t.value, o.value)
                WHEN o.provisioned THEN coalesce(b.billed - b.credited, 0) ELSE 0 END AS target,
           CASE WHEN NOT o.provisioned OR p.contract_id IS NULL THEN 0
                ELSE coalesce(p.value, t.value, o.value) END AS held,
           o.provisioned AND NOT coalesce(t.ended, false) AND (
               jsonb_exists(p.fields, 'po_number') AND p.fields ->> 'po_number' IS DISTINCT FROM t.po_number
               OR jsonb_exists(p.fields, 'legal_entity')
                  AND p.fields ->> 'legal_entity' IS DISTINCT FROM t.legal_entity
               OR jsonb_exists(p.fields, 'tax_code')
                  AND p.fields ->> 'tax_code' IS DISTINCT FROM CASE WHEN NOT t.exempt THEN t.tax_code END
           ) AND t.contract_id IS NOT NULL AS headed_wrong,
           coalesce(t.by_time, o.billing = 'time_and_materials') AS by_time,
           coalesce(t.starts_on, CAST(o.signed_at AT TIME ZONE :zone AS date)) AS starts_on, t.ends_on
    FROM stepping AS o LEFT JOIN terms AS t USING (contract_id) LEFT JOIN project AS p USING (contract_id)
         LEFT JOIN money AS b ON b.contract_id = o.contract_id AND b.currency = o.currency
"""
# What is to be billed by day: milestones on theirs; by time, the value evenly over the months of the term.
_DAYS: Final = f"""
    SELECT m.contract_id, m.bill_on, m.amount AS target, m.amount AS net
    FROM milestones AS m JOIN sides AS s USING (contract_id) WHERE NOT s.ended AND NOT s.by_time
    UNION ALL
    SELECT h.contract_id,
           CASE WHEN jsonb_exists(h.fields, 'bill_on') THEN metrics.day(h.fields ->> 'bill_on') ELSE m.bill_on END, 0,
           -CASE WHEN jsonb_exists(h.fields, 'amount') THEN metrics.number(h.fields ->> 'amount') ELSE m.amount END
    FROM held AS h JOIN sides AS s USING (contract_id)
         LEFT JOIN milestones AS m ON m.contract_id = h.contract_id AND m.key = h.key
    WHERE h.kind = 'milestone' AND NOT s.by_time
    UNION ALL
    SELECT s.contract_id, CAST(month + interval '1 month - 1 day' AS date), s.target / n.months,
           (s.target - s.held) / n.months
    FROM sides AS s CROSS JOIN LATERAL (
        SELECT least(greatest(CAST(extract(year FROM age(date_trunc('month', e.ends_on),
                   date_trunc('month', s.starts_on))) * 12 + extract(month FROM age(date_trunc('month', e.ends_on),
                   date_trunc('month', s.starts_on))) AS int) + 1, 1), {_MOST_MONTHS}) AS months
        FROM (SELECT CAST(coalesce(s.ends_on, s.starts_on + interval '11 months') AS timestamp) AS ends_on) AS e
    ) AS n CROSS JOIN LATERAL generate_series(
        date_trunc('month', CAST(s.starts_on AS timestamp)),
        date_trunc('month', CAST(s.starts_on AS timestamp)) + (n.months - 1) * interval '1 month', '1 month') AS month
    WHERE s.by_time AND NOT s.ended
"""
_DUE: Final = """
    SELECT d.contract_id, min(d.bill_on) AS first_due, array_agg(d.bill_on ORDER BY d.bill_on) AS due_on,
           array_agg(d.target_until ORDER BY d.bill_on) AS due_target,
           array_agg(d.net_until ORDER BY d.bill_on) AS due_net, max(abs(d.net_until)) AS most_net
    FROM (SELECT contract_id, bill_on, sum(target) AS target, sum(net) AS net,
                 sum(sum(target)) OVER (PARTITION BY contract_id ORDER BY bill_on) AS target_until,
                 sum(sum(net)) OVER (PARTITION BY contract_id ORDER BY bill_on) AS net_until FROM days
          WHERE bill_on IS NOT NULL AND net IS NOT NULL GROUP BY contract_id, bill_on) AS d
    WHERE d.target <> 0 OR d.net <> 0 GROUP BY d.contract_id
"""
# Each rate's distance times the hours that remain: the planned ones, less the share of the value that is billed.
_RATED: Final = """
    SELECT coalesce(r.contract_id, h.contract_id) AS contract_id,
           sum((coalesce(r.rate, 0) - coalesce(h.rate, 0)) * coalesce(r.hours, h.hours)) AS net,
           sum(abs(coalesce(r.rate, 0) - coalesce(h.rate, 0)) * coalesce(r.hours, h.hours)) AS gross
    FROM (SELECT f.* FROM in_force AS f JOIN sides AS s USING (contract_id)
          WHERE s.by_time AND s.provisioned AND NOT s.ended) AS r
         FULL JOIN (
             SELECT h.contract_id, h.key AS category,
                    CASE WHEN jsonb_exists(h.fields, 'rate') THEN metrics.number(h.fields ->> 'rate') ELSE f.rate END
                        AS rate, coalesce(metrics.number(h.fields ->> 'planned_hours'), f.hours, 0) AS hours
             FROM held AS h JOIN sides AS s USING (contract_id)
                  LEFT JOIN in_force AS f ON f.contract_id = h.contract_id AND f.category = h.key
             WHERE h.kind = 'labour_rate' AND s.by_time AND NOT s.ended
         ) AS h ON h.contract_id = r.contract_id AND h.category = r.category
    GROUP BY 1
"""
# Shares of a month are rounded, so that all of them together may be a trace more than what they are shares of.
_AS_MUCH: Final = "1.000000001"
_FRESH: Final = f"""
    WITH stepping AS MATERIALIZED ({_STEPPING}), agreeing AS MATERIALIZED ({EVENTS}), stood AS MATERIALIZED ({STOOD}),
    terms AS MATERIALIZED ({TERMS}), project AS MATERIALIZED ({PROJECT}), money AS MATERIALIZED ({BILLED}),
    sides AS MATERIALIZED ({_SIDES}), milestones AS MATERIALIZED ({MILESTONES}), rates AS MATERIALIZED ({RATES}),
    in_force AS MATERIALIZED ({RATES_IN_FORCE}), held AS MATERIALIZED ({HELD}), days AS ({_DAYS}), due AS ({_DUE}),
    rated AS ({_RATED}), since AS ({_SINCE})
    SELECT s.contract_id, s.legal_entity, s.service_line, s.geography, s.billing, s.currency, s.test, s.unverified,
           s.provisioned, s.state, s.causes, n.at AS since, metrics.worked(s.legal_entity, n.at) AS since_work_s,
           s.target AS target_value, s.held AS erp_value, s.billed, s.target - s.held AS value_gap,
           f.rates_gross, coalesce(r.net, 0) * f.unbilled AS rates_net, f.blocked,
           CASE WHEN coalesce(d.most_net, 0) <= most.gross * {_AS_MUCH} THEN most.gross END AS settled,
           d.first_due, coalesce(d.due_on, '{{}}') AS due_on, coalesce(d.due_target, '{{}}') AS due_target,
           coalesce(d.due_net, '{{}}') AS due_net
    FROM sides AS s JOIN since AS n USING (contract_id) LEFT JOIN due AS d USING (contract_id)
         LEFT JOIN rated AS r USING (contract_id) CROSS JOIN LATERAL (
             SELECT u.unbilled, coalesce(r.gross, 0) * u.unbilled AS rates_gross,
                    CASE WHEN s.headed_wrong OR NOT s.provisioned AND NOT s.ended AND s.causes <> '{{}}'
                         THEN greatest(s.target - s.billed, 0) ELSE 0 END AS blocked
             FROM (SELECT CASE WHEN s.target > 0 THEN least(greatest(1 - s.billed / s.target, 0), 1) ELSE 1 END
                       AS unbilled) AS u
         ) AS f
         CROSS JOIN LATERAL (SELECT greatest(f.blocked, abs(s.target - s.held), f.rates_gross) AS gross) AS most
"""
_CELLS: Final = f"""
    SELECT 'out_of_step', {STOCK}, f.currency, -1, 1, abs(f.value_gap) WHERE NOT f.test
    UNION ALL SELECT 'test', {STOCK}, f.currency, -1, 1, 0 WHERE f.test
"""
_MONEY: Final = (
    "target_value", "erp_value", "billed", "value_gap", "rates_gross", "rates_net", "blocked", "settled", "due_target",
    "due_net",
)  # fmt: skip

FACT = Fact(
    name="exposure",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    money=_MONEY,
    values=VALUES,
)
