"""Where the time goes: by step and by function, from the signature to the first payment, and for amendments."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import streamlit as st

from metrics.asking import By
from metrics.freshness import MEASURED_EVERY
from metrics.kpi import Result, Value
from metrics.measures import Measures
from metrics.spread import Bin
from pages.kit import asking, data, frame, kpi, trends
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit import table as tables
from pages.kit.asking import Asked
from pages.kit.frame import Freshness, Page
from pages.kit.live import live
from pages.kit.together import Together
from pages.kit.words import inside
from pages.parts.flow import cards
from sync_core.authority import Permission
from sync_core.reads import Reads

PAGE = Page(title="Flow", icon=":material/timeline:", path="flow", order=20, needs=Permission.KPI_READ)

REFRESH: Final = timedelta(seconds=60)
_NOW: Final = {
    "cycle-time": By.WEEK, "auto-provisioned": By.WEEK, "amendment-lag": By.WEEK, "contract-to-cash": None,
    "exception-resolution": By.LABEL, "step-time": None,
}  # fmt: skip
_TITLES: Final = {
    "cycle-time": "Signed to billable, p50", "auto-provisioned": "Auto-provisioned",
    "amendment-lag": "Amendment lag, p90", "exception-resolution": "Exception resolved, p50",
    "contract-to-cash": "Signed to paid, p50",
}  # fmt: skip
_BEFORE: Final = tuple(_TITLES)


def render(reads: Reads, commands: object) -> None:
    live(lambda: _page(reads, frame.measures()), every=REFRESH)


def _page(reads: Reads, measures: Measures) -> None:
    head = st.container()
    with frame.contained("The page"):
        with measures.at_once() as together:
            asked = asking.bar(reads, together, quiet=True)
            together.expect(_NOW, asked.ask)  # it comes with the comparison, unless that is kept from a minute ago
            before = data.headlines_before(reads, together, _BEFORE, asked.before)
            results = data.kpis(reads, together, _NOW, asked.ask)
            bins = data.spread(reads, together, asked.ask)
        with head:
            frame.header("Flow", f"{asked.words[0].upper()}{asked.words[1:]}.", _freshness(reads, results))
        with frame.contained("The headline"):
            frame.headline(_headline(results))
        _tiles(reads, asked, results, before)
        _cards(reads, measures, asked, results, bins)
        return
    with head:
        frame.header("Flow", "The numbers could not be read.", Freshness(reads.now, reads.now, MEASURED_EVERY))


def _freshness(reads: Reads, results: Together) -> Freshness:
    known = [result.data_as_of for result in results.whole.values() if result.data_as_of is not None]
    return Freshness(max(known, default=reads.now), reads.now, MEASURED_EVERY)


def _headline(results: Together) -> str:
    """How fast half of the contracts are, and the step that most of the time goes into."""
    cycle, steps = results["cycle-time"], results["step-time"].answer
    if not cycle.answer.n:
        return "**Nothing was signed in these weeks.** Choose a longer period or clear a filter."
    said = f"**{fmt.plural(cycle.answer.n, 'contract')} signed, {cycle.answer.n_open:,} still on the way.**"
    if cycle.answer.value is not None:
        said = f"**Half of the contracts are billable within {_value(cycle)} of working time.**"
    if steps.value is None:
        return said
    slowest = inside(steps.figure("slowest").label)
    return f"{said} {fmt.percent(float(steps.value))} of all working time goes into **{fmt.plain(slowest)}**."


def _value(result: Result) -> str:
    return words.headline(result.answer, result.definition, "")


def _tiles(reads: Reads, asked: Asked, results: Together, before: Mapping[str, Value]) -> None:
    with st.grid(6, min_column_width=170, gap="small", key="kpis"):
        for slug, title in _TITLES.items():
            with kpi.tile(slug), frame.contained(title):
                kpi.draw(results[slug], before.get(slug), asked, reads.reporting_currency, title)
        with kpi.tile("intake"), frame.contained("Events today"):
            _intake(reads)


def _intake(reads: Reads) -> None:
    intake = data.intake(reads)
    by_day = intake["events"]
    st.metric(
        "Events today", fmt.count(int(by_day.iloc[-1])), fmt.count(int(by_day.iloc[-8:-1].sum())), "off",
        delta_arrow="off", delta_description="in the seven days before", height="stretch",
        chart_data=[int(events) for events in by_day], chart_type="bar",
    )  # fmt: skip
    with st.popover("How measured", type="tertiary", key="how_intake"):
        st.markdown("Events of CLMs that were stored, by day in the group's zone; four weeks. Today is not over yet.")
        days = zip(intake["day"].tail(8), by_day.tail(8), strict=True)
        tables.table("intake", ["Day", "Events"], [[fmt.day(day), fmt.count(events)] for day, events in days][::-1])
        frame.link("contracts", "Contracts, what changed last first", icon=":material/table_rows:", sort="updated")


def _cards(reads: Reads, measures: Measures, asked: Asked, results: Together, bins: Sequence[Bin]) -> None:
    palette, query = frame.palette(), asked.query
    with frame.card_grid() as grid:
        cards.steps(results, palette, query)
        cards.functions(results, palette, query)
        cards.distribution(bins, results, palette, query)
        cards.funnel(results, palette, query)
        cards.automatic(results, asked, palette, trends.happened(reads, measures, asked))
        trends.amendments(reads, measures, asked, results, palette)
        with grid.cell(column_span=2):
            cards.to_cash(results, query)
        cards.passed_on(results, query)
