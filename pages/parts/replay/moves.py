"""What a move has besides a replay: its two ERPs, its reconciliation, and the way back."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st

from pages.kit import acting, filters, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.parts.replay import start
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads, Window
from sync_core.reads.export import safe_csv
from sync_core.reads.moves import (
    AMOUNTS,
    FILE_COLUMNS,
    ReconciledRow,
    ReconciledTotal,
    Reconciliation,
    Stands,
    Why,
    listed,
)
from sync_core.reads.replays import ReplayDetail
from sync_core.replay.replay import ItemState

_SHOWN: Final = 50
_WHY: Final = {
    Why.ENDED: "ended, so not billed any more",
    Why.BETWEEN: "on its way to the new ERP",
    Why.NOWHERE: "stopped before it got a project",
    Why.OTHER: "not explained: look at it in both ERPs",
}
_TAKES: Final = (ItemState.VERIFIED, ItemState.FAILED, ItemState.MISMATCH, ItemState.UNVERIFIABLE)


def way(found: ReplayDetail) -> None:
    """From where to where, and whose way back it is."""
    row = found.replay
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        both = f"From {fmt.plain(row.move_from or '')} to {fmt.plain(row.move_to or '')}"
        st.badge(both, icon=":material/move_down:", color="blue")
        if row.undoes:
            st.button(f"Takes move {row.undoes} back", type="tertiary", icon=":material/undo:", key="undoes",
                      on_click=filters.put, args=({"replay": str(row.undoes)},))  # fmt: skip


def undo(found: ReplayDetail, commands: Commands) -> None:
    """Once it is over: a move back, previewed as any."""
    row = found.replay
    if row.undoes or not any(found.totals.states[state] for state in _TAKES):
        return
    if not frame.may(Permission.REPLAY_PREVIEW):
        return
    help_ = "A new move back of what the new ERP has not billed since. It is previewed and confirmed as any."
    if st.button("Take it back…", icon=":material/undo:", key="undo_move", help=help_):
        made, why_not = acting.attempt(partial(commands.moves.undo, frame.actor(), row.replay_id), "Taking it back")
        if made is None:
            acting.finish(why_not, worked=False)
        else:
            start.go_to(made.replay_id, noun="Move")


def reconciliation(reads: Reads, found: ReplayDetail) -> None:
    """What was signed against both ERPs, currency by currency and contract by contract."""
    move_id = found.replay.replay_id
    report = reads.reconciliation(move_id)
    if report is None or not report.totals:
        return
    sub = "Signed = billed + to bill in the old ERP + billed + to bill in the new + difference"
    with frame.card("reconciliation", "Reconciliation", sub):
        heads = _heads(report)
        table("totals", ["Contracts", *heads],
              [[f"{total.contracts:,}", *(fmt.money_exact(getattr(total.sums, name)) for name in AMOUNTS)]
               for total in report.totals])  # fmt: skip
        for total in report.totals:
            _open(total)
        if not report.whole:
            st.caption(":material/lock: Of contracts within your reach; the move has others.")
        if report.read_at is not None:
            st.caption(f"As the ERPs were read back: the oldest that is told is of {fmt.moment(report.read_at)}, and "
                       "was the same whenever it was read since.")  # fmt: skip
        page = reads.reconciled(move_id, window=Window(_SHOWN))
        table("contracts", ["Contract", "Stands in", *heads, "Because"], [_cells(row, report) for row in page.rows])
        if page.after is not None:
            st.caption(f"{len(page.rows):,} of {page.total_text} contracts, what differs most first.")
        if st.button("Make the CSV of all contracts", icon=":material/table_view:", key="make_csv"):
            made = safe_csv(pd.DataFrame(listed(reads.all_reconciled(move_id)), columns=list(FILE_COLUMNS)))
            st.download_button("Download CSV", made, file_name=f"move-{move_id}.csv", mime="text/csv",
                               icon=":material/download:")  # fmt: skip


def _heads(report: Reconciliation) -> Sequence[str]:
    old, new = fmt.plain(report.move_from), fmt.plain(report.move_to)
    return ["Signed", f"Billed in {old}", f"To bill in {old}", f"Billed in {new}", f"To bill in {new}", "Difference"]


def _cells(row: ReconciledRow, report: Reconciliation) -> list[str]:
    stands = {
        Stands.OLD: report.move_from,
        Stands.LEAVING: f"{report.move_from}, leaving",
        Stands.BETWEEN: "neither, its rest is open",
        Stands.NEW: report.move_to,
    }[row.stands]
    because = _WHY[row.why] if row.why else ""
    return [row.external_id, stands, *(fmt.money_exact(getattr(row.sums, name)) for name in AMOUNTS), because]


def _open(total: ReconciledTotal) -> None:
    """What the difference of one currency is made of."""
    told = [f"{fmt.money_exact(one.amount)} {_WHY[one.why]} ({fmt.plural(one.contracts, 'contract')})"
            for one in total.parts]  # fmt: skip
    if told:
        st.markdown(fmt.plain(f"Of the difference, {fmt.money_exact(total.sums.difference)}: {'; '.join(told)}."))
