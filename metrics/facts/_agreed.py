"""What was signed last of each contract that is out of step, beside what its ERP confirmed; SQL over `stepping`.

All events count in the order of the fold (sync_core/fold.py), also an amendment that waits for the one before it:
it is agreed, and its money is stuck. Values are absolute, so of a chain of amendments the last one stands.
"""

from typing import Final

from metrics.facts._fold_order import AMENDMENT_NUMBER, FOLD_ORDER, as_agreed, moved

_AMENDED: Final = "com.tieline.contract.amended.v1"
_CORRECTED: Final = "com.tieline.contract.corrected.v1"
_TYPES: Final = ("signed", "amended", "corrected", "renewed", "cancelled", "terminated")
# What an amendment heads invoices by waits for its effective day (sync_core/life/effective.py).
_HEADS: Final = ["customer", "legal_entity", "po_number", "tax"]
VALUES: Final = {"agreeing": [f"com.tieline.contract.{what}.v1" for what in _TYPES], "heads": _HEADS}

# `terms` of what says any: a signature all of them, the others what changed. `stepping` says in `seen_on` of which day.
_EVENTS: Final = f"""
    SELECT o.contract_id, o.seen_on, e.seq, e.occurred_at, e.recorded_at, split_part(e.type, '.', 4) AS what,
           coalesce(e.data -> 'terms', e.data -> 'changes', CASE WHEN e.data ->> 'ends_on' IS NOT NULL
               THEN jsonb_build_object('ends_on', e.data -> 'ends_on') END) AS terms,
           metrics.day(e.data #>> '{{amendment,effective_on}}') AS effective_on,
           CASE WHEN e.type = '{_CORRECTED}' THEN e.data -> 'amendment_days' END AS days,
           CASE WHEN e.type = '{_AMENDED}' THEN {AMENDMENT_NUMBER} END AS number,
           row_number() OVER (PARTITION BY o.contract_id ORDER BY {FOLD_ORDER}) AS place
    FROM stepping AS o JOIN core.event AS e USING (source, external_id) WHERE e.type = ANY(:agreeing)
"""
_AGREED: Final = as_agreed(_EVENTS, signs="r.what = 'signed'")
EVENTS: Final = f"""
    WITH agreed AS MATERIALIZED ({_AGREED})
    SELECT contract_id, a.occurred_at, a.recorded_at, a.what, number, a.place, CASE
               WHEN CASE WHEN m.number IS NULL THEN a.effective_on ELSE m.since END > a.seen_on
               THEN a.terms - CAST(:heads AS text[]) ELSE a.terms END AS terms
    FROM agreed AS a LEFT JOIN ({moved("agreed")}) AS m USING (contract_id, agreement, number)
"""
STOOD: Final = """
    SELECT e.contract_id, max(e.place) FILTER (WHERE e.what = 'signed') AS signed,
           coalesce(max(e.place) FILTER (WHERE e.what IN ('cancelled', 'terminated')), 0) AS ended
    FROM agreeing AS e GROUP BY e.contract_id
"""


def _last(path: str, key: str) -> str:
    """What the last event that names `key` says; a signature that does not name it says that there is none."""
    return (
        f"(array_agg(e.terms #>> '{path}' ORDER BY e.place DESC)"
        f" FILTER (WHERE jsonb_exists(e.terms, '{key}') OR e.what = 'signed'))[1]"
    )


TERMS: Final = f"""
    SELECT e.contract_id, s.ended > s.signed AS ended, metrics.number({_last("{value}", "value")}) AS value,
           {_last("{po_number}", "po_number")} AS po_number, {_last("{legal_entity}", "legal_entity")} AS legal_entity,
           {_last("{tax,tax_code}", "tax")} AS tax_code,
           coalesce({_last("{tax,exempt}", "tax")}, '') = 'true' AS exempt,
           metrics.day({_last("{starts_on}", "starts_on")}) AS starts_on,
           metrics.day({_last("{ends_on}", "ends_on")}) AS ends_on,
           coalesce({_last("{billing,kind}", "billing")}, '') = 'time_and_materials' AS by_time
    FROM agreeing AS e JOIN stood AS s ON s.contract_id = e.contract_id AND e.place >= s.signed
    WHERE e.terms IS NOT NULL GROUP BY e.contract_id, s.ended, s.signed
"""


