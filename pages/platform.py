"""How Tieline itself runs: promises, lanes, latency, backlog, failures, database, releases, scheduled jobs.

The numbers are of the whole engine, trial contracts included, and name no contract.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Final

import streamlit as st

from metrics.backlog import Waiting, over_all
from metrics.burn import PERIOD
from metrics.histograms import Quantile
from metrics.measures import Measures
from metrics.technical import Report, added, together
from pages.kit import acting, data, filters, frame, lanes, tabs
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Kpi, Page
from pages.kit.marks import Mark
from pages.parts.platform import engine, house, latency, promises, schedules
from pages.parts.platform import marks as platform_marks
from pages.parts.platform import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import LaneState, Reads
from sync_core.telemetry.latencies import Kind

PAGE = Page(title="Platform", icon=":material/dns:", path="platform", order=60, needs=Permission.KPI_READ)

_SAMPLED: Final = timedelta(minutes=1)
_NUMBERS_EVERY: Final = timedelta(seconds=30)
_JOBS_EVERY: Final = timedelta(seconds=15)
_SOON: Final = timedelta(seconds=2)
_API: Final = " /v1/"


class Section(StrEnum):
    """One part of the page is drawn at a time: each fits a screen, and a phone loads few charts."""

    PROMISES = "promises"
    CALLS = "calls"
    WORK = "work"
    HOUSE = "house"
    JOBS = "jobs"


_TITLES: Final = {
    Section.PROMISES: "Promises", Section.CALLS: "ERPs and calls", Section.WORK: "Work",
    Section.HOUSE: "Releases and database", Section.JOBS: "Scheduled jobs",
}  # fmt: skip


def render(reads: Reads, commands: Commands | None) -> None:
    measures, now = frame.measures(), reads.now
    head = frame.header(
        "Platform", "The whole engine, trial contracts included; times in UTC.", Freshness(now, now, _SAMPLED)
    )
    if not frame.may(Permission.KPI_READ):
        frame.forbidden(Permission.KPI_READ)
        return
    with head:
        window = told.SPANS[filters.always("window", "Window", told.WINDOWS, quiet=True)]
    section = _section()
    filters.unknown()
    if "job" not in st.query_params:
        acting.said()
    st.fragment(lambda: _numbers(reads, measures, window), run_every=_NUMBERS_EVERY)()
    _tabs(section)
    _cards(reads, measures, window, section)
    with frame.contained("Scheduled jobs"):
        if section is Section.JOBS:
            soon = schedules.is_awaited(reads)
            st.fragment(lambda: _jobs(reads, soon), run_every=_SOON if soon else _JOBS_EVERY)()
        schedules.opened(reads, commands)


def _section() -> Section:
    """Which part of the page is drawn; it stands in the URL, and a job that is open there is a part of its own."""
    asked = st.query_params.get("section", "")
    known = {one.value for one in Section}
    if asked and asked not in known:
        filters.left_out("Section", asked)
    return Section(asked) if asked in known else Section.JOBS if st.query_params.get("job") else Section.PROMISES


def _tabs(current: Section) -> None:
    first = Section.PROMISES
    views = {
        one.value: tabs.Tab(_TITLES[one], None, {"section": "" if one is first else one.value, "job": ""})
        for one in Section
    }
    tabs.draw("Part of the page", views, current=current.value)


def _cards(reads: Reads, measures: Measures, window: timedelta, section: Section) -> None:
    palette, grid = frame.palette(), frame.card_grid()
    with grid:
        match section:
            case Section.PROMISES:
                with grid.cell(column_span=2):
                    promises.promises(reads, measures)
                promises.budget(reads, measures, palette, _marked(reads, measures, PERIOD))
            case Section.CALLS:
                with grid.cell(column_span=2):
                    house.lanes(reads, measures, window, palette)
                lanes.card(reads)
                with grid.cell(column_span="all"):
                    latency.latency(reads, measures, window, palette, _marked(reads, measures, window))
                with grid.cell(column_span="all"):
                    engine.calls(reads, measures, window)
            case Section.WORK:
                engine.backlog(reads, measures, window, palette)
                with grid.cell(column_span=2):
                    engine.waited(reads, measures, window, palette, _marked(reads, measures, window))
                with grid.cell(column_span=2):
                    engine.failures(reads, measures, window, palette)
                engine.replayed(reads, measures, window)
            case Section.HOUSE:
                with grid.cell(column_span=2):
                    house.releases(reads)
                with grid.cell():
                    house.workers(reads)
                    house.database(reads, measures, window)


def _marked(reads: Reads, measures: Measures, window: timedelta) -> list[Mark]:
    """Without them a chart is still true: their failure is their own."""
    with frame.contained("Outages and releases"):
        return platform_marks.happened(reads, measures, window)
    return []


def _jobs(reads: Reads, soon: bool) -> None:
    """Drawn alone on a timer, a quick one as long as a run was asked for; a timer is set by the whole page."""
    if schedules.card(reads) != soon:
        st.rerun()


def _numbers(reads: Reads, measures: Measures, window: timedelta) -> None:
    """Headline and tiles, drawn alone on a timer."""
    with frame.contained("The numbers"), measures.at_once() as together:
        data.objectives(reads, together)
        data.report(reads, together, window)
    with frame.contained("The headline"):
        promised, jobs, past = data.objectives(reads, measures), data.schedules(reads), frame.notice() is not None
        frame.headline(told.headline(promised, _lanes(reads), jobs, past=past))
    with frame.contained("The numbers"):
        frame.kpi_row(_tiles(reads, measures, data.report(reads, measures, window)))


def _lanes(reads: Reads) -> list[LaneState]:
    return data.lanes(reads) if frame.may(Permission.CONTRACTS_READ) else []


def _tiles(reads: Reads, measures: Measures, found: Report) -> list[Kpi]:
    standing = data.objectives(reads, measures)
    kept = sum(not one.broken for one in standing)
    budgets = [one for one in standing if one.budget_left is not None and one.objective < 1]
    least = min(budgets, key=lambda one: one.budget_left or 0.0, default=None)
    whole, attempts = over_all(found.backlog), together(found.attempts)
    api = _slow(found, Kind.WEB, lambda operation: _API in operation)
    erp = _slow(found, Kind.ERP, lambda operation: True)
    ready = whole.contracts[Waiting.READY]
    drained = "no end in sight" if whole.drain_s is None else f"{told.age(whole.drain_s)} to drain"
    return [
        Kpi("Promises kept", f"{kept} of {len(standing)}" if standing else fmt.DASH,
            "Service-level objectives that are not broken. Source: the job Promises, each minute.",
            comparison="over 30 days"),
        Kpi("Least budget left", told.left(least) if least else fmt.DASH,
            "The error budget of 30 days that is nearest to its end.",
            comparison=fmt.plain(least.name.replace("-", " ")) if least else "no events yet"),
        Kpi("API, p99", _value(api[0]), f"Time of requests under /v1 in the window. Error: {_error(api[0])}.",
            comparison=fmt.plural(api[1], "request")),
        Kpi("ERP calls, p95", _value(erp[0]), f"Time of calls to all ERPs in the window. Error: {_error(erp[0])}.",
            comparison=fmt.plural(erp[1], "call")),
        Kpi("Oldest ready", told.age(whole.oldest_age_s.get(Waiting.READY, 0.0)) if ready else "none",
            "How long the oldest contract that is due has waited for a worker or for its ERP.",
            comparison=f"{ready:,} ready, {drained}"),
        Kpi("Failed attempts", fmt.DASH if attempts.failure_rate is None else fmt.percent(attempts.failure_rate),
            "Attempts that ended transient, ambiguous or permanent, of all in the window. Blocked is no failure.",
            comparison=_amplified(attempts.amplification, attempts.attempts)),
    ]  # fmt: skip


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
