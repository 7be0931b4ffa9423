"""Filters of lists that people saved: their own, and those that others share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

_FILTERS = sa.text("""
    SELECT owner, name, query, shared, version, updated_at FROM core.saved_filter
    WHERE owner = :owner OR shared ORDER BY owner <> :owner, name, owner
""")


@dataclass(frozen=True, slots=True)
class SavedFilter:
    owner: str
    name: str
    query: Mapping[str, str]
    shared: bool
    version: int
    updated_at: datetime


def saved_filters(conn: sa.Connection, owner: str) -> tuple[SavedFilter, ...]:
    """The owner's own first, by name."""
    return tuple(SavedFilter(*row) for row in conn.execute(_FILTERS, {"owner": owner}))
