"""The view of contracts that are to be renewed: by when somebody has to act, what comes by itself, the money in it."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import data, filters, frame, grid, sentences
from pages.kit import format as fmt
from sync_core.life.life_row import RenewalState
from sync_core.reads import MoneyTotal, Reads
from sync_core.reads.renewals import SHOWN, RenewalFilter, RenewalPage

WORDS: Final[Mapping[RenewalState, str]] = {
    RenewalState.MANUAL: "To be agreed",
    RenewalState.AUTOMATIC: "By itself",
    RenewalState.INITIATED: "Under way",
    RenewalState.DECLINED: "Declined",
}
_WITHIN: Final = {"90": "90 days", "30": "30 days", "180": "180 days", "365": "A year"}
_MONEY_WIDTH: Final = 136


def draw(reads: Reads) -> None:
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted = _filters(reads)
    with frame.contained("The renewals"), st.skeleton(height=400):
        frame.headline(headline(reads.renewal_totals(wanted), wanted.days))
        page = grid.read_page(lambda window: reads.renewals(wanted, window=window))
        if not page.rows:
            frame.empty("Nothing is to be renewed in this time.", "Contracts without renewal dates are not here.",
                        icon=":material/event_repeat:")  # fmt: skip
            return
        grid.pager(page, "renewal")
        _list(page, reads.today, reads.reporting_currency)


def _filters(reads: Reads) -> RenewalFilter:
    with st.grid(3, min_column_width=145, gap="small"):
        days = filters.always("days", "Due within", _WITHIN)
        entity = filters.one("entity", "Legal entity", data.choices(reads).entities, every="All entities")
        states = filters.several(
            "renewal", "What becomes of it", {state.value: WORDS[state] for state in SHOWN}, every="Whatever it is"
        )
    filters.unknown()
    return RenewalFilter(int(days), entity, tuple(RenewalState(state) for state in states))


def headline(totals: Mapping[RenewalState, MoneyTotal], days: int) -> str:
    """How many of each kind, and how much money."""
    if not totals:
        return f"**No renewal** within {days} days."
    told = ", ".join(f"{total.count:,} {WORDS[state].lower()} ({sentences.amount(total)})"
                     for state, total in totals.items())  # fmt: skip
    count = sum(total.count for total in totals.values())
    return f"**{fmt.plural(count, 'renewal')}** within {days} days: {told}."


def _list(page: RenewalPage, today: date, reporting: str) -> None:
    table = pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in page.rows],
            "becomes": [f"{WORDS[row.renewal]}{', day passed' if row.passed else ''}" for row in page.rows],
            "due": [row.due_on for row in page.rows],
            "days": [(row.due_on - today).days for row in page.rows],
            "reporting": [None if row.value_reporting is None else float(row.value_reporting.amount)
                          for row in page.rows],
            "title": [row.title for row in page.rows],
            "customer": [row.customer_name for row in page.rows],
            "entity": [row.legal_entity for row in page.rows],
            "renews": [row.renews_on for row in page.rows],
            "value": [grid.money_text(row.value) for row in page.rows],
            "alerted": ["" if row.alerted is None else f"{row.alerted} days ahead" for row in page.rows],
            "state": [[row.state.value] for row in page.rows],
        },
        index=[row.contract_id for row in page.rows],
    )  # fmt: skip
    ticked = grid.rows("renewals", table, _columns(reporting), alt="Renewals; tick a row to open its contract")
    if ticked is not None:
        frame.open_page("contract", {**filters.current(), "id": str(ticked)})
    grid.how_to_open()


def _columns(reporting: str) -> dict[str, ColumnConfig]:
    """The first ones are what a phone shows."""
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "becomes": column.TextColumn("Renewal", help="By itself: unless it is declined by its notice date; once that "
                                     "day has passed it is too late"),
        "due": column.DateColumn("Due", format="D MMM YYYY",
                                 help="The notice date, else the renewal; of a declined one the last day"),
        "days": column.NumberColumn("In days", width="small", help="Below zero: it has passed"),
        "reporting": column.NumberColumn(f"In {reporting}", format=fmt.money_column(reporting),
                                         help="At the rate of the signature; empty where there is no rate"),
        "title": column.TextColumn("Title"),
        "customer": column.TextColumn("Customer"),
        "entity": column.TextColumn("Entity", width="small"),
        "renews": column.DateColumn("Renews", format="D MMM YYYY"),
        "value": column.TextColumn("Value", width=_MONEY_WIDTH, alignment="right", help="In the contract's currency"),
        "alerted": column.TextColumn("Alerted", help="The nearest alert that was sent"),
        "state": grid.state_column(),
    }  # fmt: skip
