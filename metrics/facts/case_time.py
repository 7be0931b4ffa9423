"""How long each function had each exception: one row for both, also after it was handed on."""

from typing import Final

from metrics.buckets import BOUNDS
from metrics.facts._case_history import ENDED, LASTED_S, LASTED_WORK_S, SEGMENTS
from metrics.facts.fact import OF_WEEK, Fact, bucket_of

_COLUMNS: Final = (
    "case_id", "function", "contract_id", "legal_entity", "service_line", "geography", "billing", "test", "period",
    "spent_s", "spent_work_s", "open_since", "open_since_work_s",
)  # fmt: skip

_FRESH: Final = f"""
    SELECT t.case_id, t.function, k.contract_id, c.legal_entity, c.service_line, c.geography, c.billing, c.test,
           CAST(date_trunc('week', coalesce(k.first_opened_at, k.opened_at), :zone) AT TIME ZONE :zone AS date)
               AS period,
           t.spent_s, t.spent_work_s, t.open_since, metrics.worked(c.legal_entity, t.open_since) AS open_since_work_s
    FROM (
        SELECT s.case_id, s.function, CAST(coalesce(sum({LASTED_S}) FILTER (WHERE {ENDED}), 0) AS bigint) AS spent_s,
               CAST(coalesce(sum({LASTED_WORK_S}) FILTER (WHERE {ENDED}), 0) AS bigint) AS spent_work_s,
               max(s.since) FILTER (WHERE s.until IS NULL) AS open_since
        FROM ({SEGMENTS}) AS s WHERE s.open GROUP BY s.case_id, s.function
    ) AS t JOIN core.case AS k USING (case_id) JOIN core.contract AS c USING (contract_id)
"""

_CELLS: Final = f"""
    SELECT 'spent', f.period, f.function, {bucket_of("f.spent_s")}, 1, f.spent_s
        WHERE NOT f.test AND f.open_since IS NULL
    UNION ALL SELECT 'spent_work', f.period, f.function, {bucket_of("f.spent_work_s")}, 1, f.spent_work_s
        WHERE NOT f.test AND f.open_since IS NULL
"""

FACT = Fact(
    name="case_time",
    key=("case_id", "function"),
    columns=_COLUMNS,
    fresh=_FRESH,
    cells=_CELLS,
    within=OF_WEEK,
    values={"bounds": list(BOUNDS)},
)
