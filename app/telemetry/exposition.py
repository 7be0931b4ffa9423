"""What GET /metrics says, as metric families: technical totals, what stands, objectives, and the KPIs' headlines.

Names follow OpenMetrics 1.0: counters end in _total, units are in the name. No label ever holds a contract, a person or
a word of others: kinds, systems, operations, outcomes, lanes, states, objectives and KPIs are all closed or configured.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from metrics.backlog import Backlog, Waiting
from metrics.clm_backlog import ClmBacklog
from metrics.kpi import Result, Unit
from metrics.slo import Standing
from sync_core.telemetry.latencies import BOUNDS, Kind

MOST_SERIES: Final = 400  # of call histograms: each is up to twenty lines; the busiest ones are shown

_CALL_TOTALS = sa.text("""
    SELECT kind, system, operation, writes, outcome, le, n, total_s, trace_id, trace_s, trace_at
    FROM telemetry.call_total
""")
_COUNT_TOTALS = sa.text("SELECT name, system, label, n FROM telemetry.count_total ORDER BY 1, 2, 3")
_CALL_LABELS: Final = ("kind", "system", "operation", "writes", "outcome")
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "attempts": ("tieline_attempts", "Runs of contracts by how they ended"),
    "messages": ("tieline_messages", "Revisions of contracts that were taken up"),
    "messages_failed": ("tieline_messages_failed", "Revisions that were set aside"),
    "read_backs": ("tieline_read_backs", "Read-backs by whether the ERP held what was written"),
}
_DATABASE: Final[Mapping[str, tuple[str, str, str]]] = {
    "db_size_bytes": ("tieline_database_size_bytes", "Size of the database", "bytes"),
    "db_connections": ("tieline_database_connections", "Connections to the database", ""),
    "db_connections_max": ("tieline_database_connections_max", "Connections that the server allows", ""),
    "db_oldest_transaction_s": ("tieline_database_oldest_transaction_seconds", "Age of the oldest one", "seconds"),
    "db_dead_tuples": ("tieline_database_dead_tuples", "Dead rows that are not vacuumed yet", ""),
    "db_live_tuples": ("tieline_database_live_tuples", "Live rows", ""),
    "db_cache_hit_ratio": ("tieline_database_cache_hit_ratio", "Blocks found in shared memory", "ratio"),
    "db_deadlocks": ("tieline_database_deadlocks", "Deadlocks since the server's statistics began", ""),
    "db_replication_lag_s": ("tieline_database_replication_lag_seconds", "Of the replica furthest behind", "seconds"),
}

_CLMS: Final[Mapping[str, tuple[str, str, str]]] = {
    "feed_age_s": ("tieline_clm_feed_age_seconds", "Since this CLM's feed was read to its end", "seconds"),
    "found_by_poll": ("tieline_clm_found_by_poll", "Events of 24 hours that no webhook had brought", ""),
    "not_understood": ("tieline_clm_not_understood", "Its events in quarantine", ""),
    "reports_due": ("tieline_clm_reports_due", "Contracts of which it is to be told something", ""),
    "reports_oldest_s": ("tieline_clm_reports_oldest_age_seconds", "How long the first has been due", "seconds"),
}


def about(version: str) -> Metric:
    family = InfoMetricFamily("tieline", "This installation")
    family.add_metric((), {"version": version})
    return family


def calls(conn: sa.Connection) -> Metric:
    """Durations of calls since ever, with the trace of the last call in each bucket."""
    series: dict[tuple[str, ...], dict[float, sa.Row[Any]]] = {}
    for row in conn.execute(_CALL_TOTALS):
        labels: tuple[str, ...] = (row.kind, row.system, row.operation, str(row.writes).lower(), row.outcome)
        series.setdefault(labels, {})[row.le] = row
    family = HistogramMetricFamily(
        "tieline_call_duration_seconds",
        "How long calls took: erp, clm, web (requests to us) and db (statements)",
        labels=_CALL_LABELS,
        unit="seconds",
    )
    observed = {labels: sum(row.n for row in found.values()) for labels, found in series.items()}
    for labels in sorted(sorted(series, key=lambda one: (-observed[one], one))[:MOST_SERIES]):
        found = series[labels]
        family.add_metric(labels, _buckets(Kind(labels[0]), found), sum(row.total_s for row in found.values()))
    return family


_Bucket = tuple[str, float] | tuple[str, float, Exemplar]


def _buckets(kind: Kind, found: Mapping[float, sa.Row[Any]]) -> list[_Bucket]:
    """Cumulative, one for each bound."""
    buckets: list[_Bucket] = []
    below = 0
    for le in (*BOUNDS[kind], math.inf):
        row = found.get(le)
        below += row.n if row else 0
        name = "+Inf" if math.isinf(le) else repr(le)
        if row is not None and row.trace_id:
            example = Exemplar({"trace_id": row.trace_id}, row.trace_s, row.trace_at.timestamp())
            buckets.append((name, below, example))
        else:
            buckets.append((name, below))
    return buckets


def counts(conn: sa.Connection) -> list[Metric]:
    families = {
        name: CounterMetricFamily(called, says, labels=("lane", "result")) for name, (called, says) in _NAMES.items()
    }
    for row in conn.execute(_COUNT_TOTALS):
        if row.name in families:
            families[row.name].add_metric((row.system, row.label), row.n)
    return list(families.values())


def standing(backlog: Mapping[str, Backlog], breakers: Iterable[tuple[str, str]]) -> list[Metric]:
    """What waits now, and which lanes stand still."""
    depth = GaugeMetricFamily("tieline_backlog_contracts", "Contracts in the queue", labels=("lane", "state"))
    age = GaugeMetricFamily("tieline_backlog_oldest_age_seconds", "Age of the oldest one", labels=("lane", "state"),
                            unit="seconds")  # fmt: skip
    drain = GaugeMetricFamily("tieline_backlog_drain_seconds", "Until what is ready is done, at the rate of the last "
                              "15 minutes; absent at rate 0", labels=("lane",), unit="seconds")  # fmt: skip
    for lane, part in backlog.items():
        for state in Waiting:
            depth.add_metric((lane, state), part.contracts[state])
        for state, oldest_s in sorted(part.oldest_age_s.items()):
            age.add_metric((lane, state), oldest_s)
        if part.drain_s is not None:
            drain.add_metric((lane,), part.drain_s)
    closed = GaugeMetricFamily("tieline_lane_open", "1: calls to this ERP go through; 0: its breaker or a person "
                               "stops them", labels=("lane",))  # fmt: skip
    for lane, breaker in breakers:
        closed.add_metric((lane,), 1 if breaker == "closed" else 0)
    return [depth, age, drain, closed]


def clms(found: Mapping[str, ClmBacklog]) -> list[Metric]:
    """As sampled last."""
    families = {
        field: GaugeMetricFamily(called, says, labels=("clm",), unit=unit)
        for field, (called, says, unit) in _CLMS.items()
    }
    for name, one in found.items():
        for field, family in families.items():
            if (value := getattr(one, field)) is not None:
                family.add_metric((name,), value)
    return list(families.values())


def database(found: Mapping[str, float]) -> list[Metric]:
    """As sampled last; what the application's role cannot see is absent."""
    return [
        GaugeMetricFamily(called, says, value=found[name], unit=unit)
        for name, (called, says, unit) in _DATABASE.items()
        if name in found
    ]


