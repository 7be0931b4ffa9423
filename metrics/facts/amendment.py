"""From an amendment's execution to the ERP: one row an amendment (docs/kpis.md, amendment sync lag).

It is done when everything that it changes was read back: the first activation that knows of it, or the first run that
saw its event and found the whole contract as wanted, because it changed nothing that an ERP holds. A number counts
once in an agreement: sent again with other terms it is no amendment (sync_core/life/silent.py).

What it changed of the value is signed in the month of its execution, and not in that of the signature: the contract's
own value, which counts there, has it in already, unless it waits. One that a signature after an end stands
above counts nowhere.

`bill_on` is the day by which it had to be done: the first bill date on or after its execution, as it was agreed when it
came. Nothing that comes later moves it.
"""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts._fold_order import AMENDMENT_NUMBER, FOLD_ORDER, as_agreed, moved
from metrics.facts._signature import SIGNED_AT
from metrics.facts.fact import OF_WEEK, Fact, bucket_of, clock_of
from metrics.months import MONTH

_COLUMNS: Final = (
    "contract_id", "agreement", "number", "legal_entity", "service_line", "geography", "billing", "currency", "test",
    "outcome", "period", "executed_at", "received_at", "effective_at", "retroactive", "done_at", "ended_at", "waits",
    "ordering_s", "lag_s", "lag_work_s", "own_work_s", "executed_work_s", "received_work_s", "billing_lag_s",
    "exposure_s", "in_time", "day_s", "delta", "bill_on", "signed_on", "stands",
)  # fmt: skip

_AMENDED: Final = "com.tieline.contract.amended.v1"
_SIGNED: Final = "com.tieline.contract.signed.v1"
_CORRECTED: Final = "com.tieline.contract.corrected.v1"

