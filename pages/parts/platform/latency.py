"""The card of latency: a line for each system, or of one system for its operations or outcomes, chosen in the URL."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from metrics.histograms import Histogram
from metrics.measures import Measures
from metrics.technical import Point, Report, Split
from pages.kit import charts_platform as charts
from pages.kit import data, filters, frame, trends
from pages.kit import format as fmt
from pages.kit.marks import Mark
from pages.kit.palette import Palette
from pages.parts.platform import words as told
from sync_core.reads import Reads
from sync_core.telemetry.latencies import BOUNDS, Kind

_PANELS: Final = 6
_SPLITS: Final = {Split.OPERATION.value: "Lines by operation", Split.OUTCOME.value: "Lines by outcome"}
_OUTCOMES: Final = {"ok": "Well", "failed": "Failed", "refused": "Refused"}
_Points = Sequence[tuple[str, Kind, Point]]  # each with the name of its line


def latency(reads: Reads, measures: Measures, window: timedelta, palette: Palette, marked: Sequence[Mark]) -> None:
    with frame.card(
        "latency", "Latency", "Time a call takes, on scales of tenfolds; newest values at the right",
        definition="Read from histograms with fixed buckets: a percentile is linear inside its bucket, and the true "
        "value lies within the bucket's width, which is the band around the p95. Histograms are added, percentiles "
        "never averaged. Grey: an ERP took no work. Dotted: a system runs a new release.",
    ) as card:  # fmt: skip
        found = data.report(reads, measures, window)
        if not found.calls:
            frame.empty("No call was made in this time.", "Choose a longer window.", icon=":material/timer:")
            return
        points = _busiest(_chosen(reads, measures, window, found))
        filters.unknown()
        if not points:
            frame.empty("No such call was made in this time.", "Choose another one, or a longer window.",
                        icon=":material/timer:")  # fmt: skip
            return
        figure = charts.small_lines(
            _lines(points), write=told.seconds, since=found.since, until=found.until, marks=marked, palette=palette
        )
        card.chart(figure, alt="Median, 95th and 99th percentile of the time of calls", data=_numbers(points))
        trends.tell(marked)


def _chosen(reads: Reads, measures: Measures, window: timedelta, found: Report) -> _Points:
    """What the URL asks for: all systems, or the operations or outcomes of one."""
    systems = {f"{kind.value}:{one.system}": (kind, one.system) for kind in Kind for one in found.calls_of(kind)}
    with st.container(horizontal=True, gap="small", key="of_latency"):
        names = {code: fmt.shown(told.system(*key)) for code, key in systems.items()}
        code = filters.one("system", "System", names, every="All systems", quiet=True)
        if code not in systems:
            points = data.latencies(reads, measures, window)
            return [(told.system(kind, one.name), kind, one) for kind in Kind for one in points.get(kind, ())]
        kind, system = systems[code]
        calls = sorted((one for one in found.calls if (one.kind, one.system) == (kind, system)), key=lambda one: -one.n)
        operations = {one.operation: fmt.shown(one.operation) for one in calls}
        operation = filters.one("operation", "Operation", operations, every="All operations", quiet=True)
        by = Split.OUTCOME if operation else Split(filters.always("lines", "Lines", _SPLITS, quiet=True))
    lines = data.latencies_of(reads, measures, window, kind, system, operation or None, by)
    return [(_OUTCOMES.get(one.name, one.name) if by is Split.OUTCOME else one.name, kind, one) for one in lines]


def _busiest(points: _Points) -> _Points:
    """Those of the lines with most calls, in the order in which they came."""
    busy: dict[str, int] = {}
    for name, _, point in points:
        busy[name] = busy.get(name, 0) + point.histogram.n
    keep = set(sorted(busy, key=lambda name: -busy[name])[:_PANELS])
    return [one for one in points if one[0] in keep]


def _lines(points: _Points) -> pd.DataFrame:
    """Line by line: a figure takes its panels in the order of the rows."""
    names = dict.fromkeys(name for name, _, _ in points)
    rows = [_line(*one) for name in names for one in points if one[0] == name]
    return pd.DataFrame(rows, columns=["name", "at", "p50", "p95", "p99", "low", "high"])


def _line(name: str, kind: Kind, point: Point) -> tuple[object, ...]:
    p50, p95, p99 = (point.histogram.quantile(q, BOUNDS[kind]) for q in (0.5, 0.95, 0.99))
    values = [one.value_s if one.value_s is not None else one.at_least_s for one in (p50, p95, p99)]
    low, high = _bucket(values[1] or 0.0, BOUNDS[kind])
    return (fmt.shown(name), pd.Timestamp(point.at), *values, low, high)


def _bucket(seconds: float, bounds: Sequence[float]) -> tuple[float, float]:
    """In which the true value lies; on a scale of tenfolds nothing begins at nil."""
    below = [bound for bound in bounds if bound < seconds]
    above = [bound for bound in bounds if bound >= seconds]
    return (below[-1] if below else bounds[0] / 5, above[0] if above else seconds)


def _numbers(points: _Points) -> pd.DataFrame:
    kinds = {name: kind for name, kind, _ in points}
    rows = []
    for name, kind in kinds.items():
        whole = _added(point for one, _, point in points if one == name)
        quantiles = (told.quantile(whole.quantile(q, BOUNDS[kind])) for q in (0.5, 0.95, 0.99))
        rows.append((fmt.shown(name), fmt.count(whole.n), *quantiles))
    return pd.DataFrame(rows, columns=["Calls of", "Calls", "p50", "p95", "p99"]).set_index("Calls of")


def _added(points: Iterable[Point]) -> Histogram:
    return sum((point.histogram for point in points), Histogram())
