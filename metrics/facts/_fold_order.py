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


def as_agreed(rows: str, *, signs: str, ends: str) -> str:
    """Of rows with contract_id, place and number (of an amendment, else NULL), those that count.

    A signature stands until the contract ends, and the first amendment of a number stands. What is published again
    meanwhile is no agreement (sync_core/life/silent.py). `signs` and `ends` are conditions on `r`.
    """
    before = "OVER (PARTITION BY r.contract_id ORDER BY r.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return f"""
        SELECT r.* FROM (
            SELECT r.*, min(r.place) OVER (PARTITION BY r.contract_id, r.agreement, r.number) AS first_place FROM (
                SELECT r.*, count(*) FILTER (WHERE {signs}) OVER (PARTITION BY r.contract_id ORDER BY r.place)
                       AS agreement
                FROM (
                    SELECT r.*, {signs} AND max(r.place) FILTER (WHERE {signs}) {before}
                                > coalesce(max(r.place) FILTER (WHERE {ends}) {before}, 0) AS published_again
                    FROM ({rows}) AS r
                ) AS r WHERE r.published_again IS NOT TRUE
            ) AS r
        ) AS r WHERE r.number IS NULL OR r.place = r.first_place
    """
