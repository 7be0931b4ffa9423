"""The first page: the money that waits and why, what the next bill runs miss, how fast contracts become billable.

The KPIs are from one snapshot, so the numbers agree with each other. The page redraws itself as one: a chart whose
figure has not changed is left alone by the browser.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import streamlit as st

from metrics.asking import By, Window
from metrics.freshness import MEASURED_EVERY
from metrics.kpi import Value
from metrics.measures import Measures
from pages.kit import asking, bill_runs, data, frame, kpi, sentences, trends, welcome
from pages.kit import format as fmt
from pages.kit import table as tables
from pages.kit.asking import Asked
from pages.kit.bill_runs import Run
from pages.kit.frame import Freshness, Page
from pages.kit.live import live
from pages.kit.together import Together
from pages.parts.executive import cards
from pages.parts.executive import words as told
from sync_core.authority import Permission
from sync_core.reads import Reads

PAGE = Page(
    title="Executive",
    icon=":material/monitoring:",
    path="executive",
    order=10,
    default=True,
    needs=Permission.KPI_READ,
)

REFRESH: Final = timedelta(seconds=30)
_GROWING: Final = timedelta(seconds=4)
_TITLE: Final = "Contract to cash"
_NOW: Final = {
    "stuck-money": By.LABEL, "cycle-time": By.WEEK, "auto-provisioned": By.WEEK, "amendment-lag": By.WEEK,
    "dispute-rate": None, "reconciliation": None, "roi": None,
}  # fmt: skip
_BEFORE: Final = ("cycle-time", "auto-provisioned", "amendment-lag", "dispute-rate")
_STOCK: Final = ("stuck-money",)  # as it stands: compared with how it stood, not with another period
_MONTHS: Final = {"forecast-accuracy": By.WEEK, "dispute-rate": By.WEEK}
_MONTHS_WEEKS: Final = 26  # months need more than the usual thirteen weeks to be a trend
_TITLES: Final = {
    "cycle-time": "Signed to billable, p50", "auto-provisioned": "Auto-provisioned",
    "amendment-lag": "Amendment lag, p90", "dispute-rate": "Disputed invoices",
}  # fmt: skip
_CAUSES_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class _Read:
    """The KPIs of the page, read before anything is drawn, so that no snapshot stays open while it is."""

    now: Together
    before: Mapping[str, Value]
    stood: Mapping[str, Value]  # a week ago
    monthly: Together


def render(reads: Reads, commands: object) -> None:
    live(lambda: _page(reads, frame.measures()), every=REFRESH, at_first=_GROWING)


def _page(reads: Reads, measures: Measures) -> bool:
    """Whether more is to come within seconds."""
    head = st.container()
    with frame.contained("The page"):
        if welcome.is_new(reads) and not frame.notice():
            with head:
                frame.header(_TITLE, "", Freshness(reads.now, reads.now, MEASURED_EVERY))
            welcome.first_event()
            return True
        with measures.at_once() as together:
            asked = asking.bar(reads, together, quiet=True)
            read = _read(reads, together, asked)
        with head:
            frame.header(_TITLE, _scope(reads, asked), _freshness(reads, read.now))
        _numbers(reads, measures, asked, read)
        _cards(reads, measures, asked, read)
        return frame.notice() is not None
    with head:
        frame.header(_TITLE, "The numbers could not be read.", Freshness(reads.now, reads.now, MEASURED_EVERY))
    return False


def _read(reads: Reads, measures: Measures, asked: Asked) -> _Read:
    a_week_ago = reads.now.replace(minute=0, second=0, microsecond=0) - timedelta(days=7)
    half_year = Window.weeks(reads.now, measures.estate.group.timezone, _MONTHS_WEEKS)
    monthly = replace(asked.ask, window=half_year)
    # First what may still be kept from a minute ago; what is read each time comes with it, if it is not.
    measures.expect(_NOW, asked.ask)
    measures.expect(_MONTHS, monthly)
    before = data.headlines_before(reads, measures, _BEFORE, asked.before)
    return _Read(
        data.kpis(reads, measures, _NOW, asked.ask),
        before,
        data.headlines_before(reads, measures, _STOCK, replace(asked.ask, as_of=a_week_ago)),
        data.kpis(reads, measures, _MONTHS, monthly),
    )


def _scope(reads: Reads, asked: Asked) -> str:
    within = asked.ask.filters.legal_entity or frame.actor().entities(Permission.KPI_READ)
    whose = "All entities" if within is None else _named(within)
    return f"{fmt.plain(whose)}, {asked.words}, money in {reads.reporting_currency}."


def _named(within: frozenset[str]) -> str:
    return f"Legal {'entity' if len(within) == 1 else 'entities'} {', '.join(sorted(within))}"


def _freshness(reads: Reads, results: Together) -> Freshness:
    known = [result.data_as_of for result in results.whole.values() if result.data_as_of is not None]
    return Freshness(max(known, default=reads.now), reads.now, MEASURED_EVERY)


def _numbers(reads: Reads, measures: Measures, asked: Asked, read: _Read) -> None:
    currency, runs, results = reads.reporting_currency, _runs(measures, asked, reads), read.now
    with frame.contained("The headline"):
        causes = data.causes(reads, asked.exceptions) if frame.may(Permission.EXCEPTIONS_READ) else ()
        frame.headline(told.headline(results["stuck-money"].answer, causes, runs, currency))
    with st.grid(6, min_column_width=170, gap="small", key="kpis"):
        with kpi.tile("stuck-money"), frame.contained("Money stuck"):
            kpi.draw(results["stuck-money"], read.stood.get("stuck-money"), asked, currency, "Money stuck",
                     comparison="vs a week ago")  # fmt: skip
        with kpi.tile("misses"), frame.contained("The next bill run"):
            _misses(results, runs, asked, currency)
        for slug, title in _TITLES.items():
            with kpi.tile(slug), frame.contained(title):
                kpi.draw(results[slug], read.before.get(slug), asked, currency, title)


def _runs(measures: Measures, asked: Asked, reads: Reads) -> list[Run]:
    reach, chosen = reads.reach(Permission.KPI_READ), asked.ask.filters.legal_entity
    seen = (entity for entity in measures.estate.entity if reach is None or entity.code in reach)
    return bill_runs.coming((entity for entity in seen if chosen is None or entity.code in chosen), reads.now)


def _misses(results: Together, runs: list[Run], asked: Asked, currency: str) -> None:
    answer = results["stuck-money"].answer
    misses = next((one.value for one in answer.figures if one.key == "misses_bill_run"), None)
    st.metric(
        "Misses the next bill run", told.money(misses if answer.n else 0, currency) if runs else fmt.DASH,
        f"in {fmt.duration(runs[0].left)}" if runs else None, "off", delta_arrow="off", height="stretch",
        delta_description=f"{runs[0].entity.code}, {runs[0].day}" if runs else None,
    )  # fmt: skip
    with st.popover("Bill runs", type="tertiary", key="how_runs"):
        st.markdown(
            "What should be billed by the next run of its legal entity and cannot be, or not right. A run "
            "begins with the legal entity's working day; what is not in its ERP by then misses it."
        )
        if runs:
            listed = [(run.entity.name, run.day, fmt.duration(run.left)) for run in runs]
            tables.table("runs", ("Legal entity", "Next run", "In"), listed)
        frame.link("measure", "Rows and formula", icon=":material/table_rows:", kpi="stuck-money", **asked.query)


def _cards(reads: Reads, measures: Measures, asked: Asked, read: _Read) -> None:
    currency, palette, results = reads.reporting_currency, frame.palette(), read.now
    asked_else = {key: value for key, value in asked.query.items() if key not in ("from", "to")}
    in_months = {**asked_else, "weeks": str(_MONTHS_WEEKS)}
    grid = frame.card_grid()
    with grid:
        cards.stuck(results, currency, palette, asked.query)
        cards.books(results, currency, palette, asked.query)
        _decisions(reads, asked)
        with grid.cell(column_span=2):
            trends.cycle(reads, measures, asked, results, palette)
        cards.forecast(read.monthly, currency, palette, in_months)
        with grid.cell(column_span=2):
            cards.savings(results, currency, asked.query)
        cards.disputes(read.monthly, palette, in_months)


def _decisions(reads: Reads, asked: Asked) -> None:
    currency = reads.reporting_currency
    with frame.card(
        "attention", "Decisions needed", f"Causes holding the most {currency}; each opens its exceptions",
        definition="What the exceptions of a cause keep from being billed. A contract with two causes counts under "
        "both, so these do not add up to the money that is stuck.",
    ):  # fmt: skip
        causes, quarantined = data.causes(reads, asked.exceptions), data.quarantined(reads)
        if not causes and not quarantined:
            frame.empty("Nothing needs a person.", "New exceptions appear here with their money.")
            return
        # Places that stay: while a run goes on, the browser keeps what the one before left where nothing came yet, and
        # with fewer causes the line of the quarantine would stand there twice.
        places = [st.container(gap=None, key=f"decision_{place}") for place in range(_CAUSES_SHOWN + 2)]
        for place, group in zip(places, causes[:_CAUSES_SHOWN], strict=False):
            with place:
                frame.link("exceptions", sentences.cause(group), **group.query, **asked.contracts)
                st.caption(sentences.cause_details(group, reads.now))
        if len(causes) > _CAUSES_SHOWN:
            more = fmt.plural(len(causes) - _CAUSES_SHOWN, "further cause")
            with places[-2]:
                frame.link("exceptions", more, icon=":material/more_horiz:", **asked.contracts)
        if not quarantined:
            return
        with places[-1]:
            frame.link("exceptions", f"**{fmt.plural(quarantined, 'delivery', 'deliveries')}** in quarantine",
                       icon=":material/inventory_2:", view="quarantine")  # fmt: skip
            if asked.contracts:
                st.caption("Not narrowed by the filters: what nobody could read is of no legal entity yet.")
