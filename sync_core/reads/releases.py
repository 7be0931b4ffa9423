"""The history of releases, as it is shown: newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

MOST: Final = 200

# `replaced` is what the system ran before; nothing for the first that was ever seen of it.
_RELEASES: Final = sa.text("""
    SELECT system, version, first_seen_at, last_seen_at, replaced FROM (
        SELECT release_id, system, version, first_seen_at, last_seen_at,
               lag(version) OVER (PARTITION BY system ORDER BY first_seen_at, release_id) AS replaced
        FROM core.release
    ) AS r ORDER BY first_seen_at DESC, release_id DESC LIMIT :most
""")


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


def releases(conn: sa.Connection, *, most: int = MOST) -> tuple[Release, ...]:
    return tuple(Release(*row) for row in conn.execute(_RELEASES, {"most": most}))
