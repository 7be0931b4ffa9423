"""Replays of a window: asked for, carried out, verified, and those that turned out to be done already."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

# Of replays that were made in the window, by their items.
_REPLAYS: Final = sa.text("""
    SELECT count(*) AS requested, count(*) FILTER (WHERE i.dispatched_at IS NOT NULL) AS executed,
           count(*) FILTER (WHERE i.state = 'verified') AS verified,
           count(*) FILTER (WHERE i.state = 'verified' AND i.creates + i.updates + i.activates + i.closes = 0) AS no_op,
           count(*) FILTER (WHERE i.state IN ('failed', 'mismatch', 'unverifiable')) AS failed,
           count(DISTINCT r.replay_id) AS replays
    FROM core.replay AS r JOIN core.replay_item AS i USING (replay_id) WHERE r.created_at >= :since
""")


@dataclass(frozen=True, slots=True)
class Replays:
    """Items, but for `replays`. `no_op`: verified without a write, so a duplicate was prevented."""

    requested: int
    executed: int
    verified: int
    no_op: int
    failed: int  # failed, mismatch or unverifiable
    replays: int


def replays(conn: sa.Connection, *, since: datetime) -> Replays:
    return Replays(*conn.execute(_REPLAYS, {"since": since}).one())
