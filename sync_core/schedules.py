"""What the scheduler and the commands about it agree on: which lock says that a job runs, and what people have said."""

import zlib
from datetime import UTC, datetime, timedelta
from typing import Final

from sync_core.locks import Lock, held

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

RUNNING: Final = f"EXISTS (SELECT FROM ({held(Lock.JOB)}) AS l WHERE l.key = {{key}})"


def lock_key(job: str) -> int:
    """As PostgreSQL's four-byte integer."""
    return zlib.crc32(job.encode()) - 2**31


def lock_oid(job: str) -> int:
    """The same as pg_locks shows it."""
    return lock_key(job) % 2**32


def due(every: timedelta, now: datetime) -> datetime:
    """The latest time at which a job of this period was to run."""
    return _EPOCH + (now - _EPOCH) // every * every
