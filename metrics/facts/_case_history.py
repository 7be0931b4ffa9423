"""The open intervals of exceptions, out of their histories: who had one from when to when.

Every exception is given to a function by its cause when it opens; one without is in triage. Of two rows of one moment
the one whose transaction began later counts as the later.
"""

from typing import Final

# Rows that begin an interval; a closing row begins one in which nobody has it. Rows that an old release did not write
# (a first opening, a closing) are made from the exception itself.
SEGMENTS: Final = """
    SELECT k.case_id, k.legal_entity, r.function, r.open, r.handed,
           r.at AS since, lead(r.at) OVER by_time AS until,
           lag(r.function) OVER by_time AS before, row_number() OVER by_time AS place
    FROM (
        SELECT k.case_id, k.state, k.function, k.resolved_at, k.opened_at, k.first_opened_at, c.legal_entity
        FROM core.case AS k JOIN core.contract AS c USING (contract_id) WHERE k.contract_id = ANY(:ids)
    ) AS k CROSS JOIN LATERAL (
        SELECT coalesce(nullif(h.function, ''), 'triage') AS function, h.what = 'handed_over' AS handed,
               h.what IN ('opened', 'reopened', 'handed_over') AS open, h.occurred_at AS at, h.recorded_xid AS xid,
               CASE h.what WHEN 'opened' THEN 0 WHEN 'handed_over' THEN 1 ELSE 2 END AS rank
        FROM core.case_history AS h
        WHERE h.case_id = k.case_id
          AND h.what IN ('opened', 'reopened', 'handed_over', 'resolved', 'decided', 'refused')
        UNION ALL
        SELECT coalesce(nullif(k.function, ''), 'triage'), false, true, coalesce(k.first_opened_at, k.opened_at),
               CAST('0' AS xid8), 0
        WHERE NOT EXISTS (SELECT FROM core.case_history AS h WHERE h.case_id = k.case_id AND h.what = 'opened')
        UNION ALL
        SELECT coalesce(nullif(k.function, ''), 'triage'), false, false, k.resolved_at,
               CAST('18446744073709551615' AS xid8), 9
        WHERE k.state <> 'open' AND NOT EXISTS (
            SELECT FROM core.case_history AS h
            WHERE h.case_id = k.case_id AND h.what IN ('resolved', 'decided', 'refused')
              AND h.occurred_at >= k.opened_at)
    ) AS r
    WINDOW by_time AS (PARTITION BY k.case_id ORDER BY r.at, r.xid, r.rank)
"""
# Of one segment s: how long it lasted when it has ended.
ENDED: Final = "s.open AND s.until IS NOT NULL"
LASTED_S: Final = "greatest(CAST(extract(epoch FROM s.until - s.since) AS bigint), 0)"
LASTED_WORK_S: Final = "greatest(metrics.worked(s.legal_entity, s.until) - metrics.worked(s.legal_entity, s.since), 0)"
