"""From signature to billable: one row a contract (docs/kpis.md, contract-to-project cycle time).

The clock of a contract that was signed again after it was active keeps its first signature. Each step ends when the
next one is reached; together they are the cycle, to the second. What stopped an active contract within seven days
reopens it, unless an amendment of that time did.
"""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts._signature import SIGNED_AT
from metrics.facts._touches import TOUCHES
from metrics.facts.fact import OF_WEEK, Fact, bucket_of, clock_of
from metrics.months import MONTH

_COLUMNS: Final = (
    "contract_id", "legal_entity", "service_line", "geography", "billing", "currency", "value", "test", "outcome",
    "step", "state", "period", "signed_at", "captured_at", "validated_at", "project_at", "billing_at", "active_at",
    "stable_at", "ended_at", "cycle_s", "cycle_work_s", "signed_work_s", "stable_work_s", "steps_s", "steps_work_s",
    "step_at", "step_work_s", "touches", "corrected_at", "amended", "reopened", "bill_on", "late",
)  # fmt: skip

PROMISED_DAYS: Final = 2  # working days of the legal entity from the signature to the read-back

# What is known of the contracts, each part once: without MATERIALIZED the planner works every part out anew wherever it
# is used.
_KNOWN: Final = f"""
    SELECT c.contract_id, c.source, c.external_id, c.legal_entity, c.service_line, c.geography, c.billing, c.currency,
           c.value, c.test, c.state, c.state_since, c.received_at, c.first_active_at, c.bill_on,
           {SIGNED_AT} AS signed_at
    FROM core.contract AS c WHERE c.contract_id = ANY(:ids)
"""
_PASSED: Final = """
    SELECT contract_id,
           min(occurred_at) FILTER (WHERE step = 'captured') AS captured_at,
           min(occurred_at) FILTER (WHERE step = 'validated') AS validated_at,
           min(occurred_at) FILTER (WHERE step = 'project_created') AS project_at,
           min(occurred_at) FILTER (WHERE step = 'billing_set_up') AS billing_at,
           max(occurred_at) FILTER (WHERE step = 'ended') AS ended_at,
           min(coalesce(amendment, 0)) FILTER (WHERE step = 'active') AS amendment,
           array_agg(occurred_at) FILTER (WHERE step IN ('active', 'unblocked')) AS actives,
           array_agg(occurred_at) FILTER (WHERE step = 'blocked') AS blocks,
           array_agg(coalesce(amendment, 0)) FILTER (WHERE step = 'blocked') AS block_amendments
    FROM core.progress WHERE contract_id = ANY(:ids) GROUP BY contract_id
"""
_TOUCHED: Final = f"""
    SELECT t.contract_id,
           coalesce(array_agg(DISTINCT t.kind ORDER BY t.kind)
                    FILTER (WHERE t.at <= coalesce(c.first_active_at, 'infinity')), '{{}}') AS touches,
           min(t.at) FILTER (WHERE t.kind = 'correction' AND t.at > c.first_active_at) AS corrected_at
    FROM ({TOUCHES}) AS t JOIN known AS c USING (contract_id) GROUP BY t.contract_id
"""
# What stopped a contract within seven days of a moment {at}; a block of a later amendment is that amendment's.
_STOPPED: Final = """
    EXISTS (SELECT FROM unnest(p.blocks, p.block_amendments) AS b(at, amendment)
            WHERE b.at > {at} AND b.at <= {at} + interval '7 days' AND b.amendment <= coalesce(p.amendment, 0))
"""
_REACHED: Final = f"""
    SELECT c.*, coalesce(p.captured_at, c.received_at) AS captured_at, p.validated_at, p.project_at, p.billing_at,
           CASE WHEN c.signed_at IS NULL THEN 'unsigned'
                WHEN c.first_active_at < c.signed_at THEN 'before_signature'
                WHEN c.first_active_at IS NOT NULL THEN 'provisioned'
                WHEN c.state = 'ended' THEN 'cancelled' ELSE 'open' END AS outcome,
           greatest(coalesce(p.ended_at, c.state_since), c.signed_at) AS cancelled_at,
           p.blocks IS NOT NULL AND {_STOPPED.format(at="c.first_active_at")} AS stopped,
           (SELECT min(a.at) FROM unnest(p.actives) AS a(at)
            WHERE p.blocks IS NOT NULL AND a.at > c.first_active_at AND NOT {_STOPPED.format(at="a.at")}) AS again_at
    FROM known AS c LEFT JOIN passed AS p USING (contract_id)
"""
# When each step was reached, not before the one before it; a step that was passed unseen counts as the next one.
_MOMENTS: Final = """
    SELECT r.*, ARRAY[r.signed_at, least(greatest(r.captured_at, r.signed_at), r.first_active_at),
        CASE WHEN n.validated IS NOT NULL
             THEN least(greatest(n.validated, r.captured_at, r.signed_at), r.first_active_at) END,
        CASE WHEN n.project IS NOT NULL
             THEN least(greatest(n.project, n.validated, r.captured_at, r.signed_at), r.first_active_at) END,
        CASE WHEN n.billing IS NOT NULL THEN least(
            greatest(n.billing, n.project, n.validated, r.captured_at, r.signed_at), r.first_active_at) END,
        r.first_active_at, CASE r.outcome WHEN 'cancelled' THEN r.cancelled_at
                                WHEN 'provisioned' THEN CASE WHEN r.stopped THEN r.again_at ELSE r.first_active_at END
                           END] AS at
    FROM reached AS r CROSS JOIN LATERAL (SELECT
        coalesce(r.validated_at, r.project_at, r.billing_at, r.first_active_at) AS validated,
        coalesce(r.project_at, r.billing_at, r.first_active_at) AS project,
        coalesce(r.billing_at, r.first_active_at) AS billing) AS n
"""
_TIMED: Final = """
    SELECT m.*, metrics.worked_each(m.legal_entity, m.at) AS work,
           ARRAY(SELECT CAST(extract(epoch FROM a.at - m.signed_at) AS bigint) FROM unnest(m.at) AS a(at)) AS seconds,
           greatest(cardinality(array_remove(m.at[1:6], NULL)), 1) AS reached
    FROM moments AS m
"""
_END: Final = "(CASE t.outcome WHEN 'provisioned' THEN 6 WHEN 'cancelled' THEN 7 END)"


