"""What evidence of one contract is read from: each row as the JSON that PostgreSQL makes of it, exact to the digit.

Whole rows (`to_jsonb`), so that a column of a later release is in the evidence without anybody thinking of it. Only
what was recorded before the as-of counts; facts, runs, events and histories are never changed after that.
"""

from typing import Final

import sqlalchemy as sa

UTC_TEXTS: Final = sa.text("SELECT set_config('TimeZone', 'UTC', true)")

FIND: Final = sa.text("""
    SELECT contract_id, source, external_id, legal_entity FROM core.contract
    WHERE external_id = :external_id AND (CAST(:source AS text) IS NULL OR source = :source) ORDER BY source
""")
FOLDED: Final = sa.text("""
    SELECT source, id, type, occurred_at, CAST(data AS text) AS data FROM core.event
    WHERE source = :source AND external_id = :external_id AND recorded_at < :as_of ORDER BY seq
""")

EVENTS: Final = sa.text("""
    SELECT CAST(to_jsonb(e) - 'recorded_xid' AS text) FROM core.event AS e
    WHERE source = :source AND external_id = :external_id AND recorded_at < :as_of ORDER BY seq
""")
PLANS: Final = sa.text("""
    SELECT CAST(to_jsonb(r) - 'recorded_xid' || jsonb_build_object('operations', coalesce(
        (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.step) FROM core.operation AS o WHERE o.run_id = r.run_id), '[]'))
        AS text)
    FROM core.run AS r WHERE contract_id = :contract AND recorded_at < :as_of ORDER BY started_at, run_id
""")
# Decisions are events of the contract; a replay's are on the replay, shown with this contract's part in it.
APPROVALS: Final = sa.text("""
    SELECT CAST(one AS text) FROM (
        SELECT jsonb_build_object('event', to_jsonb(e) - 'recorded_xid') AS one, recorded_at AS at, id
        FROM core.event AS e
        WHERE source = :source AND external_id = :external_id AND recorded_at < :as_of AND type = ANY(:approving)
        UNION ALL
        SELECT jsonb_build_object('replay', to_jsonb(r), 'item', to_jsonb(i)), r.created_at, CAST(r.replay_id AS text)
        FROM core.replay_item AS i JOIN core.replay AS r USING (replay_id)
        WHERE i.contract_id = :contract AND r.created_at < :as_of
    ) AS found ORDER BY at, id
""")
EXCEPTIONS: Final = sa.text("""
    SELECT CAST(to_jsonb(k) || jsonb_build_object('history', coalesce(
        (SELECT jsonb_agg(to_jsonb(h) - 'recorded_xid' ORDER BY h.occurred_at, h.recorded_at, h.what)
         FROM core.case_history AS h WHERE h.case_id = k.case_id AND h.recorded_at < :as_of), '[]')) AS text)
    FROM core.case AS k WHERE contract_id = :contract AND coalesce(first_opened_at, opened_at) < :as_of ORDER BY case_id
""")
CROSSWALK: Final = sa.text("""
    SELECT CAST(to_jsonb(x) - 'holder' - 'holder_token' - 'reserved_until' AS text) FROM core.crosswalk AS x
    WHERE contract_id = :contract AND confirmed_at < :as_of ORDER BY system, kind, business_key
""")
FINANCIAL: Final = sa.text("""
    SELECT CAST(to_jsonb(f) - 'recorded_xid' AS text) FROM core.financial_fact AS f
    WHERE contract_id = :contract AND recorded_at < :as_of ORDER BY recorded_at, system, kind, ref, status
""")
HOLDS: Final = sa.text("""
    SELECT CAST(to_jsonb(h) AS text) FROM core.legal_hold AS h
    WHERE contract_id = :contract AND placed_at < :as_of ORDER BY hold_id
""")

# One row for a command on many contracts: of those, the ones about a replay that this contract was part of are found.
# Up to the head that was read before: a command that ends meanwhile may have read its clock before the as-of.
AUDIT_IDS: Final = sa.text("""
    SELECT id FROM core.audit WHERE contract_id = :contract AND occurred_at < :as_of AND id <= :head
    UNION
    SELECT id FROM core.audit WHERE occurred_at < :as_of AND id <= :head AND subject = ANY(ARRAY(
        SELECT 'replay ' || replay_id FROM core.replay_item WHERE contract_id = :contract))
    ORDER BY id
""")
HEAD: Final = sa.text("SELECT id, hash FROM core.audit WHERE occurred_at < :as_of ORDER BY id DESC LIMIT 1")
