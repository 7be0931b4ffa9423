"""What a contract was to bill in a month, by the milestones in force when the month began; what was billed in it.

In force then: of the events recorded before the month's first moment in the group's zone, in the order of the fold
(sync_core/fold.py). A contract that was not signed by then, or had ended, bills nothing, and one whose renewal was
declined nothing after its last day; one that was signed anew bills by its new agreement; an amendment's number counts
once, and what is sent under it again changes nothing. Contracts billed by time have no schedule that could be compared.
One row a contract, month and currency (docs/kpis.md, forecasts); a month without milestones and invoices has none.
Invoices are those of the fact before this one (metrics/facts/invoice.py).
"""

from typing import Final

from metrics.facts._fold_order import AMENDMENT_NUMBER, FOLD_ORDER, HEARD
from metrics.facts.fact import Fact
from metrics.months import MONTH
from sync_core.events import PREFIX

_COLUMNS: Final = (
    "contract_id", "month", "legal_entity", "service_line", "geography", "billing", "test", "currency", "milestones",
    "amount", "billed",
)  # fmt: skip

_SCHEDULING: Final = ("signed", "amended", "corrected", "cancelled", "terminated")
_EVENTS: Final = f"""
    SELECT c.contract_id, e.seq, e.recorded_at, e.data, split_part(e.type, '.', 4) AS what,
           CASE WHEN e.type = '{PREFIX}amended.v1' THEN {AMENDMENT_NUMBER} END AS number,
           row_number() OVER (PARTITION BY c.contract_id ORDER BY {FOLD_ORDER}) AS place
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND c.billing = 'milestones' AND e.type = ANY(:scheduling)
"""
# What each event says of a milestone; of one that it sets and removes, the removal holds.
_SAID: Final = """
    SELECT e.contract_id, e.recorded_at, e.place, e.number, e.what = 'signed' AS signs, m.value ->> 'key' AS key,
           false AS removed, metrics.day(m.value ->> 'due_on') AS due_on, metrics.number(m.value ->> 'amount') AS amount
    FROM scheduling AS e CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(coalesce(e.data -> 'terms', e.data -> 'changes') -> 'milestones') WHEN 'array'
             THEN coalesce(e.data -> 'terms', e.data -> 'changes') -> 'milestones' ELSE '[]' END) AS m(value)
    UNION ALL
    SELECT e.contract_id, e.recorded_at, e.place, e.number, false, m.value, true, NULL, NULL
    FROM scheduling AS e CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(e.data -> 'changes' -> 'remove_milestones') WHEN 'array'
             THEN e.data -> 'changes' -> 'remove_milestones' ELSE '[]' END) AS m(value)
"""
_MONTHS: Final = """
    SELECT s.contract_id, s.month, CAST(s.month AS timestamp) AT TIME ZONE :zone AS begins
    FROM (SELECT DISTINCT contract_id, CAST(date_trunc('month', CAST(due_on AS timestamp)) AS date) AS month
          FROM said WHERE due_on IS NOT NULL) AS s
"""
# What the fold said last before a month began, of the contracts that it was asked about.
_TOLD: Final = f"""
    SELECT DISTINCT ON (m.contract_id, m.month) m.contract_id, m.month, h.at, h.seq, h.last_day
    FROM months AS m JOIN ({HEARD}) AS h ON h.contract_id = m.contract_id AND h.at < m.begins
    ORDER BY m.contract_id, m.month, h.at DESC
"""
# By joins, not by a look-up for each month: a batch has thousands of contracts. The first signature stands where the
# fold was not asked: what is published again meanwhile is no agreement (sync_core/life/silent.py).
_STOOD: Final = f"""
    SELECT b.contract_id, b.month, b.begins, b.last_day, min(e.place) AS signed
    FROM (SELECT m.contract_id, m.month, m.begins, t.at, t.seq, t.last_day,
                 coalesce(max(e.place) FILTER (WHERE e.what IN ('cancelled', 'terminated')), 0) AS ended
          FROM months AS m LEFT JOIN ({_TOLD}) AS t USING (contract_id, month)
               JOIN scheduling AS e ON e.contract_id = m.contract_id AND e.recorded_at < m.begins
          GROUP BY 1, 2, 3, 4, 5, 6) AS b
         JOIN scheduling AS e ON e.contract_id = b.contract_id AND e.recorded_at < b.begins AND e.what = 'signed'
              AND CASE WHEN b.at IS NULL THEN e.place > b.ended ELSE e.seq = b.seq END
    GROUP BY 1, 2, 3, 4
"""
_IN_FORCE: Final = f"""
    SELECT DISTINCT ON (m.contract_id, m.month, s.key) m.contract_id, m.month, m.last_day, s.removed, s.due_on, s.amount
    FROM ({_STOOD}) AS m
         JOIN said AS s ON s.contract_id = m.contract_id AND s.recorded_at < m.begins AND s.place >= m.signed
              AND (s.place = m.signed OR NOT s.signs)
    WHERE NOT EXISTS (
        SELECT FROM scheduling AS e WHERE e.contract_id = s.contract_id AND e.number = s.number AND e.place < s.place
           AND e.place > m.signed AND e.recorded_at < m.begins)
    ORDER BY m.contract_id, m.month, s.key, s.place DESC, s.removed DESC
"""
_FRESH: Final = f"""
    WITH scheduling AS MATERIALIZED ({_EVENTS}), said AS MATERIALIZED ({_SAID}), months AS MATERIALIZED ({_MONTHS})
    SELECT p.contract_id, p.month, c.legal_entity, c.service_line, c.geography, c.billing, c.test,
           coalesce(p.currency, c.currency) AS currency, CAST(count(p.amount) AS integer) AS milestones,
           coalesce(sum(p.amount), 0) AS amount, coalesce(sum(p.billed), 0) AS billed
    FROM (
        SELECT p.contract_id, p.month, CAST(NULL AS text) AS currency, p.amount, CAST(NULL AS numeric) AS billed
        FROM ({_IN_FORCE}) AS p
        WHERE NOT p.removed AND p.due_on >= p.month AND p.due_on < p.month + interval '1 month'
          AND p.amount IS NOT NULL AND p.due_on <= coalesce(p.last_day, 'infinity')
        UNION ALL
        SELECT i.contract_id, CAST(date_trunc('month', CAST(i.issued_on AS timestamp)) AS date), i.currency, NULL,
               i.amount
        FROM metrics.invoice_fact AS i
        WHERE i.known_to IS NULL AND i.contract_id = ANY(:ids) AND i.kind = 'invoice'
          AND i.billing <> 'time_and_materials'
    ) AS p JOIN core.contract AS c USING (contract_id)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_CELLS: Final = f"""
    SELECT CASE WHEN f.test THEN 'test' ELSE 'planned' END, f.month, f.currency, {MONTH.format("f.month")},
           f.milestones, f.amount WHERE f.milestones > 0
    UNION ALL SELECT 'compared', f.month, f.currency, {MONTH.format("f.month")}, 1, 0 WHERE NOT f.test
"""

FACT = Fact(
    name="schedule",
    key=("contract_id", "month", "currency"),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within="f.month >= :start AND f.month < :end",
    money=("amount", "billed"),
    values={"scheduling": [f"{PREFIX}{what}.v1" for what in _SCHEDULING]},
)
