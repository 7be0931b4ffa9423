"""What was delivered and not understood: kept whole, tried again, released by hand or dismissed with a reason."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.picking import Picks
from pages.kit.words import words
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.quarantine import MOST, QuarantineChanged
from sync_core.reads import Reads
from sync_core.reads.quarantine import QuarantinedEvent, QuarantineFilter, QuarantinePage

_STATES: Final = {"waiting": "Waiting", "released": "Released", "dismissed": "Dismissed", "any": "All"}
_KINDS: Final = {"yes": "Signatures", "no": "Others"}
_FILTERS: Final = ("held", "source", "signature")


def draw(reads: Reads, commands: Commands | None, now: datetime) -> None:
    """The view of the Exceptions page."""
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted = _filters(reads)
    with frame.contained("The quarantine"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.quarantine(wanted, window=window))
        if not page.rows:
            _nothing(wanted)
            return
        picks: Picks[QuarantinedEvent] = Picks("quarantine", wanted)
        st.fragment(partial(_worked, page, picks, reads, commands, now))()
        grid.pager(page, "event")
        st.caption("A signature counts as an open case from its receipt. Workers try again every few minutes.")


def _filters(reads: Reads) -> QuarantineFilter:
    sources = {entry.source: f"{entry.name} ({entry.source})" for entry in reads.estate.clm}
    with st.grid(4, min_column_width=145, gap="small"):
        state = filters.always("held", "State", _STATES)
        kind = filters.one("signature", "Kind", _KINDS, every="Signatures and others")
        source = filters.one("source", "Source", sources, every="All sources")
    filters.unknown()
    held = {"waiting": "waiting", "released": "released", "dismissed": "dismissed"}.get(state, "")
    return QuarantineFilter(
        state=held,  # type: ignore[arg-type]  # one of its literals
        source=source, signature=None if not kind else kind == "yes",
    )  # fmt: skip


def _worked(
    page: QuarantinePage, picks: Picks[QuarantinedEvent], reads: Reads, commands: Commands | None, now: datetime
) -> None:
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="actionbar")
    picks.grid(_table(page, now), _columns(), {row.quarantine_id: row for row in page.rows},
               alt="Quarantined events; tick rows to act on them or to read one")  # fmt: skip
    with bar:
        if commands is not None and frame.may(Permission.QUARANTINE_WRITE):
            _actions(picks, commands)
        told = f"**{fmt.plural(len(picks), 'event')} selected**" if len(picks) else "Tick events to read or release."
        st.markdown(told, width="content")
    if not frame.may(Permission.QUARANTINE_WRITE):
        st.caption(":material/lock: An administrator may release and dismiss them.")
    if len(picks) == 1:
        _body(reads, picks.ids[0])


def _actions(picks: Picks[QuarantinedEvent], commands: Commands) -> None:
    waiting = [row.quarantine_id for row in picks.rows if row.state == "waiting"]
    n, blocked = f" {len(waiting):,}" if waiting else "", not 0 < len(waiting) <= MOST
    if st.button(f"Release{n}", icon=":material/lock_open:", key="release", disabled=blocked,
                 help="Try again now. What is still not understood stays, with the reason."):  # fmt: skip
        do = partial(commands.quarantine.release, frame.actor(), waiting)
        acting.carry_out(_unpicked(picks, do), "The release", lambda done: _told(done, "released"))
    st.button(f"Dismiss{n}…", icon=":material/delete_sweep:", key="open_dismiss", disabled=blocked,
              on_click=acting.open_dialog, args=("dismiss",))  # fmt: skip
    acting.dialog("dismiss", f"Dismiss {fmt.plural(len(waiting), 'event')}", lambda: _dismiss(waiting, picks, commands),
                  icon=":material/delete_sweep:")  # fmt: skip


def _unpicked(picks: Picks[QuarantinedEvent], do: Callable[[], QuarantineChanged]) -> Callable[[], QuarantineChanged]:
    """What stays where it is stays chosen."""

    def done() -> QuarantineChanged:
        result = do()
        picks.keep({one.quarantine_id for one in result.held})
        return result

    return done


def _dismiss(ids: Sequence[int], picks: Picks[QuarantinedEvent], commands: Commands) -> None:
    st.markdown("They are kept whole, but never tried again and not counted any more.")
    with st.form("dismiss", border=False):
        why = st.text_area("Reason", max_chars=2_000, height=80, placeholder="Kept in the audit")
        label = f"Dismiss {fmt.count(len(ids))}"
        if st.form_submit_button(label, type="primary", icon=":material/delete_sweep:"):
            do = partial(commands.quarantine.dismiss, frame.actor(), ids, why)
            done, why_not = acting.attempt(_unpicked(picks, do), "The dismissal")
            if done is None:
                acting.why_not(why_not)
            else:
                acting.finish(_told(done, "dismissed"))


def _told(done: QuarantineChanged, verb: str) -> str:
    told = f"{fmt.plural(len(done.changed), 'event')} {verb}."
    reasons = " ".join(acting.sentence(one.words) for one in done.held[:3])
    return f"{told} {len(done.held)} stayed: {reasons}" if done.held else told


def _body(reads: Reads, quarantine_id: int) -> None:
    with frame.card("body", f"Event {quarantine_id}", "As delivered; characters that could mislead are replaced"):
        found = reads.quarantined(quarantine_id)
        if found is None:
            st.markdown("It is not there any more.")
            return
        st.markdown(f":orange-badge[:material/warning: Not understood] {fmt.plain(found.reason)}")
        if found.dismissed_by:
            st.markdown(fmt.plain(f"Dismissed by {found.dismissed_by}: {found.dismissed_reason or ''}"))
        st.code(found.body, language=None, wrap_lines=True, height=280)
        st.caption(f"{found.size:,} bytes{', cut here' if found.cut else ''}; correlation "
                   f"{fmt.plain(found.correlation_id)}")  # fmt: skip


def _table(page: QuarantinePage, now: datetime) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "id": [row.quarantine_id for row in rows],
            "received": [row.recorded_at for row in rows],
            "age": [fmt.age(now - row.recorded_at) for row in rows],
            "contract": [row.external_id or "" for row in rows],
            "entity": [row.legal_entity for row in rows],
            "type": [row.type for row in rows],
            "signature": ["Signature" if row.signature else "" for row in rows],
            "state": [words(row.state) for row in rows],
            "reason": [row.reason for row in rows],
            "source": [row.source for row in rows],
        },
        index=[row.quarantine_id for row in rows],
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "id": column.NumberColumn("Event", format="%d", width="small"),
        "received": column.DatetimeColumn("Received, UTC", format="D MMM YYYY HH:mm", timezone="UTC", width=150),
        "age": column.TextColumn("Age", alignment="right", width="small"),
        "contract": column.TextColumn("Contract", width=128),
        "signature": column.TextColumn("Kind", width="small", help="A signature counts as an open case"),
        "reason": column.TextColumn("Why it was not understood", width="large"),
        "type": column.TextColumn("Type", width="medium"),
        "state": column.TextColumn("State", width="small"),
        "entity": column.TextColumn("Entity", width="small"),
        "source": column.TextColumn("Source", width="medium"),
    }


def _nothing(wanted: QuarantineFilter) -> None:
    if wanted == QuarantineFilter():
        frame.empty("Nothing is in quarantine.", "Every event that was delivered was understood.")
        return
    frame.empty("No event meets these filters.", "Clear a filter.", icon=":material/filter_alt_off:")
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))
