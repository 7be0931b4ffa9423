"""What people had to do for a contract, touch by touch: shared by the facts that count them.

A touch is a correction, a decision, a replay, or an exception that somebody had to clear. Approvals that policy asks
for are none, nor are looks, comments and hand-overs, retries and the end of an outage. A replay is one of an outage
where everything was replayed that an ERP missed, or where the ERP had not answered for the contract.
"""

from typing import Final

KINDS: Final = ("correction", "decision", "exception", "replay", "replay_outage")

# (contract_id, kind, at) of the contracts in :ids.
TOUCHES: Final = """
    SELECT c.contract_id, 'correction' AS kind, e.recorded_at AS at
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND e.type = 'com.tieline.contract.corrected.v1'
    UNION ALL
    SELECT k.contract_id, CASE WHEN h.what = 'decided' THEN 'decision' ELSE 'exception' END, h.occurred_at
    FROM core.case AS k JOIN core.case_history AS h USING (case_id)
    WHERE k.contract_id = ANY(:ids) AND k.error_class <> 'policy_denied' AND h.what IN ('opened', 'reopened', 'decided')
    UNION ALL
    SELECT i.contract_id,
           CASE WHEN r.selection ? 'missed' OR i.was ->> 'error_class' IN ('transient', 'ambiguous')
                THEN 'replay_outage' ELSE 'replay' END,
           i.dispatched_at
    FROM core.replay_item AS i JOIN core.replay AS r USING (replay_id)
    WHERE i.contract_id = ANY(:ids) AND i.dispatched_at IS NOT NULL
"""
