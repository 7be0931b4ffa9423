"""The replay console: what is stuck on its way to an ERP, what replaying it would change, and doing so under watch.

`/replay?replay=ID` is one replay; `/replay?view=history` lists all of them.
"""

from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, data, filters, frame, grid, sentences, tabs
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.kit.picking import Picks
from pages.kit.tabs import Tab
from pages.kit.words import FUNCTIONS, STATES, words
from pages.parts.replay import history, start
from pages.parts.replay import replay as one_replay
from sync_core.authority import Permission
from sync_core.cases.ownership import CAUSES
from sync_core.commands.commands import Commands
from sync_core.journal.progress import State
from sync_core.reads import Reads
from sync_core.reads.amounts import summed
from sync_core.reads.stuck import StuckPage, StuckRow, StuckSort
from sync_core.replay.selection import Selection, StuckFilter

PAGE = Page(title="Replay", icon=":material/replay:", path="replay", order=35, needs=Permission.REPLAY_READ)

_SORTS: Final = {
    StuckSort.MONEY.value: "Most money waiting",
    StuckSort.BILL_RUN.value: "Next bill run first",
    StuckSort.AGE.value: "Longest stuck",
}
_LEAST: Final = {"10000": "10K or more", "100000": "100K or more", "1000000": "1M or more"}
_FILTERS: Final = ("entity", "lane", "cause", "function", "state", "least", "customer")
_LONGEST: Final = 80


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("case", "id")
    if asked := st.query_params.get("replay", ""):
        one_replay.draw(reads, commands, asked, now)
        return
    scope = f"Contracts that stopped between CLM and ERP; money in {reads.reporting_currency}."
    head = frame.header("Replay", scope, Freshness(now, now, data.KEPT))
    acting.said()
    history.under_way(reads)
    view = st.query_params.get("view", "")
    tabs.draw("What to see", {
        "": Tab("Stuck contracts", None, {"view": ""}), "history": Tab("All replays", None, {"view": "history"}),
    }, current=view if view == "history" else "")  # fmt: skip
    if view == "history":
        history.draw(reads)
        return
    if commands is not None and frame.may(Permission.REPLAY_PREVIEW):
        with head:
            start.missed(reads, commands)
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted, sort = _filters(reads)
    with frame.contained("The list of stuck contracts"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.stuck(wanted, sort=sort, window=window))
        if not page.rows:
            _nothing(wanted)
            return
        picks: Picks[StuckRow] = Picks("stuck", wanted)
        st.fragment(partial(_worked, page, picks, wanted, commands, reads.reporting_currency))()
        grid.pager(page, "contract")
        st.caption("Tick rows, with the keyboard by Shift and Space; the selection is kept over the pages. Nothing is "
                   "sent to an ERP before its preview was confirmed.")  # fmt: skip


def _filters(reads: Reads) -> tuple[StuckFilter, StuckSort]:
    choices = data.choices(reads)
    causes = {group.cause: words(group.cause) for group in data.causes(reads)}
    asked = st.query_params.get("cause", "")
    causes |= {asked: words(asked)} if asked in CAUSES else {}
    with st.grid(8, min_column_width=135, gap="small"):
        entity = filters.one("entity", "Legal entity", choices.entities, every="All entities")
        lane = filters.one("lane", "ERP", {name: name for name in choices.lanes}, every="All ERPs")
        cause = filters.one("cause", "Cause", causes, every="Any cause")
        function = filters.one("function", "Waits for", FUNCTIONS, every="Anybody or nobody")
        states = filters.several("state", "State", STATES, every="All that are stuck")
        least = filters.one("least", f"Value in {reads.reporting_currency}", _LEAST, every="Any value")
        customer = filters.text("customer", "Customer", placeholder="Customer's code")
        sort = filters.always("sort", "Sort by", _SORTS)
    filters.unknown()
    wanted = StuckFilter(
        function=function, cause=cause, legal_entity=entity, lane=lane, states=tuple(State(code) for code in states),
        customer=customer.strip()[:_LONGEST], min_money=_money(least),
    )  # fmt: skip
    return wanted, StuckSort(sort)


