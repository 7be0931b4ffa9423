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