# Those that were ever amended: looked up contract by contract (LIMIT), never by reading all amendments that there are.
_AMENDED_ONES: Final = f"""
    SELECT c.contract_id, c.source, c.external_id, c.legal_entity FROM core.contract AS c CROSS JOIN LATERAL (
        SELECT FROM core.event AS e
        WHERE e.source = c.source AND e.external_id = c.external_id AND e.type = '{_AMENDED}' LIMIT 1
    ) AS e WHERE c.contract_id = ANY(:ids)
"""
# All their events, in the order of their content (sync_core/fold.py); `rank` is that of arrival, up to which a run of
# that revision has seen them.
_STORED: Final = f"""
    SELECT c.contract_id, e.seq, e.type, e.type = '{_SIGNED}' AS signs, e.recorded_at, e.occurred_at,
           row_number() OVER (PARTITION BY c.contract_id ORDER BY e.seq) AS rank,
           row_number() OVER (PARTITION BY c.contract_id ORDER BY {FOLD_ORDER}) AS place,
           CASE WHEN e.type = '{_AMENDED}' THEN {AMENDMENT_NUMBER} END AS number,
           CASE WHEN e.type IN ('{_AMENDED}', '{_CORRECTED}') THEN metrics.number(e.data #>> '{{changes,value}}')
                WHEN e.type = '{_SIGNED}' THEN metrics.number(e.data #>> '{{terms,value}}') END AS value,
           CASE WHEN e.type = '{_AMENDED}' THEN metrics.moment_of(e.data #>> '{{amendment,executed_at}}')
           END AS executed_at,
           CASE WHEN e.type = '{_AMENDED}' THEN metrics.day(e.data #>> '{{amendment,effective_on}}')
           END AS effective_on,
           CASE WHEN e.type = '{_CORRECTED}' THEN e.data -> 'amendment_days' END AS days,
           CASE e.type WHEN '{_SIGNED}' THEN e.data -> 'terms'
                WHEN '{_AMENDED}' THEN e.data -> 'changes' WHEN '{_CORRECTED}' THEN e.data -> 'changes' END AS terms
    FROM amended AS c JOIN core.event AS e USING (source, external_id)
"""
_SAID: Final = as_agreed(_STORED, signs="r.signs")
# What was agreed when the amendment came: the events that were there by then, or by the signature if it was later.
_KNOWING: Final = """
    SELECT l.contract_id, l.agreement, l.number, l.rank AS upto,
           CAST(l.executed_at AT TIME ZONE :zone AS date) AS executed_on,
           coalesce(max(s.place) FILTER (WHERE s.rank <= l.rank), 0) AS signed
    FROM (SELECT l.contract_id, l.agreement, l.number, l.executed_at, greatest(l.rank, f.rank) AS rank
          FROM listed AS l LEFT JOIN (SELECT contract_id, min(rank) AS rank FROM said WHERE signs GROUP BY 1) AS f
               USING (contract_id)) AS l
         LEFT JOIN said AS s ON s.contract_id = l.contract_id AND s.signs
    GROUP BY l.contract_id, l.agreement, l.number, l.rank, l.executed_at
"""
_DATED: Final = """
    SELECT s.contract_id, s.rank, s.place, i.part ->> 'key' AS key, metrics.day(i.part ->> 'due_on') AS due_on,
           false AS gone, i.n
    FROM said AS s CROSS JOIN LATERAL jsonb_path_query(s.terms, '$.milestones[*]') WITH ORDINALITY AS i(part, n)
    UNION ALL
    SELECT s.contract_id, s.rank, s.place, i.part #>> '{}', NULL, true, 0
    FROM said AS s CROSS JOIN LATERAL jsonb_path_query(s.terms, '$.remove_milestones[*]') AS i(part)
"""
_MILESTONES: Final = """
    SELECT p.contract_id, p.agreement, p.number,
           coalesce(min(p.due_on) FILTER (WHERE p.due_on >= p.executed_on), max(p.due_on)) AS bill_on
    FROM (SELECT DISTINCT ON (k.contract_id, k.agreement, k.number, d.key)
                 k.contract_id, k.agreement, k.number, k.executed_on, d.due_on, d.gone
          FROM knowing AS k JOIN dated AS d
               ON d.contract_id = k.contract_id AND d.rank <= k.upto AND d.place >= k.signed
          ORDER BY k.contract_id, k.agreement, k.number, d.key, d.place DESC, d.gone DESC, d.n DESC) AS p
    WHERE NOT p.gone GROUP BY 1, 2, 3
"""
# Without milestones, and by time: the end of the month that bills next. As next_bill_date of sync_core/life/summary.py.
_BILLED: Final = """
    SELECT k.contract_id, k.agreement, k.number,
           CASE WHEN coalesce(t.kind, 'milestones') = 'milestones' THEN m.bill_on END AS on_date,
           CAST(date_trunc('month', CAST(greatest(k.executed_on, t.starts_on) AS timestamp))
                + interval '1 month - 1 day' AS date) AS month_end
    FROM knowing AS k LEFT JOIN milestones AS m USING (contract_id, agreement, number) LEFT JOIN (
        SELECT k.contract_id, k.agreement, k.number,
               (array_agg(s.terms #>> '{billing,kind}' ORDER BY s.place DESC)
                FILTER (WHERE s.terms #>> '{billing,kind}' IS NOT NULL))[1] AS kind,
               (array_agg(metrics.day(s.terms ->> 'starts_on') ORDER BY s.place DESC)
                FILTER (WHERE s.terms ->> 'starts_on' IS NOT NULL))[1] AS starts_on
        FROM knowing AS k JOIN said AS s
             ON s.contract_id = k.contract_id AND s.rank <= k.upto AND s.place >= k.signed
        GROUP BY k.contract_id, k.agreement, k.number) AS t USING (contract_id, agreement, number)
"""
_VALUED: Final = """
    SELECT v.*, max(v.value) OVER (PARTITION BY v.contract_id, v.nth) AS value_after
    FROM (SELECT s.*, count(s.value) OVER (PARTITION BY s.contract_id ORDER BY s.place) AS nth,
                 max(s.place) FILTER (WHERE s.signs) OVER (PARTITION BY s.contract_id) AS signed_place
          FROM said AS s) AS v
"""
_LISTED: Final = f"""
    SELECT w.contract_id, CAST(greatest(w.agreement, 1) AS integer) AS agreement, CAST(w.number AS integer) AS number,
           min(w.recorded_at) AS received_at,
           min(w.rank) AS rank,
           (array_agg(coalesce(w.executed_at, w.occurred_at) ORDER BY w.seq))[1] AS executed_at,
           (array_agg(w.effective_on ORDER BY w.seq))[1] AS effective_on,
           coalesce((array_agg(w.value_after ORDER BY w.place DESC))[1]
                    - (array_agg(w.value_before ORDER BY w.place))[1], 0) AS delta,
           coalesce(min(w.place) > max(w.signed_place), false) AS stands
    FROM (
        SELECT v.*, lag(v.value_after) OVER (PARTITION BY v.contract_id ORDER BY v.place) AS value_before
        FROM ({_VALUED}) AS v
    ) AS w
    WHERE w.number IS NOT NULL GROUP BY 1, 2, 3
"""
# Amendment k waits for all before it: until the last of them was there, or until now where one is missing. Those of a
# new agreement begin at 1, or go on behind the ones before: `behind` of them (sync_core/life/agreements.py).
_NUMBERED: Final = """
    SELECT n.*, CASE WHEN n.lowest > n.used THEN n.used ELSE 0 END AS behind
    FROM (SELECT l.*, min(l.number) OVER (PARTITION BY l.contract_id, l.agreement) AS lowest,
                 coalesce(max(l.number) OVER (PARTITION BY l.contract_id ORDER BY l.agreement
                     RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS used FROM listed AS l) AS n
"""
_ORDERED: Final = f"""
    SELECT l.contract_id, l.agreement, l.number, l.received_at, l.rank, l.executed_at, l.delta, l.stands,
           CASE WHEN m.number IS NULL THEN l.effective_on ELSE m.since END AS effective_on,
           l.behind + row_number() OVER o < l.number AS waits,
           CASE WHEN l.behind + row_number() OVER o = l.number THEN max(l.received_at) OVER o END AS complete_at
    FROM ({_NUMBERED}) AS l LEFT JOIN ({moved("said")}) AS m USING (contract_id, agreement, number)
    WINDOW o AS (PARTITION BY l.contract_id, l.agreement ORDER BY l.number)
"""
_PLACED: Final = f"""
    SELECT c.contract_id, o.agreement, o.number, c.legal_entity, c.service_line, c.geography, c.billing, c.currency,
           c.test, c.signed_at, c.state, c.state_since, coalesce(b.on_date, b.month_end) AS bill_on,
           o.executed_at, o.received_at, o.waits, o.complete_at, o.delta, o.stands,
           CAST({SIGNED_AT} AT TIME ZONE :zone AS date) AS signed_on,
           CAST(o.effective_on AS timestamp) AT TIME ZONE k.zone AS effective_at,
           o.effective_on < CAST(o.executed_at AT TIME ZONE k.zone AS date) AS retroactive, k.day_s,
           least((SELECT min(p.occurred_at) FROM core.progress AS p
                  WHERE p.contract_id = c.contract_id AND p.step = 'active' AND p.amendment >= o.number
                    AND p.recorded_at >= o.received_at),
                 (SELECT min(r.finished_at) FROM core.run AS r
                  WHERE r.contract_id = c.contract_id AND r.outcome = 'converged' AND r.state IN ('active', 'suspended')
                    AND r.rev >= o.rank AND r.started_at >= o.received_at AND NOT o.waits)) AS done_at
    FROM ({_ORDERED}) AS o JOIN core.contract AS c USING (contract_id)
         JOIN billed AS b USING (contract_id, agreement, number)
         JOIN metrics.calendar AS k ON k.calendar = coalesce(
             (SELECT own.calendar FROM metrics.calendar AS own WHERE own.calendar = c.legal_entity), '')
"""
# OFFSET 0, here and below: merged into one, every column that uses a moment would look it up and plan it anew.
_STATED: Final = f"""
    SELECT p.*, CASE WHEN p.signed_at IS NULL THEN 'unsigned'
                     WHEN p.done_at < p.executed_at THEN 'early'
                     WHEN p.done_at IS NOT NULL THEN 'synced'
                     WHEN p.state = 'ended' THEN 'superseded' ELSE 'open' END AS outcome,
           metrics.worked(p.legal_entity, p.executed_at) AS executed_work_s,
           metrics.worked(p.legal_entity, greatest(p.executed_at, p.received_at)) AS received_work_s,
           metrics.worked(p.legal_entity, p.done_at) AS done_work_s
    FROM ({_PLACED} OFFSET 0) AS p
"""
_FRESH: Final = f"""
    WITH amended AS MATERIALIZED ({_AMENDED_ONES}), said AS MATERIALIZED ({_SAID}),
         listed AS MATERIALIZED ({_LISTED}), knowing AS MATERIALIZED ({_KNOWING}), dated AS MATERIALIZED ({_DATED}),
         milestones AS MATERIALIZED ({_MILESTONES}), billed AS MATERIALIZED ({_BILLED})
    SELECT s.contract_id, s.agreement, s.number, s.legal_entity, s.service_line, s.geography, s.billing, s.currency,
           s.test, s.outcome, CAST(date_trunc('week', s.executed_at, :zone) AT TIME ZONE :zone AS date) AS period,
           s.executed_at, s.received_at, s.effective_at, coalesce(s.retroactive, false) AS retroactive,
           CASE WHEN s.outcome IN ('synced', 'early') THEN s.done_at END AS done_at,
           CASE WHEN s.outcome = 'superseded' THEN coalesce(
               (SELECT max(p.occurred_at) FROM core.progress AS p
                WHERE p.contract_id = s.contract_id AND p.step = 'ended'), s.state_since) END AS ended_at, s.waits,
           CAST(extract(epoch FROM s.complete_at - s.received_at) AS bigint) AS ordering_s,
           CASE s.outcome WHEN 'synced' THEN CAST(extract(epoch FROM s.done_at - s.executed_at) AS bigint) END AS lag_s,
           CASE s.outcome WHEN 'synced' THEN s.done_work_s - s.executed_work_s END AS lag_work_s,
           CASE s.outcome WHEN 'synced' THEN greatest(s.done_work_s - s.received_work_s, 0) END AS own_work_s,
           s.executed_work_s, s.received_work_s,
           CASE WHEN s.outcome = 'synced' AND s.effective_at IS NOT NULL
                THEN greatest(CAST(extract(epoch FROM s.done_at - s.effective_at) AS bigint), 0) END AS billing_lag_s,
           CASE WHEN s.outcome = 'synced' AND s.retroactive
                THEN CAST(extract(epoch FROM s.done_at - s.effective_at) AS bigint) END AS exposure_s,
           CASE s.outcome WHEN 'synced' THEN s.done_work_s - s.executed_work_s <= s.day_s END AS in_time,
           s.day_s, s.delta, s.bill_on, s.signed_on, s.stands
    FROM ({_STATED} OFFSET 0) AS s
"""

