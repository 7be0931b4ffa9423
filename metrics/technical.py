"""How Tieline itself runs: calls, backlog, attempts, replays and database, over a window that ends now.

The windows are short (15 minutes to 30 days) and need no as_of, so these are no KPIs of weeks. The numbers are of the
whole engine, trial contracts included: they say nothing of a contract, and everybody with kpi:read may see them.
Windows up to a day are whole minutes, longer ones whole hours; the last minute is the one that runs. A message belongs
to the minute of its first attempt, and so does that it was given up, whenever that was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from metrics.asking import InvalidAsk
from metrics.at_once import Moments
from metrics.backlog import Backlog, backlog
from metrics.clm_backlog import ClmBacklog, sampled_clms
from metrics.histograms import Histogram, Quantile
from metrics.lane_history import LaneHistory, lane_history
from metrics.replays import Replays, replays
from metrics.sampled import newest
from sync_core.clock import Clock
from sync_core.telemetry.latencies import BOUNDS, Kind

SHORTEST: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(days=30)
BY_MINUTE_UP_TO: Final = timedelta(days=1)

_CALLS: Final = """
    SELECT kind, system, operation, writes, outcome, le, CAST(sum(n) AS bigint) AS n, sum(total_s) AS total_s
    FROM telemetry.call_{step} WHERE at >= :since AND at < :until GROUP BY 1, 2, 3, 4, 5, 6
