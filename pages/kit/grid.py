"""A page of a long list: the grid, opening one of its rows, the ways to the next page. The server filters and sorts."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import filters, words
from pages.kit import format as fmt
from sync_core.commands.exports import MOST, Export
from sync_core.journal.progress import State
from sync_core.money import Money
from sync_core.reads import Cursor, InvalidCursor, Window
from sync_core.reads.paging import Listed

T = TypeVar("T")
_ROW: Final = 34
_SIZE: Final = 50
_ID_WIDTH: Final = 128  # pixels, for the ids of a CLM with dates in them
_STATE_WIDTH: Final = 104
_SEEN: Final = 20  # rows seen at once; the grid scrolls


def window() -> Window:
    """The page that the URL asks for. Raises InvalidCursor."""
    if after := st.query_params.get("after"):
        return Window(_SIZE, after=Cursor.parse(after))
    if before := st.query_params.get("before"):
        return Window(_SIZE, before=Cursor.parse(before))
    return Window(_SIZE)


def read_page(read: Callable[[Window], Listed[T]]) -> Listed[T]:
    """The page asked for; the first one, with a word to the viewer, if the page link is damaged."""
    try:
        return read(window())
    except InvalidCursor:
        st.info("That page link was damaged or belongs to another sorting. This is the first page.")
        return read(Window(_SIZE))


def rows(name: str, table: pd.DataFrame, columns: Mapping[str, ColumnConfig], *, alt: str) -> int | None:
    """The grid. What indexes the row in `table` that was ticked just now."""
    table = table.map(fmt.cell)
    # A tick that outlived the way to what it opens and back would lead there again at once: each has its own key.
    seed_key = f"tieline.grid.{name}"
    seed = st.session_state.setdefault(seed_key, secrets.token_hex(3))
    chosen = st.dataframe(
        table, key=f"grid_{name}_{seed}", column_config=dict(columns), column_order=list(columns), hide_index=True,
        row_height=_ROW, height=min(len(table) + 1, _SEEN + 1) * _ROW + 2, on_select="rerun",
        selection_mode="single-row", placeholder="", alt=alt,
    ).selection.rows  # fmt: skip
    if not chosen or chosen[0] >= len(table):
        return None
    st.session_state[seed_key] = secrets.token_hex(3)
    return int(table.index[chosen[0]])


def pager(page: Listed[T], noun: str) -> None:
    """How many there are, and the ways to the previous and the next page."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pager"):
        st.button(
            "Previous", icon=":material/chevron_left:", disabled=page.before is None, key="page_before",
            on_click=_turn, args=("before", page.before),
        )  # fmt: skip
        st.button(
            "Next", icon=":material/chevron_right:", icon_position="right", disabled=page.after is None,
            key="page_after", on_click=_turn, args=("after", page.after),
        )  # fmt: skip
        many = page.capped or page.total != 1
        st.markdown(f"**{page.total_text}** {noun}{'s' if many else ''}, {fmt.count(len(page.rows))} shown")


def download(noun: str, make: Callable[[], Export]) -> None:
    """A button for the filtered rows as a CSV file. `make` runs when it is pressed, in a thread of the server's own."""
    st.download_button(
        "Download CSV", data=lambda: make().body, file_name=f"{noun}.csv", mime="text/csv", on_click="ignore",
        icon=":material/download:", key=f"download_{noun}",
        help=f"All rows that meet the filters, {MOST:,} at most, in this order; the download is audited.",
    )  # fmt: skip


def state_column(label: str = "State") -> ColumnConfig:
    """States as coloured pills; the cells hold lists of one code."""
    return st.column_config.MultiselectColumn(
        label, width=_STATE_WIDTH, options=[state.value for state in State],
        color=[words.STATE_COLOURS[state] for state in State], format_func=words.words,
    )  # fmt: skip


def link(contract_id: int, external_id: str) -> str:
    """The cell of a link column; what stands behind the # is shown, decoded."""
    return f"/contract?id={contract_id}#{quote(external_id, safe='')}"


def link_column(*, pinned: bool = True) -> ColumnConfig:
    """Contracts by the CLM's id; a click opens one in a new tab."""
    return st.column_config.LinkColumn("Contract", width=_ID_WIDTH, display_text=r"#(.+)$", pinned=pinned)


def money_text(money: Money | None) -> str:
    """An amount in its own currency for a cell."""
    return "" if money is None else fmt.money_exact(money)


def how_to_open() -> None:
    """Under the grid."""
    st.caption(
        "Tick a row to open its contract, with the keyboard by Shift and Space; its id opens it in a new tab. "
        "A column's head sorts only the rows that are shown."
    )


def _turn(name: str, cursor: Cursor | None) -> None:
    filters.put({name: str(cursor or "")})