_SIGNING: Final = "NOT f.test AND f.outcome <> 'unsigned' AND f.stands AND f.delta <> 0"
_CELLS: Final = f"""
    SELECT f.outcome, f.period, '', -1, 1, 0 WHERE NOT f.test
    UNION ALL SELECT 'signed', f.period, f.currency, {MONTH.format("(f.executed_at AT TIME ZONE :zone)")}, 1, f.delta
        WHERE {_SIGNING}
    UNION ALL SELECT 'signed', CAST(date_trunc('week', CAST(f.signed_on AS timestamp)) AS date), f.currency,
        {MONTH.format("f.signed_on")}, 0, -f.delta WHERE {_SIGNING} AND NOT f.waits
    UNION ALL SELECT 'test', f.period, '', -1, 1, 0 WHERE f.test
    UNION ALL SELECT 'lag', f.period, '', {bucket_of("f.lag_s")}, 1, f.lag_s
        WHERE NOT f.test AND f.outcome = 'synced'
    UNION ALL SELECT 'lag_work', f.period, '', {bucket_of("f.lag_work_s")}, 1, f.lag_work_s
        WHERE NOT f.test AND f.outcome = 'synced'
    UNION ALL SELECT 'own_work', f.period, '', {bucket_of("f.own_work_s")}, 1, f.own_work_s
        WHERE NOT f.test AND f.outcome = 'synced'
    UNION ALL SELECT 'billing_lag', f.period, '', {bucket_of("f.billing_lag_s")}, 1, f.billing_lag_s
        WHERE NOT f.test AND f.billing_lag_s IS NOT NULL
    UNION ALL SELECT 'in_time', f.period, '', -1, 1, 0 WHERE NOT f.test AND f.outcome = 'synced' AND f.in_time
    UNION ALL SELECT 'retroactive', f.period, '', -1, 1, f.exposure_s WHERE NOT f.test AND f.exposure_s IS NOT NULL
    UNION ALL SELECT 'ordering', f.period, '', -1, 1, f.ordering_s
        WHERE NOT f.test AND f.outcome IN ('synced', 'open') AND f.ordering_s > 0
    UNION ALL SELECT 'gap', f.period, '', -1, 1, 0 WHERE NOT f.test AND f.outcome = 'open' AND f.waits
    UNION ALL SELECT CASE WHEN f.delta = 0 THEN 'zero' WHEN f.delta < 0 THEN 'negative' ELSE 'positive' END, f.period,
        '', -1, 1, 0 WHERE NOT f.test AND f.outcome IN ('synced', 'open')
    UNION ALL SELECT 'delta', f.period, f.currency, -1, 1, f.delta
        WHERE NOT f.test AND f.outcome IN ('synced', 'open') AND f.delta <> 0
"""

FACT = Fact(
    name="amendment",
    key=("contract_id", "agreement", "number"),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=f"({OF_WEEK} OR f.signed_on >= :start AND f.signed_on < CAST(:end AS date) + 7)",
    clock=clock_of(
        "f.outcome = 'open'", "executed_at", "executed_work_s", "received_at", "received_work_s", "effective_at"
    ),
    money=("delta",),
    values={"bounds": list(BOUNDS)},
)
