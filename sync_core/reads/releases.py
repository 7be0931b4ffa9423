"""The history of releases, as it is shown: newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.reads.paging import Listed, Listing, Order, Row, Where, Window

# `replaced` is what the system ran before; nothing for the first that was ever seen of it.
_RELEASES: Final = """(
    SELECT release_id, system, version, first_seen_at, last_seen_at,
           lag(version) OVER (PARTITION BY system ORDER BY first_seen_at, release_id) AS replaced
    FROM core.release) AS r"""
_COLUMNS: Final = "release_id, system, version, first_seen_at, last_seen_at, replaced"
_ORDER: Final = Order("r.first_seen_at", descending=True, nullable=False, kind=datetime, row_id="r.release_id")


@dataclass(frozen=True, slots=True)
class Release:
    system: str  # tieline, postgresql, erp:<name>, clm:<name>
    version: str
    first_seen_at: datetime
    last_seen_at: datetime
    replaced: str | None  # the version before it; None: the first that was seen of this system

    @property
    def name(self) -> str:
        """Of the system, without its kind."""
        return self.system.partition(":")[2] or self.system


def releases(conn: sa.Connection, window: Window) -> Listed[Release]:
    return _listing().page(conn, window)


def newest(conn: sa.Connection, most: int) -> tuple[Release, ...]:
    return _listing().first(conn, most)


def _listing() -> Listing[Release]:
    return Listing(_COLUMNS, _RELEASES, Where((), {}), _ORDER, _release)


def _release(row: Row) -> Release:
    return Release(row.system, row.version, row.first_seen_at, row.last_seen_at, row.replaced)
