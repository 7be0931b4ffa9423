"""The order in which the fold takes a contract's events (sync_core/fold.py), for SQL over core.event as `e`.

Of content alone, never of arrival: a correction stands right behind the revision that it overrides. The events of one
contract share their source, so it orders nothing; ids are compared byte by byte, as Python does, whatever the database
collates by.
"""

from typing import Final

from sync_core.events import CORRECTED

FOLD_ORDER: Final = f"""
    metrics.number(e.data ->> CASE e.type WHEN '{CORRECTED}' THEN 'overrides' ELSE 'revision' END),
    e.type = '{CORRECTED}',
    CASE e.type WHEN '{CORRECTED}' THEN metrics.number(e.data ->> 'revision')
         ELSE coalesce(metrics.number(e.data #>> '{{amendment,number}}'), 0) END,
    e.occurred_at, e.id COLLATE "C"
"""


AMENDMENT_NUMBER: Final = """
    (SELECT n FROM metrics.number(e.data #>> '{amendment,number}') AS n WHERE n BETWEEN 1 AND 2000000000)"""

# The signatures that begin a new agreement after an end, and their days at the legal entity (metrics/agreements.py).
BEGUN: Final = """
    SELECT b.contract_id, b.seq, b.day
    FROM unnest(CAST(:begun_of AS bigint[]), CAST(:begun_seq AS bigint[]), CAST(:begun_on AS date[]))
         AS b(contract_id, seq, day)
"""
# From a moment on, until the next: the signature that stands (null: the contract had ended) and the last day.
HEARD: Final = """
    SELECT h.contract_id, h.at, h.seq, h.last_day
    FROM unnest(CAST(:heard_of AS bigint[]), CAST(:heard_at AS timestamptz[]), CAST(:heard_seq AS bigint[]),
                CAST(:heard_until AS date[])) AS h(contract_id, at, seq, last_day)
"""


def as_agreed(rows: str, *, signs: str) -> str:
    """Of rows with contract_id, seq, place and number (of an amendment, else NULL), those that count, by `agreement`.

    A signature stands until the contract ends, and the first amendment of a number stands. What is published again
    meanwhile is no agreement (sync_core/life/silent.py). `signs` is a condition on `r`. Before the first signature
    the agreement is 0.
    """
    return f"""
        SELECT r.* FROM (
            SELECT r.*, min(r.place) OVER (PARTITION BY r.contract_id, r.agreement, r.number) AS first_place FROM (
                SELECT r.*, count(*) FILTER (WHERE r.begins) OVER (PARTITION BY r.contract_id ORDER BY r.place)
                       AS agreement
                FROM (
                    SELECT r.*, {signs} AS signature, {signs} AND (b.seq IS NOT NULL OR r.place
                               = min(r.place) FILTER (WHERE {signs}) OVER (PARTITION BY r.contract_id)) AS begins
                    FROM ({rows}) AS r LEFT JOIN ({BEGUN}) AS b ON b.contract_id = r.contract_id AND b.seq = r.seq
                ) AS r WHERE r.begins OR NOT r.signature
            ) AS r
        ) AS r WHERE r.number IS NULL OR r.place = r.first_place
    """


def moved(agreed: str) -> str:
    """By contract, agreement and number: the day to which a correction moved an amendment last
    (sync_core/life/amendment_days.py). `agreed`: what `as_agreed` gave, with the `days` of corrections.
    """
    return f"""
        SELECT DISTINCT ON (a.contract_id, a.agreement, a.number) a.contract_id, a.agreement, a.number,
               metrics.day(i.part ->> 'effective_on') AS since
        FROM {agreed} AS a JOIN {agreed} AS s ON s.contract_id = a.contract_id AND s.agreement = a.agreement
                  AND s.place > a.place AND s.days IS NOT NULL
             CROSS JOIN LATERAL jsonb_path_query(s.days, '$[*]') WITH ORDINALITY AS i(part, n)
        WHERE a.number = metrics.number(i.part ->> 'number')
        ORDER BY a.contract_id, a.agreement, a.number, s.place DESC, i.n DESC
    """
