"""What time it is for the dashboard while the demo's past is being made: the moment that the past has reached.

Afterwards, and wherever there is no made-up past, it is the machine's time. The past notes each day that it has
reached; its newest event is nearer.
"""

import threading
import time
from datetime import UTC, datetime

import sqlalchemy as sa

from sync_core.clock import SystemClock

MARK, BEGUN = "demo:history", "begun "
_LOOK_EVERY_S = 0.5
_REACHED = sa.text("""
    SELECT greatest(updated_at, (SELECT recorded_at FROM core.event ORDER BY seq DESC LIMIT 1))
    FROM core.watermark WHERE name = :name AND value LIKE :begun || '%'
""")


class DemoClock(SystemClock):
    """Looks into the database at most twice a second, and no more once the past is made."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._looked_at = -_LOOK_EVERY_S
        self._reached: datetime | None = None
        self._made = False

    def now(self) -> datetime:
        return self._past() or super().now()

    def notice(self) -> str | None:
        """For the head of each page, as long as the past is being made."""
        reached = self._past()
        return f"The demo's past is being made: {reached.day} {reached:%b %Y} reached" if reached else None

    def _past(self) -> datetime | None:
        with self._lock:
            if not self._made and time.monotonic() > self._looked_at + _LOOK_EVERY_S:
                self._look()
            return self._reached

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        began = self._reached is not None
        with self._engine.connect() as conn:
            reached: datetime | None = conn.scalar(_REACHED, {"name": MARK, "begun": BEGUN})
        self._reached = reached.astimezone(UTC) if reached else None
        self._made = began and reached is None
