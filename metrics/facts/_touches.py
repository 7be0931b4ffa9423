"""What people had to do for a contract, touch by touch: shared by the facts that count them.

A touch is a correction, a decision, a replay, a delivery that somebody released from quarantine (not one that a worker
understood by itself, once its schema was there), or an exception that somebody had to clear: in Tieline or in the
system that owns the data, for what is missing there comes from nobody else. One that may end by itself (an amendment
that was to follow) is one only if a person did something about it while it was open. Approvals that policy asks for are
none, nor are looks, retries and the end of an outage. A replay counts once it is carried out, not where it was called
off or ran out of time before that; it is one of an outage where everything was replayed that an ERP missed, or where
the ERP had not answered for the contract. What is wrong with a draft is for its CLM to mend before anybody signs it.
"""

from typing import Final

KINDS: Final = ("correction", "decision", "exception", "release", "replay", "replay_outage")

# (contract_id, kind, at) of the contracts in :ids. OFFSET 0: decisions are so few that the planner would read all there
# are, of all contracts, rather than look at the histories of these.
TOUCHES: Final = """
    SELECT c.contract_id, 'correction' AS kind, e.recorded_at AS at
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND e.type = 'com.tieline.contract.corrected.v1'
    UNION ALL
    SELECT c.contract_id, 'release', q.released_at
    FROM core.contract AS c JOIN core.quarantine AS q USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND q.released_by IS NOT NULL
    UNION ALL
    SELECT k.contract_id, 'decision', h.occurred_at
    FROM core.case AS k CROSS JOIN LATERAL (
        SELECT h.occurred_at FROM core.case_history AS h WHERE h.case_id = k.case_id AND h.what = 'decided' OFFSET 0
    ) AS h WHERE k.contract_id = ANY(:ids) AND k.error_class <> 'policy_denied'
          AND k.cause <> 'draft_would_not_provision'
    UNION ALL
    SELECT o.contract_id, 'exception', o.opened_at FROM (
        SELECT h.contract_id, h.needs_somebody,
               min(h.occurred_at) FILTER (WHERE h.what IN ('opened', 'reopened')) AS opened_at,
               min(h.occurred_at) FILTER (WHERE h.what IN ('resolved', 'decided', 'refused')) AS closed_at,
               min(h.occurred_at) FILTER (WHERE h.actor <> 'tieline' OR h.what = 'decided') AS touched_at
        FROM (
            SELECT k.contract_id, k.case_id, h.what, h.actor, h.occurred_at,
                   k.error_class NOT IN ('sequence_gap', 'transient', 'ambiguous') AS needs_somebody,
                   count(*) FILTER (WHERE h.what IN ('opened', 'reopened')) OVER (
                       PARTITION BY k.case_id ORDER BY h.occurred_at, h.recorded_xid) AS time
            FROM core.case AS k JOIN core.case_history AS h USING (case_id)
            WHERE k.contract_id = ANY(:ids) AND k.error_class <> 'policy_denied'
              AND k.cause <> 'draft_would_not_provision'
        ) AS h GROUP BY h.contract_id, h.case_id, h.needs_somebody, h.time
    ) AS o WHERE o.opened_at IS NOT NULL
      AND (o.needs_somebody OR o.touched_at <= coalesce(o.closed_at, 'infinity'))
    UNION ALL
    SELECT i.contract_id,
           CASE WHEN r.selection ? 'missed' OR i.was ->> 'error_class' IN ('transient', 'ambiguous')
                THEN 'replay_outage' ELSE 'replay' END,
           i.dispatched_at
    FROM core.replay_item AS i JOIN core.replay AS r USING (replay_id)
    WHERE i.contract_id = ANY(:ids) AND i.dispatched_at IS NOT NULL
      AND (i.in_hand OR i.sent OR i.state IN ('verified', 'mismatch', 'unverifiable')
           OR i.state = 'failed' AND i.run_id IS NOT NULL)
"""