def _money(text: str) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _worked(
    page: StuckPage, picks: Picks[StuckRow], wanted: StuckFilter, commands: Commands | None, reporting: str
) -> None:
    """Drawn alone when a row is ticked."""
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="actionbar")
    picks.grid(_table(page), _columns(reporting), {row.contract_id: row for row in page.rows},
               alt="Stuck contracts; tick rows to preview their replay")  # fmt: skip
    with bar:
        if commands is not None and frame.may(Permission.REPLAY_PREVIEW):
            _actions(page, picks, wanted, commands)
        elif len(picks) == 0:
            st.markdown(":material/lock: An operator may preview and replay.", width="content")
        money = sentences.money_of(summed([(row.exposure, row.exposure_reporting) for row in picks.rows], reporting))
        if len(picks):
            st.markdown(picks.told("contract", money), width="content")
            frame.link("contract", f"Open {fmt.plain(picks.rows[-1].external_id)}", icon=":material/contract:",
                       id=str(picks.rows[-1].contract_id))  # fmt: skip
            st.button("Clear", type="tertiary", icon=":material/close:", key="unpick", on_click=picks.clear)


def _actions(page: StuckPage, picks: Picks[StuckRow], wanted: StuckFilter, commands: Commands) -> None:
    label = f"Preview {len(picks):,}" if len(picks) else "Preview"
    help_ = "Workers read the ERP and say what would change. Nothing is written."
    if st.button(label, type="primary", icon=":material/preview:", key="preview", disabled=not len(picks),
                 help=help_):  # fmt: skip
        start.preview(commands, Selection(contracts=tuple(sorted(picks.ids))), made_of=picks)
    if not len(picks) and st.button(
        f"Preview all {page.total_text} that match", icon=":material/select_all:", key="preview_all", help=help_
    ):
        start.preview(commands, Selection(stuck=wanted))


def _table(page: StuckPage) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in rows],
            "title": [row.title for row in rows],
            "customer": [row.customer_name for row in rows],
            "entity": [row.legal_entity for row in rows],
            "lane": [row.lane for row in rows],
            "state": [[row.state.value] for row in rows],
            "why": [_why(row) for row in rows],
            "waits_for": [", ".join(words(name) for name in row.functions) for row in rows],
            "reporting": [
                None if row.exposure_reporting is None else float(row.exposure_reporting.amount) for row in rows
            ],
            "exposure": [grid.money_text(row.exposure) for row in rows],
            "to_run": ["" if row.to_bill_run is None else fmt.duration(row.to_bill_run) for row in rows],
            "bill_on": [row.bill_on for row in rows],
            "age": [fmt.age(row.age) for row in rows],
            "replay": [f"in replay {row.replay_id}" if row.replay_id else "" for row in rows],
        },
        index=[row.contract_id for row in rows],
    )


def _why(row: StuckRow) -> str:
    causes = ", ".join(words(cause) for cause in row.causes)
    return causes or row.error or ""


def _columns(reporting: str) -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "reporting": column.NumberColumn(f"Waits, {reporting}", format=fmt.money_column(reporting), width=100,
                                         help="Money that waits; empty where there is no exchange rate"),
        "why": column.TextColumn("Why it is stuck", width="medium"),
        "customer": column.TextColumn("Customer"),
        "to_run": column.TextColumn("To the bill run", alignment="right",
                                    help="Until the run that is to bill it; what is not in its ERP by then misses it"),
        "age": column.TextColumn("Stuck for", alignment="right"),
        "waits_for": column.TextColumn("Waits for"),
        "lane": column.TextColumn("ERP", width="small"),
        "entity": column.TextColumn("Entity", width="small"),
        "state": grid.state_column(),
        "bill_on": column.DateColumn("Next bill", format="D MMM YYYY", help="The last one when all have passed"),
        "exposure": column.TextColumn("In its currency", width=136, alignment="right"),
        "title": column.TextColumn("Title"),
        "replay": column.TextColumn("Already in", width="small"),
    }  # fmt: skip


def _nothing(wanted: StuckFilter) -> None:
    if wanted == StuckFilter():
        frame.empty("Nothing is stuck.", "Every contract gets on by itself.")
        return
    frame.empty("Nothing is stuck for this filter.", "Clear a filter.", icon=":material/filter_alt_off:")
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))
