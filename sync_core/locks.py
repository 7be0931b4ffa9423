"""Which advisory lock of PostgreSQL means what. All of them in one place, so that no two meanings share a number.

A lock has two keys: its class, one of these, and what it is of: an id, the hash of a name, or 1 for the only one.
"""

from enum import IntEnum, unique


@unique
class Lock(IntEnum):
    MIGRATION = 7714  # of a session: one migration at a time
    WORKER = 7715  # of a session, by worker_id: it lives
    JOB = 7716  # of a session, by job: it runs
    ONCE = 7717  # by idempotency key: one request with it at a time
    REPLAY = 7718  # one dispatcher
    FINANCIAL_STATUS = 7719  # by ERP: one reader of its books
    ANNOUNCEMENT = 7720  # one announcer
    MEASURES = 7721  # one batch of a refresh
    TELEMETRY = 7722  # 1: one writer of calls; 2: one maker of partitions (in the migration)
    RELEASES = 7723
    POLICY = 7724
    FINANCE = 7725  # by kind: one import of its data
    CONTRACTS = 7726  # by source: one import of its contracts


def held(lock: Lock) -> str:
    """A query: the `key` of each that is held in this database. Locks of a primary do not show on its replicas."""
    return f"""SELECT CAST(objid AS bigint) AS key FROM pg_locks
        WHERE locktype = 'advisory' AND classid = {lock} AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
