"""From signature to billable: one row a contract (docs/kpis.md, contract-to-project cycle time).

A touch is what a person had to do between receipt and read-back: a correction, a decision, a replay, or an exception
that somebody had to clear. Approvals that policy asks for are none, nor are retries and the end of an outage.
"""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts.fact import Fact

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "currency", "value", "test", "outcome",
    "step", "state", "period", "signed_at", "captured_at", "validated_at", "project_at", "billing_at", "active_at",
    "stable_at", "ended_at", "cycle_s", "cycle_work_s", "signed_work_s", "touches", "corrected_at", "amended",
    "bill_on",
)  # fmt: skip

_REACHED: Final = """
    SELECT contract_id,
           min(occurred_at) FILTER (WHERE step = 'captured') AS captured_at,
           min(occurred_at) FILTER (WHERE step = 'validated') AS validated_at,
           min(occurred_at) FILTER (WHERE step = 'project_created') AS project_at,
           min(occurred_at) FILTER (WHERE step = 'billing_set_up') AS billing_at,
           min(occurred_at) FILTER (WHERE step = 'ended') AS ended_at,
           array_agg(occurred_at ORDER BY occurred_at) FILTER (WHERE step = 'active') AS actives,
           array_agg(occurred_at ORDER BY occurred_at) FILTER (WHERE step = 'blocked') AS blocks
    FROM core.progress WHERE contract_id = ANY(:ids) GROUP BY contract_id
"""
# A correction is an event of ours; every other touch is in the history of an exception or is a replay's item.
_TOUCHES: Final = """
    SELECT t.contract_id,
           coalesce(array_agg(DISTINCT t.kind ORDER BY t.kind)
                    FILTER (WHERE t.at <= coalesce(c.first_active_at, 'infinity')), '{}') AS touches,
           min(t.at) FILTER (WHERE t.kind = 'correction' AND t.at > c.first_active_at
                                AND t.at <= c.first_active_at + interval '30 days') AS corrected_at
    FROM (
        SELECT c.contract_id, 'correction' AS kind, e.recorded_at AS at
        FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
        WHERE c.contract_id = ANY(:ids) AND e.type = 'com.tieline.contract.corrected.v1'
        UNION ALL
        SELECT k.contract_id, CASE WHEN h.what = 'decided' THEN 'decision' ELSE 'exception' END, h.occurred_at
        FROM core.case AS k JOIN core.case_history AS h USING (case_id)
        WHERE k.contract_id = ANY(:ids) AND k.error_class <> 'policy_denied'
          AND h.what IN ('opened', 'reopened', 'decided')
        UNION ALL
        SELECT i.contract_id, 'replay', i.dispatched_at
        FROM core.replay_item AS i WHERE i.contract_id = ANY(:ids) AND i.dispatched_at IS NOT NULL
    ) AS t JOIN core.contract AS c ON c.contract_id = t.contract_id
    GROUP BY t.contract_id
"""
_FRESH: Final = f"""
    SELECT s.*, CASE outcome WHEN 'provisioned' THEN CAST(extract(epoch FROM active_at - signed_at) AS bigint)
                             WHEN 'cancelled' THEN CAST(extract(epoch FROM ended_at - signed_at) AS bigint)
           END AS cycle_s,
           CASE outcome WHEN 'provisioned' THEN metrics.worked(legal_entity, active_at)
                        WHEN 'cancelled' THEN metrics.worked(legal_entity, ended_at) END - signed_work_s AS cycle_work_s
    FROM (
        SELECT c.contract_id, c.legal_entity, c.service_line, c.geography, c.billing, c.currency, c.value, c.test,
               CASE WHEN c.signed_at IS NULL THEN 'unsigned'
                    WHEN c.first_active_at < c.signed_at THEN 'before_signature'
                    WHEN c.first_active_at IS NOT NULL THEN 'provisioned'
                    WHEN c.state = 'ended' THEN 'cancelled' ELSE 'open' END AS outcome,
               CASE WHEN c.first_active_at IS NOT NULL THEN 'active'
                    WHEN p.billing_at IS NOT NULL THEN 'billing_set_up'
                    WHEN p.project_at IS NOT NULL THEN 'project_created'
                    WHEN p.validated_at IS NOT NULL THEN 'validated'
                    WHEN p.captured_at IS NOT NULL THEN 'captured' ELSE 'signed' END AS step,
               c.state,
               CAST(date_trunc('week', c.signed_at, :zone) AT TIME ZONE :zone AS date) AS period,
               c.signed_at, coalesce(p.captured_at, c.received_at) AS captured_at, p.validated_at, p.project_at,
               p.billing_at, c.first_active_at AS active_at,
               (SELECT min(a) FROM unnest(p.actives) AS a WHERE NOT EXISTS (
                   SELECT FROM unnest(p.blocks) AS b WHERE b > a AND b <= a + interval '7 days')) AS stable_at,
               CASE WHEN c.first_active_at IS NULL AND c.state = 'ended'
                    THEN greatest(coalesce(p.ended_at, c.state_since), c.signed_at) END AS ended_at,
               metrics.worked(c.legal_entity, c.signed_at) AS signed_work_s,
               coalesce(t.touches, '{{}}') AS touches, t.corrected_at,
               EXISTS (SELECT FROM core.event AS e WHERE e.source = c.source AND e.external_id = c.external_id
                       AND e.type = 'com.tieline.contract.amended.v1'
                       AND e.recorded_at < coalesce(c.first_active_at, 'infinity')) AS amended,
               c.bill_on
        FROM core.contract AS c LEFT JOIN ({_REACHED}) AS p USING (contract_id)
             LEFT JOIN ({_TOUCHES}) AS t USING (contract_id)
        WHERE c.contract_id = ANY(:ids)
    ) AS s
"""

_COUNTED: Final = "NOT f.test"
_BUCKET: Final = "width_bucket(CAST({} AS float8), CAST(:bounds AS float8[]))"
_CELLS: Final = f"""
    SELECT f.outcome, f.period, '', -1, 1, 0 WHERE {_COUNTED}
    UNION ALL SELECT 'test', f.period, '', -1, 1, 0 WHERE f.test
    UNION ALL SELECT 'cycle', f.period, '', {_BUCKET.format("f.cycle_s")}, 1, f.cycle_s
        WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'cycle_work', f.period, '', {_BUCKET.format("f.cycle_work_s")}, 1,
        f.cycle_work_s WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'cancelled_cycle', f.period, '', {_BUCKET.format("f.cycle_s")}, 1, f.cycle_s
        WHERE {_COUNTED} AND f.outcome = 'cancelled'
    UNION ALL SELECT 'auto', f.period, '', -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'provisioned' AND f.touches = '{{}}'
    UNION ALL SELECT 'touched', f.period, t.kind, -1, 1, 0 FROM unnest(f.touches) AS t(kind)
        WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'corrected', f.period, '', -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'provisioned' AND f.touches = '{{}}' AND f.corrected_at IS NOT NULL
    UNION ALL SELECT 'amended', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.amended AND f.outcome <> 'unsigned'
    UNION ALL SELECT 'unstable', f.period, '', -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'provisioned' AND f.stable_at IS DISTINCT FROM f.active_at
"""

FACT = Fact(
    name="contract",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    values={"bounds": list(BOUNDS)},
)
