"""Beginning a replay: its list of contracts is frozen and previewed, and its own page shows how far that is."""

from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import streamlit as st

from pages.kit import acting, data, frame
from pages.kit.picking import Picks
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.stuck import StuckRow
from sync_core.replay.replay import ReplayState
from sync_core.replay.selection import Missed, Selection


def preview(
    commands: Commands, selection: Selection, *, title: str = "", made_of: Picks[StuckRow] | None = None
) -> None:
    """Make it and go there; else say at the head of this page why not. What it is made of is chosen no more."""
    made, why_not = acting.attempt(
        partial(commands.replays.preview, frame.actor(), selection, title=title), "The preview"
    )
    if made is None:
        acting.finish(why_not, worked=False)
    else:
        if made_of is not None:
            made_of.clear()
        go_to(made.replay_id)


def go_to(replay_id: int, *, noun: str = "Replay") -> None:
    """Its page."""
    st.query_params.from_dict({"replay": str(replay_id)})
    told = f"{noun} {replay_id} is being previewed. Nothing is sent to an ERP before it is confirmed."
    acting.finish(told, state=ReplayState.PREVIEWING.value)


def missed(reads: Reads, commands: Commands) -> None:
    """All that an ERP may have missed since a moment, for instance because it was restored from a backup."""
    lanes = data.choices(reads).lanes
    with st.popover("What an ERP missed…", icon=":material/settings_backup_restore:", key="missed"):
        st.markdown("Everything that was written to an ERP, came for it, or got stuck on the way to it since then.")
        with st.form("missed", border=False):
            lane = st.selectbox("ERP", lanes)
            yesterday = reads.now - timedelta(days=1)
            day = st.date_input("Since (UTC)", value=yesterday.date(), format="YYYY-MM-DD")
            at = st.time_input("Time (UTC)", value=time(0, 0), step=900)
            if st.form_submit_button("Preview what it missed", type="primary", icon=":material/preview:"):
                _begin(commands, lane, day, at)


def _begin(commands: Commands, lane: str | None, day: object, at: object) -> None:
    if lane is None or not isinstance(day, date) or not isinstance(at, time):
        acting.why_not("Choose the ERP, the day and the time.")
        return
    since = datetime.combine(day, at, UTC)
    title = f"What {lane} missed since {since:%Y-%m-%d %H:%M} UTC"
    preview(commands, Selection(missed=Missed(lane, since)), title=title)
