"""Where CLM, Tieline and ERP say different things of a contract that nothing is being done for, and its repair."""

from datetime import datetime
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, data, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.table import table
from pages.kit.values import shown
from pages.kit.words import words
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.drift import ComparisonAsked
from sync_core.reads import Reads
from sync_core.reads.drift import DriftFilter, DriftPage, DriftRow, State, WatchState
from sync_core.watch.drift import Stands

_STANDS: Final = {"ours": "To be repaired", "owner": "Its owner decides", "allowed": "Allowed"}
_STATES: Final = {"open": "Open", "closed": "Closed", "all": "Open and closed"}
_FILTERS: Final = ("drift", "stands", "entity", "system")


def draw(reads: Reads, commands: Commands | None, now: datetime) -> None:
    """The view of the Exceptions page."""
    with frame.contained("The watch"):
        state = reads.drift_watch()
        _told(state, now)
        _acts(state, commands)
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted = _filters(reads)
    with frame.contained("The differences"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.drift(wanted, window=window))
        if not page.rows:
            _nothing(wanted)
            return
        opened = grid.rows("drift", _table(page, now), _columns(),
                           alt="Differences between CLM, Tieline and ERP; tick a row to open its contract")  # fmt: skip
        if opened is not None:
            frame.open_page("contract", {"id": str(opened)})
        grid.pager(page, "difference")
        st.caption("A difference closes when a comparison no longer finds it, whoever mended it.")


def _told(state: WatchState, now: datetime) -> None:
    if not state.watched:
        st.markdown("No contract is watched yet: comparisons begin once contracts are active in an ERP.")
        return
    since = f"the oldest comparison is {fmt.duration(now - state.oldest_at)} old" if state.oldest_at else "none is done"
    told = f"**{fmt.plural(state.watched, 'contract')} watched**, {since}"
    told += f"; {fmt.count(state.never)} not compared yet" if state.never else ""
    told += f"; {fmt.count(state.unread)} could not be read in all" if state.unread else ""
    told += f"; {fmt.count(state.asked)} asked for" if state.asked else ""
    st.markdown(f"{told}.")


def _acts(state: WatchState, commands: Commands | None) -> None:
    if commands is None or not frame.may(Permission.REPLAY_PREVIEW):
        st.caption(":material/lock: An operator may compare anew and preview a repair.")
        return
    with st.container(horizontal=True, gap="small", key="drift_acts"):
        if st.button("Compare all now", icon=":material/sync:", key="compare", disabled=not state.watched,
                     help="Workers compare every watched contract within your reach, before all others."):  # fmt: skip
            acting.carry_out(partial(commands.drift.compare, frame.actor()), "The comparison", _asked)
        n = f"Preview the repair of {fmt.plural(state.repairable, 'contract')}"
        label = n if state.repairable else "Nothing to repair"
        told = "A replay that shows what it would put back; nothing is written before it is confirmed."
        if st.button(label, icon=":material/preview:", key="repair", disabled=not state.repairable, help=told):
            made, why_not = acting.attempt(partial(commands.drift.repair, frame.actor()), "The repair")
            if made is None:
                acting.finish(why_not, worked=False)
            else:
                frame.open_page("replay", {"id": str(made.replay_id)})


def _asked(done: ComparisonAsked) -> str:
    return f"{fmt.plural(done.contracts, 'contract')} will be compared now."


def _filters(reads: Reads) -> DriftFilter:
    names = [one.name for one in reads.estate.erp] + [one.name for one in reads.estate.clm]
    systems = dict(zip(names, names, strict=True))
    with st.grid(4, min_column_width=145, gap="small"):
        state = filters.always("drift", "State", _STATES)
        stands = filters.one("stands", "Calls for", _STANDS, every="Anything")
        entity = filters.one("entity", "Legal entity", data.choices(reads).entities, every="All entities")
        system = filters.one("system", "System", systems, every="All systems")
    filters.unknown()
    wanted: State = "closed" if state == "closed" else "all" if state == "all" else "open"
    return DriftFilter(wanted, Stands(stands) if stands else None, entity, system)


def _table(page: DriftPage, now: datetime) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in rows],
            "entity": [row.legal_entity for row in rows],
            "system": [row.system for row in rows],
            "what": [_what(row) for row in rows],
            "ours": [_said(row, row.ours) for row in rows],
            "theirs": [_said(row, row.theirs) for row in rows],
            "stands": [_STANDS[row.stands.value] for row in rows],
            "age": [fmt.duration((row.closed_at or now) - row.first_seen_at) for row in rows],
            "words": [row.words for row in rows],
        },
        index=[row.contract_id for row in rows],
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "what": column.TextColumn("What differs", width="medium"),
        "ours": column.TextColumn("The contract says", width=150),
        "theirs": column.TextColumn("It holds", width=150),
        "stands": column.TextColumn("Calls for", width=130),
        "age": column.TextColumn("Seen for", alignment="right", width="small"),
        "system": column.TextColumn("In", width="small"),
        "entity": column.TextColumn("Entity", width="small"),
        "words": column.TextColumn("Words", width="large"),
    }


def _what(row: DriftRow) -> str:
    part = row.business_key.partition("#")[2].partition(":")[2]
    named = " ".join(word for word in (words(row.kind), part) if word)
    return f"{named}, {words(row.field).lower()}" if row.field else named


def _said(row: DriftRow, value: str | None) -> str:
    return shown(row.field, value, row.currency) if value else "nothing"


def _nothing(wanted: DriftFilter) -> None:
    if wanted == DriftFilter():
        frame.empty("No differences.", "CLM, Tieline and ERP say the same of every contract that was compared.")
        return
    frame.empty("No difference meets these filters.", "Clear a filter.", icon=":material/filter_alt_off:")
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))


def of_contract(reads: Reads, contract_id: int) -> None:
    """The card of the contract's page; nothing where nothing is open."""
    page = reads.drift(DriftFilter(contracts=(contract_id,)))
    if not page.rows:
        return
    compared = fmt.moment(min(row.last_seen_at for row in page.rows))
    with frame.card("drift", "Differences", f"Between CLM, Tieline and ERP, as compared {compared}",
                    definition="Found by the watch, which compares contracts that nothing happens to."):  # fmt: skip
        cells = [
            [f"{_what(row)} ({_STANDS[row.stands.value].lower()})", _said(row, row.ours),
             f"{_said(row, row.theirs)}, in {row.system}"]
            for row in page.rows
        ]  # fmt: skip
        table("drift", ["What", "The contract says", "It holds"], cells)
        if page.after is not None:
            st.caption(f"The newest {len(page.rows)} of {page.total_text}.")
            frame.link("exceptions", "All differences", view="drift")
