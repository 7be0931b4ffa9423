"""All contracts: found, filtered, sorted and paged on the server. Every view is a link."""

from datetime import datetime
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import data, filters, frame, grid, tabs
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.kit.tabs import Tab
from pages.kit.words import STATES, labels, words
from pages.parts.contract import renewals
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.journal.progress import State
from sync_core.reads import ContractFilter, ContractPage, ContractRow, Reads, Sort

PAGE = Page(
    title="Contracts",
    icon=":material/description:",
    path="contracts",
    order=20,
    needs=Permission.CONTRACTS_READ,
)

_SORTS: Final = {
    Sort.VALUE.value: "Most value",
    Sort.UPDATED.value: "Latest change",
    Sort.SIGNED.value: "Newest signature",
    Sort.AGE.value: "Oldest signature",
}
_WIDE: Final = 136  # pixels: eight digits, three decimals and a code; the grid's own guess is from the first rows
_NUMBER: Final = 106
_MOMENT: Final = "D MMM YYYY HH:mm"
_STANDING: Final = (State.WAITING, State.BLOCKED, State.SET_ASIDE)
_VIEWS: Final = {
    "": Tab("All contracts", None, {"view": ""}),
    "renewals": Tab("Renewals", None, {"view": "renewals"}),
}
_FILTERS: Final = ("q", "state", "entity", "service", "billing", "function")


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("id")
    frame.header("Contracts", f"Values in the contract's own currency and in {reads.reporting_currency}.",
                 Freshness(now, now, data.KEPT))  # fmt: skip
    view = "renewals" if st.query_params.get("view") == "renewals" else ""
    tabs.draw("Which contracts", _VIEWS, current=view)
    if view:
        renewals.draw(reads)
        return
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted, sort = _filters(reads)
    with frame.contained("The list of contracts"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.contracts(wanted, sort=sort, window=window))
        if page.rows:
            grid.pager(page, "contract")
            if commands is not None:
                grid.download("contracts", partial(commands.exports.contracts, frame.actor(), wanted, sort))
            _list(page, now, reads.reporting_currency)
        else:
            _nothing(wanted)


def _filters(reads: Reads) -> tuple[ContractFilter, Sort]:
    choices = data.choices(reads)
    with st.grid(4, min_column_width=145, gap="small"):
        text = filters.text("q", "Search", placeholder="Id, title, customer or project")
        states = filters.several("state", "State", STATES, every="All states")
        entity = filters.one("entity", "Legal entity", choices.entities, every="All entities")
        line = filters.one("service", "Service line", labels(choices.service_lines), every="All service lines")
        billing = filters.one("billing", "Billing", labels(choices.billing), every="Any billing")
        function = filters.one("function", "Waits for", labels(choices.functions), every="Anybody or nobody")
        sort = filters.always("sort", "Sort by", _SORTS)
    filters.unknown()
    wanted = ContractFilter(
        text=text, states=tuple(State(state) for state in states), legal_entity=entity, service_line=line,
        billing=billing, function=function,
    )  # fmt: skip
    return wanted, Sort(sort)


def _list(page: ContractPage, now: datetime, reporting: str) -> None:
    table = pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in page.rows],
            "title": [row.title for row in page.rows],
            "customer": [row.customer_name for row in page.rows],
            "entity": [row.legal_entity for row in page.rows],
            "service": [words(row.service_line) for row in page.rows],
            "billing": [words(row.billing) for row in page.rows],
            "state": [[row.state.value] for row in page.rows],
            "value": [grid.money_text(row.value) for row in page.rows],
            "reporting": [None if row.value_reporting is None else float(row.value_reporting.amount)
                          for row in page.rows],
            "signed": [row.signed_at for row in page.rows],
            "age": ["" if row.age is None else fmt.duration(row.age) for row in page.rows],
            "stands": [_stands(row, now) for row in page.rows],
            "bill_on": [row.bill_on for row in page.rows],
            "project": [row.project_ref or "" for row in page.rows],
            "changed": [row.updated_at for row in page.rows],
            "waits_for": [", ".join(words(name) for name in row.functions) for row in page.rows],
            "reason": [row.suspension or row.last_error or "" for row in page.rows],
        },
        index=[row.contract_id for row in page.rows],
    )  # fmt: skip
    ticked = grid.rows("contracts", table, _columns(reporting), alt="Contracts; tick a row to open its contract")
    if ticked is not None:
        # With the list's filters: Streamlit puts the new parameters into the list's own URL before it leaves, and the
        # browser's way back passes through that.
        frame.open_page("contract", {**filters.current(), "id": str(ticked)})
    grid.how_to_open()


def _stands(row: ContractRow, now: datetime) -> str:
    return fmt.age(now - row.state_since) if row.state in _STANDING else ""


def _columns(reporting: str) -> dict[str, ColumnConfig]:
    """The first ones are what a phone shows."""
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "state": grid.state_column(),
        "reporting": column.NumberColumn(f"In {reporting}", format=fmt.money_column(reporting), width=_NUMBER,
                                         help="At the rate of the signature; empty where there is no rate"),
        "title": column.TextColumn("Title"),
        "customer": column.TextColumn("Customer"),
        "entity": column.TextColumn("Entity", width="small"),
        "value": column.TextColumn("Value", width=_WIDE, alignment="right", help="In the contract's currency"),
        "signed": column.DatetimeColumn("Signed, UTC", format=_MOMENT, timezone="UTC"),
        "age": column.TextColumn("To billable", alignment="right",
                                 help="Cycle time: from the last signature to billable; until now if it is not"),
        "stands": column.TextColumn("Stands for", alignment="right",
                                    help="How long it has been waiting, blocked or set aside"),
        "bill_on": column.DateColumn("Next bill", format="D MMM YYYY", help="The last one when all have passed"),
        "project": column.TextColumn("ERP project", width=_NUMBER),
        "waits_for": column.TextColumn("Waits for", help="Functions with an open exception"),
        "reason": column.TextColumn("Reason", help="Why it is suspended, or not where it should be"),
        "service": column.TextColumn("Service line"),
        "billing": column.TextColumn("Billing"),
        "changed": column.DatetimeColumn("Changed, UTC", format=_MOMENT, timezone="UTC"),
    }  # fmt: skip


def _nothing(wanted: ContractFilter) -> None:
    if wanted == ContractFilter():
        frame.empty("No contract has arrived yet.", "The first page says how to send a first event.",
                    icon=":material/inbox:")  # fmt: skip
        return
    frame.empty(
        "No contract meets these filters.", "Clear a filter, or look for less.", icon=":material/filter_alt_off:"
    )
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))