def _parts(name: str, key: str, columns: str) -> str:
    """The parts that stand, by key: each as its last event says, unless that one or a later one takes it away."""
    return f"""
        SELECT p.contract_id, p.key, {columns} FROM (
            SELECT DISTINCT ON (q.contract_id, q.key) q.* FROM (
                SELECT e.contract_id, {key} AS key, e.place, i.n, i.part AS part, false AS gone
                FROM agreeing AS e JOIN stood AS s ON s.contract_id = e.contract_id AND e.place >= s.signed
                     CROSS JOIN LATERAL jsonb_path_query(e.terms, '$.{name}[*]') WITH ORDINALITY AS i(part, n)
                UNION ALL
                SELECT e.contract_id, i.part #>> '{{}}', e.place, NULL, NULL, true
                FROM agreeing AS e JOIN stood AS s ON s.contract_id = e.contract_id AND e.place >= s.signed
                     CROSS JOIN LATERAL jsonb_path_query(e.terms, '$.remove_{name}[*]') AS i(part)
            ) AS q ORDER BY q.contract_id, q.key, q.place DESC, q.gone DESC, q.n DESC
        ) AS p WHERE NOT p.gone
    """


MILESTONES: Final = _parts(
    "milestones", "i.part ->> 'key'",
    "metrics.number(p.part ->> 'amount') AS amount, metrics.day(p.part ->> 'due_on') AS bill_on",
)  # fmt: skip
# A rate is named by its category and the day from which it is valid; `rate_key` in sync_core/fold.py.
RATES: Final = _parts(
    "rates", "concat_ws('@', i.part ->> 'category', i.part ->> 'valid_from')",
    "p.part ->> 'category' AS category, metrics.number(p.part ->> 'rate') AS rate,"
    " coalesce(metrics.number(p.part ->> 'planned_hours'), 0) AS hours, metrics.day(p.part ->> 'valid_from') AS begins",
)  # fmt: skip
# The row of each category that is in force on the day on which the contract was last looked at, else the first.
RATES_IN_FORCE: Final = """
    SELECT DISTINCT ON (r.contract_id, r.category) r.contract_id, r.category, r.rate, r.hours
    FROM rates AS r JOIN stepping AS o USING (contract_id)
    ORDER BY r.contract_id, r.category, coalesce(r.begins, '-infinity') <= o.seen_on DESC,
             CASE WHEN coalesce(r.begins, '-infinity') <= o.seen_on THEN r.begins END DESC NULLS LAST, r.begins
"""
# Parts as the ERP confirmed them. The crosswalk keeps the row of a part that was closed since: the journal tells.
# Of rates over time, in an ERP with dated prices, the one of the day on which the contract was last looked at.
HELD: Final = """
    SELECT DISTINCT ON (h.contract_id, h.system, h.kind, h.key) h.contract_id, h.kind, h.key, h.fields
    FROM (SELECT x.contract_id, x.system, x.kind, x.fields, o.seen_on, metrics.day(x.fields ->> 'valid_from') AS begins,
                 CASE WHEN jsonb_exists(x.fields, 'valid_from') THEN x.fields ->> 'category'
                      ELSE substr(x.business_key, strpos(x.business_key, '#') + 3) END AS key
          FROM stepping AS o JOIN core.crosswalk AS x USING (contract_id)
          WHERE x.kind IN ('milestone', 'labour_rate') AND x.state = 'confirmed' AND o.provisioned
            AND NOT EXISTS (
                SELECT FROM core.operation AS p
                WHERE p.contract_id = x.contract_id AND p.business_key = x.business_key AND p.kind = x.kind
                  AND p.action = 'close' AND p.status = 'done' AND p.finished_at >= x.confirmed_at)) AS h
    ORDER BY h.contract_id, h.system, h.kind, h.key, coalesce(h.begins, '-infinity') <= h.seen_on DESC,
             CASE WHEN coalesce(h.begins, '-infinity') <= h.seen_on THEN h.begins END DESC NULLS LAST, h.begins
"""
