"""One contract's events as stored, for whoever folds them outside of the workers."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from sync_core.errors import StoredEventUnreadable
from sync_core.events import PREFIX, Event, SchemaUnknown, understand

_EVENTS = sa.text("""
    SELECT source, id, type, occurred_at, CAST(data AS text) AS data FROM core.event
    WHERE source = :source AND external_id = :external_id ORDER BY seq
""")
# Who corrected what the contract says now. A later signature states all terms in the CLM's own words and makes a
# correction past, but where it knows nothing of it (`standing`); an amendment leaves standing what it does not name,
# and an approval of the CLM all of it.
_AUTHORS = sa.text("""
    SELECT DISTINCT c.contract_id, e.attributes ->> 'author' AS author
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:contracts) AND e.received_by = 'correction' AND e.attributes ->> 'author' IS NOT NULL
      AND (c.contract_id = ANY(:standing) OR NOT EXISTS (
          SELECT FROM core.event AS s
          WHERE s.source = c.source AND s.external_id = c.external_id AND starts_with(s.type, :signed)
            AND CAST(s.data ->> 'revision' AS bigint) > CAST(e.data ->> 'overrides' AS bigint)))
    ORDER BY 1, 2
""")


def events_of(conn: sa.Connection, source: str, external_id: str) -> list[Event]:
    """In the order stored. Raises StoredEventUnreadable."""
    return [stored(row) for row in conn.execute(_EVENTS, {"source": source, "external_id": external_id})]


def stored(row: sa.Row[Any]) -> Event:
    """Of source, id, type, occurred_at and data as text. Raises StoredEventUnreadable."""
    try:
        payload = understand(row.type, row.data)
    except SchemaUnknown as wrong:
        raise StoredEventUnreadable(f"event {row.id} cannot be read any more: {wrong.message}") from wrong
    return Event(row.source, row.id, row.type, row.occurred_at, payload)


def correctors(
    conn: sa.Connection, contracts: Iterable[int], *, standing: Iterable[int] = ()
) -> dict[int, tuple[str, ...]]:
    """By contract id: authors of the corrections that are in force. `standing`: contracts that no later signature
    has freed of them, as their fold says.
    """
    found: dict[int, tuple[str, ...]] = {}
    bound = {"contracts": list(contracts), "signed": f"{PREFIX}signed.", "standing": list(standing)}
    for row in conn.execute(_AUTHORS, bound):
        found[row.contract_id] = (*found.get(row.contract_id, ()), row.author)
    return found