def objectives(found: Sequence[Standing]) -> list[Metric]:
    broken = GaugeMetricFamily("tieline_objective_broken", "1: this service-level objective is broken, or recovers",
                               labels=("objective",))  # fmt: skip
    target = GaugeMetricFamily("tieline_objective_target_ratio", "The share of events that are to be good",
                               labels=("objective",), unit="ratio")  # fmt: skip
    left = GaugeMetricFamily("tieline_objective_budget_left_ratio", "Of the error budget of 30 days; below 0 it is "
                             "overspent", labels=("objective",), unit="ratio")  # fmt: skip
    rate = GaugeMetricFamily("tieline_objective_burn_rate", "How many times faster than it may the budget burns",
                             labels=("objective", "window"))  # fmt: skip
    for one in found:
        broken.add_metric((one.name,), int(one.broken))
        target.add_metric((one.name,), one.objective)
        if one.budget_left is not None:
            left.add_metric((one.name,), one.budget_left)
        for window, value in sorted(one.burn_rates.items(), key=lambda pair: int(pair[0])):
            rate.add_metric((one.name, f"{window}s"), value)
    return [broken, target, left, rate]


def kpis(by_window: Mapping[str, Mapping[str, Result]], reporting: str) -> list[Metric]:
    """The same headline values as pages and API; one that cannot be told is absent, never 0. Money names its currency,
    `reporting`.
    """
    value = Metric(
        "tieline_kpi_value", "Headline value of a KPI, in the unit and currency that the labels name", "gauge"
    )
    cases = GaugeMetricFamily("tieline_kpi_cases", "Cases behind the value, open ones included",
                              labels=("kpi", "window"))  # fmt: skip
    known = GaugeMetricFamily("tieline_kpi_known_timestamp_seconds", "Everything that was committed before is in the "
                              "values", labels=("window",), unit="seconds")  # fmt: skip
    for window, results in by_window.items():
        for slug, result in results.items():
            answer, unit = result.answer, result.definition.unit
            if answer.value is not None:
                given = answer.value
                labels = {"kpi": slug, "unit": unit.value, "window": window}
                labels |= {"currency": reporting} if unit in (Unit.MONEY, Unit.MONEY_DAYS) else {}
                value.add_sample(value.name, labels, float(given))
            cases.add_metric((slug, window), answer.n)
        moments = [one.data_as_of for one in results.values() if one.data_as_of is not None]
        if moments:
            # To the next millisecond: who asks as of it is to find this refresh, not the one before.
            known.add_metric((window,), math.ceil(_seconds(max(moments)) * 1000) / 1000)
    return [value, cases, known]


def _seconds(at: datetime) -> float:
    return at.timestamp()
