"""Replays in lists: those that are under way at the head of the page, and all of them, newest first."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import filters, frame, grid
from pages.kit import format as fmt
from pages.kit.picking import Picks
from pages.parts.replay import words as told
from sync_core.reads import Reads, Window
from sync_core.reads.replays import ReplayPage, ReplayRow
from sync_core.replay.replay import ReplayState

OPEN = tuple(state for state in ReplayState if not state.over)
_SHOWN = 5


def under_way(reads: Reads) -> None:
    """A line for each replay that is not over; nothing when there is none."""
    with frame.contained("The replays under way"):
        page = reads.replays(states=OPEN, window=Window(_SHOWN))
        if not page.rows:
            return
        with frame.card("under_way", "Under way", "Replays that are not over; each opens where it stands"):
            for row in page.rows:
                _line(row)
            if page.after is not None:
                st.caption(f"And {page.total - _SHOWN} more; see all replays.")


def _line(row: ReplayRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"line_{row.replay_id}"):
        state, colour, icon = told.state(row)
        st.badge(state, icon=icon, color=colour)
        st.button(
            f"{row.noun} {row.replay_id}{': ' + fmt.plain(row.title) if row.title else ''}", type="tertiary",
            key=f"open_replay_{row.replay_id}", on_click=filters.put, args=({"replay": str(row.replay_id)},),
        )  # fmt: skip
        st.caption(fmt.plain(told.progress(row)), width="content")


def draw(reads: Reads) -> None:
    """All of them."""
    with frame.contained("The list of replays"), st.skeleton(height=300):
        page = grid.read_page(lambda window: reads.replays(window=window))
        if not page.rows:
            frame.empty("Nothing was replayed yet.", "Choose stuck contracts and preview their replay.",
                        icon=":material/replay:")  # fmt: skip
            return
        picks: Picks[ReplayRow] = Picks("replays", "all")
        st.fragment(lambda: _list(page, picks))()
        grid.pager(page, "replay")


def _list(page: ReplayPage, picks: Picks[ReplayRow]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="actionbar"):
        bar = st.container(width="content")
    rows = page.rows
    picks.grid(
        pd.DataFrame(
            {
                "replay": [f"/replay?replay={row.replay_id}#{row.replay_id}" for row in rows],
                "title": [row.title for row in rows],
                "state": [told.state(row)[0] for row in rows],
                "progress": [told.progress(row) for row in rows],
                "made": [row.created_at for row in rows],
                "by": [row.created_by for row in rows],
                "confirmed": [row.confirmed_by or "" for row in rows],
                "approved": [row.approved_by or "" for row in rows],
                "reason": [row.reason for row in rows],
                "ticket": [row.ticket for row in rows],
            },
            index=[row.replay_id for row in rows],
        ),
        _columns(), {row.replay_id: row for row in rows}, alt="Replays; tick one to open it",
    )  # fmt: skip
    with bar:
        chosen = picks.ids
        if st.button("Open replay", icon=":material/open_in_full:", key="open_replay", disabled=len(chosen) != 1):
            filters.leave({"replay": str(chosen[0])})


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "replay": column.LinkColumn("Replay", width=84, display_text=r"#(.+)$", pinned=True),
        "title": column.TextColumn("Title", width="medium"),
        "state": column.TextColumn("State"),
        "progress": column.TextColumn("What came of it", width="large"),
        "made": column.DatetimeColumn("Made, UTC", format="D MMM YYYY HH:mm", timezone="UTC"),
        "by": column.TextColumn("By"),
        "confirmed": column.TextColumn("Confirmed by"),
        "approved": column.TextColumn("Approved by"),
        "reason": column.TextColumn("Reason", width="medium"),
        "ticket": column.TextColumn("Ticket"),
    }
