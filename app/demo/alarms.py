"""Trouble that is part of the demo's past: its terminal sums it up instead of raising an alarm each time.

These are the events that nobody can read and the outage of the ERP. After the past, and in every real deployment,
each is logged at its level as ever.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

_ALARMS = tuple(logging.getLogger(f"sync_core.{name}") for name in ("intake.intake", "engine.lane_watch"))
_LEFT = sa.text("""
    SELECT (SELECT count(*) FROM core.case WHERE state = 'open') AS exceptions,
           (SELECT count(*) FROM core.quarantine WHERE released_at IS NULL) AS held
""")


@contextmanager
def expected() -> Iterator[None]:
    """Within it, these alarms are shown at log level debug alone."""
    for logger in _ALARMS:
        logger.addFilter(_debugging)
    try:
        yield
    finally:
        for logger in _ALARMS:
            logger.removeFilter(_debugging)


def _debugging(_record: logging.LogRecord) -> bool:
    return logging.root.isEnabledFor(logging.DEBUG)


async def left_over(engine: AsyncEngine) -> str:
    """What the past leaves to people, in words for the terminal."""
    async with engine.connect() as conn:
        left = (await conn.execute(_LEFT)).one()
    exceptions = _counted(left.exceptions, "exception is", "exceptions are")
    held = _counted(left.held, "event waits", "events wait")
    return f"{exceptions} open, {held} in quarantine"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
