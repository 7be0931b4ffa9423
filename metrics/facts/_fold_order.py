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


# Of an event `e`, for `as_agreed`: what it says of the contract's renewals and end, and the day of a signature where it
# was signed; {entity} is its legal entity's code.
SAYS: Final = """
    CASE split_part(e.type, '.', 4) WHEN 'signed' THEN coalesce(e.data #> '{{terms,renewal}}', '{{}}')
         WHEN 'renewed' THEN e.data -> 'renewal' ELSE e.data #> '{{changes,renewal}}' END AS renewal,
    CASE split_part(e.type, '.', 4) WHEN 'signed' THEN coalesce(e.data #> '{{terms,ends_on}}', 'null')
         WHEN 'renewed' THEN nullif(e.data -> 'ends_on', 'null') ELSE e.data #> '{{changes,ends_on}}' END AS ends,
    CASE WHEN split_part(e.type, '.', 4) IN ('renewal_declined', 'renewal_initiated') THEN e.data END AS notice,
    split_part(e.type, '.', 4) = 'renewal_declined' AS declines,
    CASE WHEN split_part(e.type, '.', 4) = 'signed'
         THEN CAST(metrics.moment_of(e.data ->> 'signed_at') AT TIME ZONE (
             SELECT k.zone FROM metrics.calendar AS k WHERE k.calendar IN ({entity}, '')
             ORDER BY k.calendar DESC LIMIT 1) AS date) END AS signed_on
"""
# The last day of a contract whose renewal was declined, as `_last_day` of sync_core/life/lifecycle.py.
_LAST_DAY: Final = """
    SELECT n.contract_id, n.place, CASE WHEN NOT n.automatic THEN NULL ELSE m.before END AS since,
           CASE WHEN NOT n.automatic OR n.renews_on IS NULL THEN coalesce(n.ends_on, n.renews_on - 1)
                WHEN m.coming IS NOT NULL THEN coalesce(n.ends_on + (m.coming - n.renews_on), m.coming - 1) END AS day
    FROM (
        SELECT n.contract_id, n.place, metrics.day(n.notice ->> 'declined_on') AS said_on,
               metrics.day(n.notice ->> 'renews_on') AS meant, metrics.day(n.ends #>> '{}') AS ends_on,
               metrics.day(n.renewal ->> 'renews_on') AS renews_on,
               coalesce(n.renewal ->> 'automatic', '') = 'true' AS automatic,
               CAST(metrics.number(n.renewal ->> 'term_months') AS integer) AS term
        FROM (
            SELECT d.contract_id, d.place, d.notice,
                   (array_agg(b.renewal ORDER BY b.place DESC) FILTER (WHERE b.renewal IS NOT NULL))[1] AS renewal,
                   (array_agg(b.ends ORDER BY b.place DESC) FILTER (WHERE b.ends IS NOT NULL))[1] AS ends
            FROM every AS d JOIN every AS b ON b.contract_id = d.contract_id AND b.place < d.place
            WHERE d.declines GROUP BY d.contract_id, d.place, d.notice
        ) AS n
    ) AS n LEFT JOIN LATERAL (
        SELECT min(x.on_day) FILTER (WHERE x.on_day >= coalesce(n.meant, n.said_on + 1)) AS coming,
               max(x.on_day) FILTER (WHERE x.on_day < coalesce(n.meant, n.said_on + 1)) AS before FROM (
            SELECT CAST(n.renews_on + make_interval(months => coalesce(n.term, 0) * k) AS date) AS on_day
            FROM generate_series(0, CASE WHEN n.term >= 1 THEN 600 ELSE 0 END) AS k
        ) AS x
    ) AS m ON true
"""
# The first signature behind such a last day begins anew, unless something else was said of the renewal meanwhile. Over
# `every`, the rows of `as_agreed`.
BEGUN: Final = f"""
    SELECT l.contract_id, min(s.place) AS place
    FROM ({_LAST_DAY}) AS l
         JOIN every AS s ON s.contract_id = l.contract_id AND s.place > l.place AND s.signed_on > l.day
              AND s.signed_on >= coalesce(l.since, '-infinity')
    WHERE NOT EXISTS (
        SELECT FROM every AS o WHERE o.contract_id = l.contract_id AND o.place > l.place AND o.place < s.place
           AND (o.notice IS NOT NULL OR o.renewal IS NOT NULL AND o.signed_on IS NULL))
    GROUP BY l.contract_id, l.place
"""


def as_agreed(rows: str, *, signs: str, ends: str) -> str:
    """Of rows with contract_id, place, number (of an amendment, else NULL) and `SAYS`, those that count.

    A signature stands until the contract ends, by what is said or with its last day where its renewal was declined, and
    the first amendment of a number stands. What is published again meanwhile is no agreement
    (sync_core/life/silent.py). `signs` and `ends` are conditions on `r`.
    """
    before = "OVER (PARTITION BY r.contract_id ORDER BY r.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return f"""
        WITH every AS MATERIALIZED ({rows}), begun AS MATERIALIZED ({BEGUN})
        SELECT r.* FROM (
            SELECT r.*, min(r.place) OVER (PARTITION BY r.contract_id, r.agreement, r.number) AS first_place FROM (
                SELECT r.*, count(*) FILTER (WHERE {signs}) OVER (PARTITION BY r.contract_id ORDER BY r.place)
                       AS agreement
                FROM (
                    SELECT r.*, {signs} AND b.place IS NULL AND max(r.place) FILTER (WHERE {signs}) {before}
                                > coalesce(max(r.place) FILTER (WHERE {ends}) {before}, 0) AS published_again
                    FROM every AS r LEFT JOIN begun AS b ON b.contract_id = r.contract_id AND b.place = r.place
                ) AS r WHERE r.published_again IS NOT TRUE
            ) AS r
        ) AS r WHERE r.number IS NULL OR r.place = r.first_place
    """
