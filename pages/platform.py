"""How Tieline itself runs: promises, lanes, latency, backlog, failures, database, releases, scheduled jobs.

The numbers are of the whole engine, trial contracts included, and name no contract.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import streamlit as st

from metrics.burn import PERIOD
from metrics.measures import Measures
from pages.kit import acting, data, filters, frame, lanes, tabs
from pages.kit.frame import Freshness, Page
from pages.kit.marks import Mark
from pages.parts.platform import clms, engine, house, latency, promises, schedules, tiles
from pages.parts.platform import marks as platform_marks
from pages.parts.platform import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import LaneState, Reads

PAGE = Page(title="Platform", icon=":material/dns:", path="platform", order=60, needs=Permission.KPI_READ)

_SAMPLED: Final = timedelta(minutes=1)
_NUMBERS_EVERY: Final = timedelta(seconds=30)
_JOBS_EVERY: Final = timedelta(seconds=15)
_SOON: Final = timedelta(seconds=2)


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
                with grid.cell(column_span="all"):
                    clms.backlog(reads, measures, window)
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
        tiles.row(data.objectives(reads, measures), data.report(reads, measures, window))


def _lanes(reads: Reads) -> list[LaneState]:
    return data.lanes(reads) if frame.may(Permission.CONTRACTS_READ) else []
