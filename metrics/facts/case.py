"""One row an exception: how long it was open in all, who answered when, and the functions that it went through."""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts._case_history import ENDED, LASTED_S, LASTED_WORK_S, SEGMENTS
from metrics.facts.fact import OF_WEEK, Fact, bucket_of, clock_of

_COLUMNS: Final = (
    "case_id", "contract_id", "legal_entity", "service_line", "geography", "billing", "test", "function", "cause",
    "error_class", "severity", "exposure", "currency", "outcome", "closed_how", "period", "opened_at", "closed_at",
    "spent_s", "spent_work_s", "open_since", "open_since_work_s", "opened_work_s", "response_s", "response_work_s",
    "hand_offs", "ping_pongs", "reopened", "functions",
)  # fmt: skip

_INTERVALS: Final = f"""
    SELECT s.case_id,
           coalesce(sum({LASTED_S}) FILTER (WHERE {ENDED}), 0) AS spent_s,
           coalesce(sum({LASTED_WORK_S}) FILTER (WHERE {ENDED}), 0) AS spent_work_s,
           max(s.since) FILTER (WHERE s.open AND s.until IS NULL) AS open_since,
           count(*) FILTER (WHERE s.handed AND s.function <> s.before) AS hand_offs,
           array_agg(s.function ORDER BY s.place)
               FILTER (WHERE s.place = 1 OR s.handed AND s.function <> s.before) AS functions
    FROM ({SEGMENTS}) AS s GROUP BY s.case_id
"""
# What a person did first; the engine's own rows are by `tieline`.
_ANSWERED: Final = """
    SELECT h.case_id,
           min(h.occurred_at) FILTER (WHERE h.actor <> 'tieline' AND h.what IN ('assigned', 'acknowledged', 'commented',
               'handed_over', 'corrected', 'approved', 'refused', 'decided')) AS at,
           count(*) FILTER (WHERE h.what = 'reopened') AS reopened
    FROM core.case AS k JOIN core.case_history AS h USING (case_id) WHERE k.contract_id = ANY(:ids) GROUP BY h.case_id
"""
_FRESH: Final = f"""
    SELECT k.case_id, k.contract_id, c.legal_entity, c.service_line, c.geography, c.billing, c.test,
           coalesce(nullif(k.function, ''), 'triage') AS function, k.cause, k.error_class, k.severity, k.exposure,
           k.currency, k.state AS outcome, coalesce(k.closed_how, CASE k.state WHEN 'open' THEN '' WHEN 'decided'
               THEN 'decision' ELSE 'read_back' END) AS closed_how,
           CAST(date_trunc('week', o.at, :zone) AT TIME ZONE :zone AS date) AS period,
           o.at AS opened_at, CASE WHEN k.state <> 'open' THEN k.resolved_at END AS closed_at,
           CAST(i.spent_s AS bigint) AS spent_s, CAST(i.spent_work_s AS bigint) AS spent_work_s, n.open_since,
           metrics.worked(c.legal_entity, n.open_since) AS open_since_work_s, o.work_s AS opened_work_s,
           CASE WHEN a.at IS NOT NULL THEN greatest(CAST(extract(epoch FROM a.at - o.at) AS bigint), 0)
           END AS response_s,
           CASE WHEN a.at IS NOT NULL THEN greatest(metrics.worked(c.legal_entity, a.at) - o.work_s, 0)
           END AS response_work_s,
           CAST(i.hand_offs AS int) AS hand_offs,
           CAST((SELECT count(*) FROM generate_subscripts(i.functions, 1) AS at
                 WHERE at > 2 AND i.functions[at] = i.functions[at - 2]) AS int) AS ping_pongs,
           CAST(coalesce(a.reopened, 0) AS int) AS reopened, i.functions
    FROM core.case AS k JOIN core.contract AS c USING (contract_id) JOIN ({_INTERVALS}) AS i USING (case_id)
         LEFT JOIN ({_ANSWERED}) AS a USING (case_id)
         CROSS JOIN LATERAL (
             SELECT coalesce(k.first_opened_at, k.opened_at) AS at,
                    metrics.worked(c.legal_entity, coalesce(k.first_opened_at, k.opened_at)) AS work_s
         ) AS o
         CROSS JOIN LATERAL (
             SELECT CASE WHEN k.state = 'open' THEN coalesce(i.open_since, k.opened_at) END AS open_since
         ) AS n
    WHERE k.contract_id = ANY(:ids)
"""

_COUNTED: Final = "NOT f.test"
_CELLS: Final = f"""
    SELECT f.outcome, f.period, f.function, -1, 1, 0 WHERE {_COUNTED}
    UNION ALL SELECT 'test', f.period, f.function, -1, 1, 0 WHERE f.test
    UNION ALL SELECT 'checked', f.period, f.function, -1, 1, 0 WHERE {_COUNTED} AND f.closed_how = 'checked'
    UNION ALL SELECT 'ttr', f.period, f.function, {bucket_of("f.spent_s")}, 1, f.spent_s
        WHERE {_COUNTED} AND f.outcome = 'resolved'
    UNION ALL SELECT 'ttr_work', f.period, f.function, {bucket_of("f.spent_work_s")}, 1, f.spent_work_s
        WHERE {_COUNTED} AND f.outcome = 'resolved'
    UNION ALL SELECT 'response', f.period, f.function, {bucket_of("f.response_s")}, 1, f.response_s
        WHERE {_COUNTED} AND f.response_s IS NOT NULL
    UNION ALL SELECT 'response_work', f.period, f.function, {bucket_of("f.response_work_s")}, 1, f.response_work_s
        WHERE {_COUNTED} AND f.response_s IS NOT NULL
    UNION ALL SELECT 'unanswered', f.period, f.function, -1, 1, 0
        WHERE {_COUNTED} AND f.response_s IS NULL AND f.outcome <> 'open'
    UNION ALL SELECT 'reopened', f.period, f.function, -1, f.reopened, 0 WHERE {_COUNTED} AND f.reopened > 0
    UNION ALL SELECT 'hand_off', f.period, f.function, -1, f.hand_offs, 0 WHERE {_COUNTED} AND f.hand_offs > 0
    UNION ALL SELECT 'ping_pong', f.period, f.function, -1, f.ping_pongs, 0 WHERE {_COUNTED} AND f.ping_pongs > 0
    UNION ALL SELECT 'flow', f.period, f.functions[at] || '>' || f.functions[at + 1], -1, 1, 0
        FROM generate_series(1, f.hand_offs) AS at WHERE {_COUNTED}
"""

FACT = Fact(
    name="case",
    key=("case_id",),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=OF_WEEK,
    clock=clock_of(
        "f.outcome = 'open'", "opened_at", "opened_work_s", "open_since", "open_since_work_s", "spent_s", "spent_work_s"
    ),
    money=("exposure",),
    values={"bounds": list(BOUNDS)},
)