def _steps(what: str) -> str:
    each = ", ".join(f"t.{what}[{n + 1}] - t.{what}[{n}]" for n in range(1, 6))
    return f"CASE WHEN t.outcome IN ('open', 'provisioned') THEN ARRAY[{each}] END"


_FRESH: Final = f"""
    WITH known AS MATERIALIZED ({_KNOWN}), passed AS MATERIALIZED ({_PASSED}),
         touched AS MATERIALIZED ({_TOUCHED}), reached AS MATERIALIZED ({_REACHED}),
         moments AS MATERIALIZED ({_MOMENTS}), timed AS MATERIALIZED ({_TIMED})
    SELECT t.contract_id, t.legal_entity, t.service_line, t.geography, t.billing, t.currency, t.value, t.test,
           t.outcome,
           (ARRAY['signed', 'captured', 'validated', 'project_created', 'billing_set_up', 'active'])[t.reached] AS step,
           t.state, CAST(date_trunc('week', t.signed_at, :zone) AT TIME ZONE :zone AS date) AS period,
           t.signed_at, t.captured_at, t.validated_at, t.project_at, t.billing_at, t.first_active_at AS active_at,
           CASE t.outcome WHEN 'provisioned' THEN t.at[7] END AS stable_at,
           CASE t.outcome WHEN 'cancelled' THEN t.at[7] END AS ended_at,
           t.seconds[{_END}] AS cycle_s, t.work[{_END}] - t.work[1] AS cycle_work_s, t.work[1] AS signed_work_s,
           CASE t.outcome WHEN 'provisioned' THEN t.work[7] - t.work[1] END AS stable_work_s,
           {_steps("seconds")} AS steps_s, {_steps("work")} AS steps_work_s,
           t.at[t.reached] AS step_at, t.work[t.reached] AS step_work_s,
           coalesce(h.touches, '{{}}') AS touches, h.corrected_at,
           EXISTS (SELECT FROM core.event AS e WHERE e.source = t.source AND e.external_id = t.external_id
                   AND e.type = 'com.tieline.contract.amended.v1'
                   AND e.recorded_at < coalesce(t.first_active_at, 'infinity')) AS amended,
           t.outcome = 'provisioned' AND t.stopped AS reopened, t.bill_on,
           CASE t.outcome WHEN 'provisioned' THEN t.work[6] - t.work[1] > {PROMISED_DAYS} * (
               SELECT k.day_s FROM metrics.calendar AS k WHERE k.calendar IN (t.legal_entity, '')
               ORDER BY k.calendar DESC LIMIT 1) END AS late
    FROM timed AS t LEFT JOIN touched AS h USING (contract_id)
"""

