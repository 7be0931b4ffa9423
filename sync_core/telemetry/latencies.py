"""How long calls take, counted into fixed buckets: what a process did is added to the database's counts now and then.

Counts of two processes or two minutes add up; percentiles are read from the sum and never averaged. Calls of a run are
in its journal and counted from there, so a run's calls are not observed here: only those that no journal holds (CLM,
web requests, statements, probes, previews, rechecks, financial status).
Buckets: OpenTelemetry's advice for HTTP and for databases; ERPs and CLMs may take minutes. An objective's threshold
must be one of the bounds, so that "within it" is exact.
"""

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.errors import TielineError
from sync_core.ports import ApiCall
from sync_core.telemetry import meters
from sync_core.telemetry.sql import LOCK, OPEN_MONTHS, POUR_OBSERVED, kept_from

MOST_SERIES: Final = 2_000  # in one process; more would be a name with an id in it
OTHER: Final = "other"


class Kind(StrEnum):
    ERP = "erp"
    CLM = "clm"
    WEB = "web"
    DB = "db"


_HTTP: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_FAR: Final = (*_HTTP, 15.0, 30.0, 60.0, 120.0)
BOUNDS: Final[Mapping[Kind, tuple[float, ...]]] = {
    Kind.ERP: _FAR,
    Kind.CLM: _FAR,
    Kind.WEB: _HTTP,
    Kind.DB: (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
}


@dataclass(frozen=True, slots=True)
class Series:
    """What is told apart. Every part has few values: an operation is "project.create", never an id."""

    kind: Kind
    system: str
    operation: str
    writes: bool
    outcome: str  # "ok", or the code of the error


@dataclass(slots=True)
class _Held:
    n: int = 0
    total_s: float = 0.0


def bucket(kind: Kind, seconds: float) -> float:
    """The upper bound, included, of the bucket that holds it; infinity for the last one."""
    bounds = BOUNDS[kind]
    place = bisect_left(bounds, seconds)
    return bounds[place] if place < len(bounds) else math.inf


class Latencies:
    """What one process observed and has not stored yet. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[Series, float], _Held] = {}
        self._series: set[Series] = set()

    def observe(self, series: Series, seconds: float) -> None:
        key_bucket = bucket(series.kind, seconds)
        with self._lock:
            if series not in self._series:
                series = self._known(series)
            held = self._held.setdefault((series, key_bucket), _Held())
            held.n += 1
            held.total_s += seconds
        if series.kind is not Kind.ERP:  # those are metered where they are made, journalled or not
            meters.took(series.kind, series.system, series.operation, series.outcome, seconds)

    def calls(self, calls: Iterable[ApiCall]) -> None:
        """Calls to an ERP that no journal holds."""
        for one in calls:
            self.observe(Series(Kind.ERP, one.system, one.operation, one.write, one.outcome), one.duration_s)

    def store(self, engine: sa.Engine, *, now: datetime) -> int:
        """Add what was observed to the database's counts of this minute; how many observations. Commits.

        Raises what SQL raises; what could not be stored is kept for the next time.
        """
        with self._lock:
            taken, self._held = self._held, {}
        if not taken:
            return 0
        try:
            with engine.begin() as conn:
                conn.execute(LOCK)
                conn.execute(OPEN_MONTHS, {"first": now, "last": now})
                conn.execute(POUR_OBSERVED, {"rows": _rows(taken), "now": now, **kept_from(now)})
        except BaseException:
            self._put_back(taken)
            raise
        return sum(held.n for held in taken.values())

    def _known(self, series: Series) -> Series:
        if len(self._series) >= MOST_SERIES:
            series = Series(series.kind, series.system, OTHER, series.writes, series.outcome)
        self._series.add(series)
        return series

    def _put_back(self, taken: Mapping[tuple[Series, float], _Held]) -> None:
        with self._lock:
            for key, one in taken.items():
                held = self._held.setdefault(key, _Held())
                held.n += one.n
                held.total_s += one.total_s


def _rows(taken: Mapping[tuple[Series, float], _Held]) -> str:
    return orjson.dumps(
        [
            {
                "kind": series.kind,
                "system": series.system,
                "operation": series.operation,
                "writes": series.writes,
                "outcome": series.outcome,
                "le": le if math.isfinite(le) else "Infinity",
                "n": held.n,
                "total_s": held.total_s,
            }
            for (series, le), held in taken.items()
        ]
    ).decode()


LATENCIES: Final = Latencies()  # of this process; app/telemetry/telemetry.py stores it every few seconds


@contextmanager
def timed(kind: Kind, system: str, operation: str, *, writes: bool) -> Iterator[None]:
    """Observe what the block takes and how it ends: "ok", the code of an error of ours, else "failed"."""
    begun, outcome = time.perf_counter(), "failed"
    try:
        yield
        outcome = "ok"
    except TielineError as wrong:
        outcome = wrong.code
        raise
    finally:
        LATENCIES.observe(Series(kind, system, operation, writes, outcome), time.perf_counter() - begun)
