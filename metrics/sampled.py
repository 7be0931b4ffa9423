"""What the collectors found standing in the newest minute that they sampled."""

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from metrics.cells import Row

_NEWEST: Final = sa.text("""
    SELECT system, name, value FROM telemetry.sample
    WHERE name = ANY(:names) AND at = (SELECT at FROM telemetry.sampled WHERE collector = 'standing')
    ORDER BY system
""")


def newest(conn: sa.Connection, names: Iterable[str]) -> Sequence[Row]:
    """system, name, value of each; none until a worker has sampled."""
    return conn.execute(_NEWEST, {"names": list(names)}).all()