"""
_CALLS_OVER_TIME: Final = """
    SELECT to_timestamp(floor(extract(epoch FROM at) / :step_s) * :step_s) AS at, {split} AS name, le,
           CAST(sum(n) AS bigint) AS n, sum(total_s) AS total_s
    FROM telemetry.call_{step} WHERE at >= :since AND at < :until AND kind = :kind
      AND (CAST(:system AS text) IS NULL OR system = :system)
      AND (CAST(:operation AS text) IS NULL OR operation = :operation)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_COUNTS: Final = """
    SELECT name, system, label, CAST(sum(n) AS bigint) AS n FROM telemetry.count_{step}
    WHERE at >= :since AND at < :until GROUP BY 1, 2, 3
"""
_SAMPLES: Final = sa.text("""
    SELECT name, system, label, to_timestamp(floor(extract(epoch FROM at) / :step_s) * :step_s) AS at,
           max(value) AS value
    FROM telemetry.sample WHERE name = ANY(:names) AND at >= :since AND at < :until
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")
DATABASE: Final = (
    "db_size_bytes", "db_connections", "db_connections_max", "db_oldest_transaction_s", "db_dead_tuples",
    "db_live_tuples", "db_cache_hit_ratio", "db_deadlocks", "db_replication_lag_s",
)  # fmt: skip


class Split(StrEnum):
    """What lines of latency are told apart by."""

    SYSTEM = "system"
    OPERATION = "operation"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one kind, system and operation, or of several together."""

    kind: Kind
    system: str
    operation: str  # "" for all
    writes: bool | None  # None: both
    histogram: Histogram
    outcomes: Mapping[str, int]

    @property
    def n(self) -> int:
        return self.histogram.n

    @property
    def failed(self) -> int:
        return self.n - self.outcomes.get("ok", 0)

    @property
    def failure_share(self) -> float | None:
        return self.failed / self.n if self.n else None

    def quantile(self, q: float) -> Quantile:
        return self.histogram.quantile(q, BOUNDS[self.kind])


@dataclass(frozen=True, slots=True)
class Attempts:
    """Runs and how they ended; None where nothing happened."""

    by_label: Mapping[str, int] = field(default_factory=dict)  # ok, blocked, skipped, transient, ambiguous, permanent
    messages: int = 0
    failed_messages: int = 0  # of these, given up by now

    @property
    def attempts(self) -> int:
        return sum(self.by_label.values())

    @property
    def failed(self) -> int:
        return sum(self.by_label.get(label, 0) for label in FAILED)

    @property
    def failure_rate(self) -> float | None:
        return self.failed / self.attempts if self.attempts else None

    @property
    def message_failure_rate(self) -> float | None:
        return self.failed_messages / self.messages if self.messages else None

    @property
    def amplification(self) -> float | None:
        """Attempts per message; 1 is the least."""
        return self.attempts / self.messages if self.messages else None


FAILED: Final = ("transient", "ambiguous", "permanent")


@dataclass(frozen=True, slots=True)
class Report:
    """What the numbers of the platform page and of the API are made of, from one snapshot."""

    since: datetime
    until: datetime
    calls: Sequence[Calls]  # by kind, system and operation
    attempts: Mapping[str, Attempts]  # by lane
    backlog: Mapping[str, Backlog]  # by lane, now
    replays: Replays
    database: Mapping[str, float]  # by DATABASE, as sampled last
    clms: Mapping[str, ClmBacklog]  # by name, as sampled last

    def calls_of(self, kind: Kind) -> list[Calls]:
        """One for each system."""
        found: dict[str, list[Calls]] = {}
        for one in self.calls:
            if one.kind is kind:
                found.setdefault(one.system, []).append(one)
        return [added(kind, system, those) for system, those in sorted(found.items())]


@dataclass(frozen=True, slots=True)
class Point:
    """Calls of one system, operation or outcome in one step of time."""

    at: datetime
    name: str
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    system: str
    label: str
    at: datetime
    value: float


class Technical:
    """Safe for many threads. `engine` connects as the application's role, to the primary or to a replica."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, moments: Moments | None = None) -> None:
        self._moments, self._clock = moments or Moments(engine), clock

    def report(self, window: timedelta = timedelta(hours=1)) -> Report:
        """Raises InvalidAsk for a window outside of 15 minutes to 30 days."""
        now = self._clock.now()
        since, until, step = span(window, now)
        with self._moments.one() as moment:
            conn = moment.conn
            bound = {"since": since, "until": until}
            calls = _calls(conn.execute(sa.text(_CALLS.format(step=step)), bound).all())
            attempts = _attempts(conn.execute(sa.text(_COUNTS.format(step=step)), bound).all())
            database, clms = sampled_database(conn), sampled_clms(conn)
            standing, replayed = backlog(conn, now=now), replays(conn, since=since)
        return Report(since, until, calls, attempts, standing, replayed, database, clms)

    def lane_history(self, window: timedelta) -> LaneHistory:
        """Raises InvalidAsk."""
        since, until, _ = span(window, self._clock.now())
        with self._moments.one() as moment:
            return lane_history(moment.conn, since, until)

    def latency_over_time(
        self, kind: Kind, window: timedelta, *, by: Split = Split.SYSTEM, system: str | None = None,
        operation: str | None = None, points: int = 60,
    ) -> list[Point]:  # fmt: skip
        """At most about `points` steps, oldest first; one without calls is absent. `system`, `operation` None: all.

        Raises InvalidAsk.
        """
        since, until, step = span(window, self._clock.now())
        values = {"since": since, "until": until, "kind": kind.value, "step_s": _step_s(window, points, step),
                  "system": system, "operation": operation}  # fmt: skip
        with self._moments.one() as moment:
            rows = moment.conn.execute(sa.text(_CALLS_OVER_TIME.format(step=step, split=by.value)), values).all()
        found: dict[tuple[datetime, str], list[tuple[float, int, float]]] = {}
        for row in rows:
            found.setdefault((row.at, row.name), []).append((row.le, row.n, row.total_s))
        return [Point(at, name, Histogram.of(those)) for (at, name), those in found.items()]

    def samples(self, names: Sequence[str], window: timedelta, *, points: int = 60) -> list[Sample]:
        """The highest sample of each step, by name, system and label, oldest first. Raises InvalidAsk."""
        since, until, _ = span(window, self._clock.now())
        values = {"names": list(names), "since": since, "until": until + timedelta(minutes=1)}
        with self._moments.one() as moment:
            rows = moment.conn.execute(_SAMPLES, {**values, "step_s": _step_s(window, points, "minute")})
            return [Sample(row.name, row.system, row.label, row.at, row.value) for row in rows]


def sampled_database(conn: sa.Connection) -> dict[str, float]:
    """By DATABASE, as sampled last; what the application's role cannot see is absent."""
    return {row.name: row.value for row in newest(conn, DATABASE)}


def span(window: timedelta, now: datetime) -> tuple[datetime, datetime, str]:
    """[since, until) and the table's step that it is read from. Raises InvalidAsk."""
    if not SHORTEST <= window <= LONGEST:
        raise InvalidAsk(f"window: {window} is not within 15 minutes and 30 days")
    until = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    since = until - window
    if window <= BY_MINUTE_UP_TO:
        return since, until, "minute"
    return since.replace(minute=0), until, "hour"


def added(kind: Kind, system: str, calls: Sequence[Calls], operation: str = "") -> Calls:
    """Together: their histograms and outcomes added."""
    histogram = sum((one.histogram for one in calls), Histogram())
    outcomes: dict[str, int] = {}
    for one in calls:
        for outcome, n in one.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + n
    return Calls(kind, system, operation, None, histogram, outcomes)


def _calls(rows: Sequence[sa.Row[Any]]) -> list[Calls]:
    buckets: dict[tuple[str, str, str, bool], list[tuple[float, int, float]]] = {}
    outcomes: dict[tuple[str, str, str, bool], dict[str, int]] = {}
    for row in rows:
        key = (row.kind, row.system, row.operation, row.writes)
        buckets.setdefault(key, []).append((row.le, row.n, row.total_s))
        told = outcomes.setdefault(key, {})
        told[row.outcome] = told.get(row.outcome, 0) + row.n
    return [
        Calls(Kind(key[0]), key[1], key[2], key[3], Histogram.of(found), outcomes[key])
        for key, found in sorted(buckets.items())
    ]


def _attempts(rows: Sequence[sa.Row[Any]]) -> dict[str, Attempts]:
    labels: dict[str, dict[str, int]] = {}
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        told = labels.setdefault(row.system, {})
        if row.name == "attempts":
            told[row.label] = row.n
        sums[row.system, row.name] = sums.get((row.system, row.name), 0) + row.n
    return {
        lane: Attempts(found, sums.get((lane, "messages"), 0), sums.get((lane, "messages_failed"), 0))
        for lane, found in sorted(labels.items())
    }


def together(parts: Mapping[str, Attempts]) -> Attempts:
    """Of all lanes."""
    labels: dict[str, int] = {}
    for part in parts.values():
        for label, n in part.by_label.items():
            labels[label] = labels.get(label, 0) + n
    return Attempts(
        labels, sum(part.messages for part in parts.values()), sum(part.failed_messages for part in parts.values())
    )


def _step_s(window: timedelta, points: int, step: str) -> int:
    """Whole minutes or hours."""
    unit_s = 60 if step == "minute" else 3600
    return max(1, -(-int(window.total_seconds()) // (points * unit_s))) * unit_s
