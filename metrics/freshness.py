"""How old numbers may be before their age is told beside them: one rule for pages, files and sheets."""

from datetime import timedelta
from typing import Final

MEASURED_EVERY: Final = timedelta(minutes=1)  # one is due every 15 seconds
_PERIODS: Final = 2


def is_stale(age: timedelta, refresh: timedelta = MEASURED_EVERY) -> bool:
    """Older than two refresh periods."""
    return age > _PERIODS * refresh
