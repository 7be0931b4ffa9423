"""Having a snapshot made: the dialog that asks for one, and how far the one asked for is."""

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Final

import streamlit as st

from metrics import weeks
from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.live import live
from pages.parts.snapshot import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.snapshots import SnapshotDetail, SnapshotRow

DIALOG: Final = "make_snapshot"
_WATCHED: Final = "tieline.snapshot.watched"
_EVERY: Final = timedelta(seconds=2)
_WEEKS: Final = 26


def may() -> bool:
    """A snapshot is of the whole group: who reaches some legal entities only cannot have one made."""
    write = Permission.SNAPSHOT_WRITE
    return frame.may(write) and frame.actor().entities(write) is None


def button() -> None:
    st.button("Make one now…", type="primary", icon=":material/add_a_photo:", key="make", on_click=acting.open_dialog,
              args=(DIALOG,))  # fmt: skip


def dialog(reads: Reads, commands: Commands) -> None:
    acting.dialog(DIALOG, "Make a snapshot", lambda: _ask(reads, commands), icon=":material/add_a_photo:")


def _ask(reads: Reads, commands: Commands) -> None:
    zone = reads.estate.group.timezone
    last, this = weeks.last_ended(reads.now, zone), weeks.week_of(reads.now, zone)
    mondays = [last, this, *(last - timedelta(days=7 * back) for back in range(1, _WEEKS))]
    st.markdown("A worker makes it within seconds, from what is known as of a moment: board pack, workbook, tables and "
                "a signed manifest. It goes where every snapshot goes.")  # fmt: skip
    with st.form("make_snapshot", border=False):
        week = st.selectbox("Week", mondays, format_func=lambda monday: _of(monday, this))
        left, right = st.columns(2)
        day = left.date_input("As of, day (UTC)", value=None, format="YYYY-MM-DD", max_value=reads.now.date(),
                              help="Leave it empty for what is known now")  # fmt: skip
        at = right.time_input("Time (UTC)", value=time(0, 0), step=900)
        if not st.form_submit_button("Make the snapshot", type="primary", icon=":material/add_a_photo:"):
            return
    if week is None:
        acting.why_not("Choose the week.")
        return
    _make(commands, week, day, at)


def _of(monday: date, this: date) -> str:
    return f"{told.week(monday)}, not over yet" if monday == this else told.week(monday)


def _make(commands: Commands, week: date, day: object, at: object) -> None:
    as_of = datetime.combine(day, at, UTC) if isinstance(day, date) and isinstance(at, time) else None
    do = partial(commands.snapshots.make, frame.actor(), week=week, as_of=as_of)
    asked, why_not = acting.attempt(do, "The snapshot")
    if asked is None:
        acting.why_not(why_not)
        return
    st.session_state[_WATCHED] = asked.snapshot_id
    st.query_params.from_dict({"snapshot": str(asked.snapshot_id)})
    acting.finish(f"Snapshot {asked.snapshot_id} of {weeks.week_name(asked.week)} was asked for.")


def progress(reads: Reads, newest: SnapshotRow | None) -> None:
    """The one that was asked for here, or the newest while it is being made; looks again until it is there."""
    watched = st.session_state.get(_WATCHED)
    if not isinstance(watched, int):
        watched = newest.snapshot_id if newest is not None and newest.state == "asked" else None
    if watched is None:
        return
    with frame.contained("How far the snapshot is"):
        found = reads.snapshot(watched)
        if found is None or _over(found):
            st.session_state.pop(_WATCHED, None)
            return
        seen = found.snapshot.state
        live(lambda: _look(reads, watched, seen), every=_EVERY)


def _look(reads: Reads, snapshot_id: int, seen: str) -> None:
    """The whole page is drawn anew once there is more to see."""
    found = reads.snapshot(snapshot_id)
    if found is None or found.snapshot.state != seen or _over(found):
        if found is not None and _over(found) and found.snapshot.state == "made":
            st.toast(f"Snapshot {snapshot_id} is made and delivered", icon=":material/check_circle:")
        st.rerun()
    row, there = found.snapshot, sum(one.delivered_at is not None for one in found.deliveries)
    with frame.card("progress", f"Snapshot {row.snapshot_id} of {weeks.week_name(row.week)}",
                    f"Asked for by {fmt.plain(told.by(row))}, {fmt.moment(row.asked_at)}"):  # fmt: skip
        if row.state == "asked":
            st.progress(0.15 if not row.attempts else 0.4, text=_making(row))
        else:
            whole = max(1, len(found.deliveries))
            st.progress(0.6 + 0.4 * there / whole, text=f"Made; brought to {there} of {len(found.deliveries)} targets")
        if row.error:
            acting.warn(f"Try {row.attempts} did not work: {row.error}. It is tried again by itself.")


def _making(row: SnapshotRow) -> str:
    if not row.attempts:
        return "It waits for a worker; one looks every ten seconds"
    return f"A worker makes it, try {row.attempts}: read the measures, write the files, sign them"


def _over(found: SnapshotDetail) -> bool:
    """Made and delivered, or failed for good. A target that failed is told in its card, not waited for here."""
    row = found.snapshot
    return row.state == "failed" or (
        row.state == "made" and all(one.delivered_at is not None or one.attempts for one in found.deliveries)
    )
