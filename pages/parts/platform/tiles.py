"""The row of numbers above the platform page; each opens how it is measured, and what it is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from metrics.backlog import Waiting, over_all
from metrics.histograms import Quantile
from metrics.slo import Standing
from metrics.technical import Report, added, together
from pages.kit import format as fmt
from pages.kit import frame, kpi
from pages.parts.platform import words as told
from sync_core.telemetry.latencies import Kind

_API: Final = " /v1/"


@dataclass(frozen=True, slots=True)
class _Tile:
    key: str
    label: str
    value: str
    measured: str  # what it is, its formula and its source
    comparison: str
    opens: str  # what the rows behind it are
    query: dict[str, str]  # of the part of the page that has them


def row(standing: Sequence[Standing], found: Report) -> None:
    """`found` is of the window that is chosen, and the links keep it."""
    chosen = {"window": st.query_params["window"]} if "window" in st.query_params else {}
    tiles = (*_promised(standing), *_called(found), *_worked(found))
    with st.grid(6, min_column_width=165, gap="small", key="kpis"):
        for tile in tiles:
            with kpi.tile(f"platform_{tile.key}"):
                st.metric(tile.label, tile.value, delta_description=tile.comparison, height="stretch")
                with st.popover("How measured", type="tertiary", key=f"how_{tile.key}"):
                    st.markdown(frame.plain_dollars(tile.measured))
                    frame.link("platform", tile.opens, icon=":material/table_rows:", **tile.query, **chosen)


def _promised(standing: Sequence[Standing]) -> tuple[_Tile, _Tile]:
    kept = sum(not one.broken for one in standing)
    budgets = [one for one in standing if one.budget_left is not None and one.objective < 1]
    least = min(budgets, key=lambda one: one.budget_left or 0.0, default=None)
    chosen = {"promise": least.name} if least else {}
    return (
        _Tile("promises", "Promises kept", f"{kept} of {len(standing)}" if standing else fmt.DASH,
              "Service-level objectives that are not broken, over 30 days. Source: the job Promises, each minute.",
              "over 30 days", "All promises", {}),
        _Tile("budget", "Least budget left", told.left(least) if least else fmt.DASH,
              "1 - bad events of 30 days / those that the target allows, of the promise that is nearest to its end. "
              "Source: the job Promises, each minute.",
              fmt.plain(least.name.replace("-", " ")) if least else "no events yet", "Its budget by day",
              chosen),
    )  # fmt: skip


def _called(found: Report) -> tuple[_Tile, _Tile]:
    api = _slow(found, Kind.WEB, lambda operation: _API in operation)
    erp = _slow(found, Kind.ERP, lambda operation: True)
    return (
        _Tile("api", "API, p99", _value(api[0]),
              "99 of 100 requests under /v1 took no longer, in the window. Read from counts by bucket; error: "
              f"{_error(api[0])}. Source: telemetry.call.",
              fmt.plural(api[1], "request"), "All calls, by operation", {"section": "calls"}),
        _Tile("erp", "ERP calls, p95", _value(erp[0]),
              "95 of 100 calls to all ERPs took no longer, in the window. Read from counts by bucket; error: "
              f"{_error(erp[0])}. Source: telemetry.call.",
              fmt.plural(erp[1], "call"), "All calls, by operation", {"section": "calls"}),
    )  # fmt: skip


def _worked(found: Report) -> tuple[_Tile, _Tile]:
    whole, attempts = over_all(found.backlog), together(found.attempts)
    ready = whole.contracts[Waiting.READY]
    drained = "no end in sight" if whole.drain_s is None else f"{told.age(whole.drain_s)} to drain"
    return (
        _Tile("ready", "Oldest ready", told.age(whole.oldest_age_s.get(Waiting.READY, 0.0)) if ready else "none",
              "Now - due, of the contract that has been due longest and that no worker has. To drain: how long what is "
              "ready takes at the rate of the last 15 minutes.",
              f"{ready:,} ready, {drained}", "The queue, by state and lane", {"section": "work"}),
        _Tile("failed", "Failed attempts",
              fmt.DASH if attempts.failure_rate is None else fmt.percent(attempts.failure_rate),
              "Attempts that ended transient, ambiguous or permanent / all attempts, in the window. Blocked is no "
              "failure. Beside it: attempts for each message.",
              _amplified(attempts.amplification, attempts.attempts), "Failures, by lane and kind", {"section": "work"}),
    )  # fmt: skip


def _slow(found: Report, kind: Kind, counts: Callable[[str], bool]) -> tuple[Quantile, int]:
    whole = added(kind, "", [one for one in found.calls if one.kind is kind and counts(one.operation)])
    return whole.quantile(0.95 if kind is Kind.ERP else 0.99), whole.n


def _value(one: Quantile) -> str:
    return told.quantile(one).partition(" ±")[0]


def _error(one: Quantile) -> str:
    return fmt.DASH if one.error_s is None else f"the bucket's width, {told.seconds(one.error_s)}"


def _amplified(factor: float | None, attempts: int) -> str:
    of = f"of {attempts:,}"
    return of if factor is None else f"{of}, {factor:.2f} a message"
