"""What the scheduler and the commands about it agree on: which lock says that a job runs, and what people have said."""

import zlib
from datetime import UTC, datetime, timedelta
from typing import Final

LOCK_CLASS: Final = 7716  # of session locks; the second key is the job's
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Of a session lock with two keys. A lock on a replica's primary does not show on the replica.
RUNNING: Final = """EXISTS (
    SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.classid = 7716 AND l.objsubid = 2 AND l.granted
      AND l.objid = {key} AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def lock_key(job: str) -> int:
    """As PostgreSQL's four-byte integer."""
    return zlib.crc32(job.encode()) - 2**31


def lock_oid(job: str) -> int:
    """The same as pg_locks shows it."""
    return lock_key(job) % 2**32


def due(every: timedelta, now: datetime) -> datetime:
    """The latest time at which a job of this period was to run."""
    return _EPOCH + (now - _EPOCH) // every * every
