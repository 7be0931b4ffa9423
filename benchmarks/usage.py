"""What a stretch of work cost: CPU of processes (Linux, /proc) and the counters of PostgreSQL.

A PostgreSQL backend adds its counts to the shared ones when it ends, so read them when the workers are gone.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

import psycopg

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

_COUNTERS = """
    SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
           (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'),
           (SELECT pg_current_wal_insert_lsn() - '0/0'), pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class DatabaseUse:
    commits: float
    fsyncs: float  # of the log
    wal_bytes: float
    cpu_s: float

    def since(self, before: "DatabaseUse") -> "DatabaseUse":
        return DatabaseUse(*(getattr(self, f.name) - getattr(before, f.name) for f in fields(self)))


def database_use(conn: psycopg.Connection[tuple[object, ...]]) -> DatabaseUse:
    """So far. `conn` is in autocommit, so that it sees new counts each time."""
    conn.execute("SELECT pg_stat_force_next_flush()")  # what `conn` itself did before is not of this stretch
    row = conn.execute(_COUNTERS).fetchone()
    commits, fsyncs, wal, pid = cast("tuple[int, int, int, int]", row)
    return DatabaseUse(float(commits), float(fsyncs), float(wal), _family_cpu_s(_parent(pid)))


def cpu_s(pid: int) -> float:
    """User and system time of a running process."""
    times = _stat(pid)
    return (int(times[11]) + int(times[12])) * _TICK_S


def machine_busy_s() -> float:
    """Time that all processors of the machine were not idle, what the hypervisor took from it included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) * _TICK_S


def _family_cpu_s(pid: int) -> float:
    """A process, its living children, and the children that have ended."""
    times = _stat(pid)
    return sum(int(ticks) for ticks in times[11:15]) * _TICK_S + sum(cpu_s(child) for child in _children(pid))


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(int(entry.name)) == pid:
            yield int(entry.name)


def _parent(pid: int) -> int:
    try:
        return int(_stat(pid)[1])
    except FileNotFoundError:
        return 0  # it ended while we looked


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except ProcessLookupError as gone:
        raise FileNotFoundError(pid) from gone
