"""What waits for people: exceptions by cause, by function and age, and one by one with the contract each holds up."""

from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages import _charts as charts
from pages import _data as data
from pages import _filters as filters
from pages import _format as fmt
from pages import _frame as frame
from pages import _grid as grid
from pages import _sentences as sentences
from pages._frame import Freshness, Page
from pages._words import FUNCTIONS, SEVERITIES, days, words
from sync_core.reads import CauseGroup, ExceptionFilter, ExceptionPage, ExceptionRow, ExceptionSort, Reads

PAGE = Page(title="Exceptions", icon=":material/back_hand:", path="exceptions", order=30)

_SORTS: Final = {
    ExceptionSort.MONEY.value: "Most exposure",
    ExceptionSort.DUE.value: "Due first",
    ExceptionSort.AGE.value: "Oldest first",
}
_FILTERS: Final = ("cause", "function", "severity", "entity")


def render(reads: Reads, commands: object) -> None:
    now = reads.now
    frame.header("Exceptions", f"Open exceptions, exposure in {reads.reporting_currency}; read only for now.",
                 Freshness(now, now, data.KEPT))  # fmt: skip
    with frame.contained("The headline"):
        frame.headline(sentences.exceptions_headline(data.causes(reads)))
    cards = frame.card_grid()
    with cards:
        with cards.cell(column_span=2):
            _causes(reads, now)
        _ageing(reads)
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted, sort = _filters(reads)
    with frame.contained("The list of exceptions"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.exceptions(wanted, sort=sort, window=window))
        if page.rows:
            grid.pager(page, "exception")
            _list(page, now, reads.reporting_currency)
        else:
            _nothing(wanted)


def _causes(reads: Reads, now: datetime) -> None:
    with frame.card(
        "causes", "By cause", f"Exposure in {reads.reporting_currency}; a cause's name filters the list below",
        definition="Same causes are grouped: whoever removes one can free all its contracts.",
    ):  # fmt: skip
        groups = data.causes(reads)
        if not groups:
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        for group in groups[:8]:
            _cause(group, now)
        if len(groups) > 8:
            st.caption(f"And {fmt.plural(len(groups) - 8, 'further cause')} with less exposure; see the filter below.")


def _cause(group: CauseGroup, now: datetime) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            frame.plain_dollars(sentences.cause(group)), icon=":material/filter_alt:", type="tertiary",
            key=f"{group.cause}_{group.function}_{group.error_class}", on_click=filters.put, args=(group.query,),
        )  # fmt: skip
        st.caption(sentences.cause_details(group, now), width="content")


def _ageing(reads: Reads) -> None:
    with frame.card("ageing", "By function and age", "Open exceptions; days since each was opened") as card:
        counted = data.ageing(reads)
        if not counted.to_numpy().any():
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        table = counted.rename(index=words, columns=days)
        card.chart(
            charts.heatmap(table, palette=frame.palette()), alt="Open exceptions by function and age", data=table
        )


def _filters(reads: Reads) -> tuple[ExceptionFilter, ExceptionSort]:
    causes = {group.cause: words(group.cause) for group in data.causes(reads)}
    with st.grid(5, min_column_width=145, gap="small"):
        cause = filters.one("cause", "Cause", causes, every="All causes")
        function = filters.one("function", "Function", FUNCTIONS, every="All functions")
        severity = filters.one("severity", "Severity", SEVERITIES, every="Any severity")
        entity = filters.one("entity", "Legal entity", data.choices(reads).entities, every="All entities")
        sort = filters.always("sort", "Sort by", _SORTS)
    return ExceptionFilter(function, cause, severity=severity, legal_entity=entity), ExceptionSort(sort)


def _list(page: ExceptionPage, now: datetime, reporting: str) -> None:
    table = pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in page.rows],
            "customer": [row.customer_name for row in page.rows],
            "entity": [row.legal_entity for row in page.rows],
            "cause": [words(row.cause) for row in page.rows],
            "function": [words(row.function) for row in page.rows],
            "severity": [words(row.severity) for row in page.rows],
            "exposure": [grid.money_text(row.exposure) for row in page.rows],
            "reporting": [
                None if row.exposure_reporting is None else float(row.exposure_reporting.amount) for row in page.rows
            ],
            "bill_on": [row.bill_on for row in page.rows],
            "due": [_due(row, now) for row in page.rows],
            "age": [fmt.age(now - row.opened_at) for row in page.rows],
            "message": [row.message for row in page.rows],
        },
        index=[row.case_id for row in page.rows],
    )
    ids = {row.case_id: row.contract_id for row in page.rows}
    grid.rows(
        "exceptions", table, _columns(reporting), contracts=ids, alt="Exceptions; tick a row to open its contract"
    )
    grid.how_to_open()


def _columns(reporting: str) -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "customer": column.TextColumn("Customer"),
        "entity": column.TextColumn("Entity", width="small"),
        "cause": column.TextColumn("Cause", width="medium"),
        "function": column.TextColumn("Function"),
        "severity": column.TextColumn("Severity", width="small"),
        "exposure": column.TextColumn("Exposure", width=136, alignment="right", help="What it keeps from being billed"),
        "reporting": column.NumberColumn(
            f"In {reporting}", format=fmt.money_column(reporting), help="Empty where there is no exchange rate"
        ),
        "bill_on": column.DateColumn("Bill date", format="D MMM YYYY"),
        "due": column.TextColumn("Due", help="By the working calendar of the legal entity"),
        "age": column.TextColumn("Age", alignment="right"),
        "message": column.TextColumn("What to do", width="large"),
    }


def _due(row: ExceptionRow, now: datetime) -> str:
    if row.due_at is None:
        return ""
    left = row.due_at - now
    return f"in {fmt.age(left)}" if left >= timedelta(0) else f"{fmt.age(-left)} overdue"


def _nothing(wanted: ExceptionFilter) -> None:
    if wanted == ExceptionFilter():
        frame.empty("No open exceptions.", "Nothing waits for a person.")
        return
    frame.empty("No open exception meets these filters.", "Clear a filter.", icon=":material/filter_alt_off:")
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))