STEPS: Final = ("captured", "validated", "project_created", "billing_set_up", "active")
_COUNTED: Final = "NOT f.test"
# Of an activation: a correction within 30 days after it is known to be missing 30 days after the week has ended.
_MONDAY: Final = "CAST(CAST(date_trunc('week', f.active_at, :zone) AT TIME ZONE :zone AS date) AS text)"
_NAMES: Final = f"CAST('{{{','.join(STEPS)}}}' AS text[])"
_CELLS: Final = f"""
    SELECT f.outcome, f.period, '', -1, 1, 0 WHERE {_COUNTED}
    UNION ALL SELECT 'test', f.period, '', -1, 1, 0 WHERE f.test
    UNION ALL SELECT 'signed', f.period, f.currency, {MONTH.format("(f.signed_at AT TIME ZONE :zone)")}, 1, f.value
        WHERE {_COUNTED} AND f.outcome <> 'unsigned' AND f.value IS NOT NULL
    UNION ALL SELECT 'cycle', f.period, '', {bucket_of("f.cycle_s")}, 1, f.cycle_s
        WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'cycle_work', f.period, '', {bucket_of("f.cycle_work_s")}, 1,
        f.cycle_work_s WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'late', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.late
    UNION ALL SELECT 'cancelled_cycle', f.period, '', {bucket_of("f.cycle_s")}, 1, f.cycle_s
        WHERE {_COUNTED} AND f.outcome = 'cancelled'
    UNION ALL SELECT 'stable_work', f.period, '', {bucket_of("f.stable_work_s")}, 1, f.stable_work_s
        WHERE {_COUNTED} AND f.stable_work_s IS NOT NULL
    UNION ALL SELECT 'step', f.period, s.name, -1, 1, s.took
        FROM unnest(f.steps_s, {_NAMES}) AS s(took, name) WHERE {_COUNTED} AND s.took IS NOT NULL
    UNION ALL SELECT 'step_work', f.period, s.name, {bucket_of("s.took")}, 1, s.took
        FROM unnest(f.steps_work_s, {_NAMES}) AS s(took, name) WHERE {_COUNTED} AND s.took IS NOT NULL
    UNION ALL SELECT 'active_in', f.period, {_MONDAY}, -1, 1, 0 WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'auto', f.period, {_MONDAY}, -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'provisioned' AND f.touches = '{{}}'
    UNION ALL SELECT 'corrected', f.period, {_MONDAY}, -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'provisioned' AND f.touches = '{{}}'
          AND f.corrected_at <= f.active_at + interval '30 days'
    UNION ALL SELECT 'corrected_any', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.corrected_at IS NOT NULL
    UNION ALL SELECT 'touched', f.period, t.kind, -1, 1, 0 FROM unnest(f.touches) AS t(kind)
        WHERE {_COUNTED} AND f.outcome = 'provisioned'
    UNION ALL SELECT 'open_touched', f.period, '', -1, 1, 0
        WHERE {_COUNTED} AND f.outcome = 'open' AND f.touches <> '{{}}'
    UNION ALL SELECT 'amended', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.amended AND f.outcome <> 'unsigned'
    UNION ALL SELECT 'reopened', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.reopened
    UNION ALL SELECT 'not_stable', f.period, '', -1, 1, 0 WHERE {_COUNTED} AND f.reopened AND f.stable_at IS NULL
"""

FACT = Fact(
    name="contract",
    key=("contract_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=OF_WEEK,
    clock=clock_of(
        "f.outcome = 'open' OR f.reopened AND f.stable_at IS NULL",
        "signed_at",
        "signed_work_s",
        "step",
        "step_at",
        "step_work_s",
    ),
    clocked=frozenset({"open", "not_stable"}),
    money=("value",),
    values={"bounds": list(BOUNDS)},
)
