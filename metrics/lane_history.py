"""When the lanes of ERPs stopped and began to take work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

_CHANGES: Final = sa.text("""
    SELECT lane, breaker, coalesce(reason, '') AS reason, occurred_at FROM core.lane_history
    WHERE occurred_at >= :since ORDER BY occurred_at DESC LIMIT 200
""")


@dataclass(frozen=True, slots=True)
class LaneChange:
    lane: str
    breaker: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LaneHistory:
    """What changed since the beginning of the window that ends at `until`."""

    since: datetime
    until: datetime
    changes: Sequence[LaneChange]  # newest first, 200 at most


def lane_history(conn: sa.Connection, since: datetime, until: datetime) -> LaneHistory:
    return LaneHistory(since, until, [LaneChange(*row) for row in conn.execute(_CHANGES, {"since": since})])
