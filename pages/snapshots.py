"""Weekly snapshots: what was reported of which week, as files that can be kept, checked and compared.

`/snapshots?snapshot=ID` shows one; `?view=compare` two weeks side by side.
"""

import re
from datetime import date
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from metrics.weeks import week_name
from pages.kit import acting, data, frame, grid, tabs
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.kit.tabs import Tab
from pages.parts.snapshot import diff as compare
from pages.parts.snapshot import make as making
from pages.parts.snapshot import snapshot as one_snapshot
from pages.parts.snapshot import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads, Window
from sync_core.reads.snapshots import SnapshotDetail, SnapshotPage, SnapshotRow

PAGE = Page(title="Snapshots", icon=":material/photo_library:", path="snapshots", order=70, section="More",
            needs=Permission.SNAPSHOT_READ)  # fmt: skip

_ID: Final = re.compile(r"[0-9]{1,18}")
_STATES: Final = {"Made": "green", "Being made": "blue", "Tried again": "orange", "Failed": "red"}
_COMPARED: Final = 200


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    head = frame.header("Snapshots", "Every KPI of an ISO week as of one moment, for the whole group.",
                        Freshness(now, now, data.KEPT))  # fmt: skip
    if not _reaches():
        return
    acting.said()
    if commands is not None and making.may():
        with head:
            making.button()
        making.dialog(reads, commands)
    view = st.query_params.get("view", "")
    with frame.contained("The snapshots"):
        newest = reads.snapshots(window=Window(_COMPARED)).rows
        _headline(newest)
        making.progress(reads, newest[0] if newest else None)
        tabs.draw("What to see", {
            "": Tab("History", None, {"view": ""}), "compare": Tab("Compare weeks", None, {"view": "compare"}),
        }, current=view if view == "compare" else "")  # fmt: skip
        if view == "compare":
            compare.draw(reads, _weeks(newest))
            return
        _one(reads, commands, newest)
    with frame.contained("The history"):
        _history(reads)


def _reaches() -> bool:
    """Says why not: who reaches some legal entities has their part elsewhere."""
    actor, read = frame.actor(), Permission.SNAPSHOT_READ
    if not actor.may(read):
        frame.forbidden(read)
        return False
    within = actor.entities(read)
    if within is not None:
        reach = fmt.plain(", ".join(sorted(within)))
        st.info(f"A snapshot is of the whole group and cannot be cut; your reach is {reach}. The executive page shows "
                "your part.", icon=":material/lock:")  # fmt: skip
        return False
    return True


def _headline(rows: tuple[SnapshotRow, ...]) -> None:
    made = _newest(rows)
    failed = bool(rows) and rows[0].state == "failed" and not any(
        row.made_at is not None and row.made_at > rows[0].asked_at for row in rows
    )  # fmt: skip
    if made is None or made.as_of is None:
        frame.headline("**No snapshot yet.** One is made each Monday of the week that ended.")
        return
    gone = "" if made.location else f" {_delivered(made)}"
    broken = " **The last one that was asked for failed.**" if failed else ""
    frame.headline(f"**{week_name(made.week)}** is the newest, as of {fmt.moment(made.as_of)}.{gone}{broken}")


def _newest(rows: tuple[SnapshotRow, ...]) -> SnapshotRow | None:
    """Of the newest week, the one that knows most of it."""
    made = [row for row in rows if row.state == "made" and row.as_of is not None]
    return max(made, key=lambda row: (row.week, row.as_of, row.snapshot_id), default=None)


def _delivered(row: SnapshotRow) -> str:
    if not row.undelivered:
        return "It was delivered everywhere."
    return f"{fmt.plural(row.undelivered, 'target')} {'does' if row.undelivered == 1 else 'do'} not have it yet."


def _weeks(rows: tuple[SnapshotRow, ...]) -> list[date]:
    return sorted({row.week for row in rows if row.state == "made"}, reverse=True)


def _one(reads: Reads, commands: Commands | None, rows: tuple[SnapshotRow, ...]) -> None:
    """The one that the URL names, or the newest that was made."""
    asked = st.query_params.get("snapshot", "")
    newest = _newest(rows)
    wanted = int(asked) if _ID.fullmatch(asked) else None
    if not asked and newest is not None:
        wanted = newest.snapshot_id
    found: SnapshotDetail | None = reads.snapshot(wanted) if wanted is not None else None
    if asked and found is None:
        st.info("There is no such snapshot.")
        return
    if found is not None:
        one_snapshot.draw(found, reads, commands)


def _history(reads: Reads) -> None:
    with frame.card("history", "History", "Last asked for first; tick one to see its files and where it went"):
        page = grid.read_page(lambda window: reads.snapshots(window=window))
        if not page.rows:
            frame.empty("No snapshot was made yet.", "The first one comes on Monday, or have one made now.",
                        icon=":material/photo_library:")  # fmt: skip
            return
        with st.container(gap="small"):
            ticked = grid.rows("snapshots", _table(page), _columns(), alt="Snapshots; tick one to see its files")
            if ticked is not None:
                st.query_params["snapshot"] = str(ticked)
                st.rerun()
            grid.pager(page, "snapshot")


def _table(page: SnapshotPage) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "week": [week_name(row.week) for row in rows],
            "state": [[told.state(row)] for row in rows],
            "as_of": [row.as_of for row in rows],
            "by": [told.by(row) for row in rows],
            "delivered": [told.delivered(row) if row.error is None else row.error for row in rows],
            "restated": [fmt.day(row.restated_since) if row.restated_since else "" for row in rows],
            "made": [row.made_at for row in rows],
            "release": [row.release or "" for row in rows],
            "id": [row.snapshot_id for row in rows],
        },
        index=[row.snapshot_id for row in rows],
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "week": column.TextColumn("Week", width=92, pinned=True),
        "state": column.MultiselectColumn("State", width=104, options=list(_STATES), color=list(_STATES.values())),
        "as_of": column.DatetimeColumn("As of, UTC", format="D MMM YYYY HH:mm:ss", timezone="UTC", width=168),
        "by": column.TextColumn("Asked for by", width=190),
        "delivered": column.TextColumn("Delivered", width=220),
        "restated": column.TextColumn("Restates", width=110, help="The first snapshot of the week is as of then"),
        "made": column.DatetimeColumn("Made, UTC", format="D MMM YYYY HH:mm", timezone="UTC", width=150),
        "release": column.TextColumn("Release", width=90),
        "id": column.NumberColumn("Number", format="%d", width=78),
    }
