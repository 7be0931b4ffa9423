"""The list of exceptions: rows chosen over many pages, and what can be done with them at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages import _acting as acting
from pages import _case_forms as forms
from pages import _filters as filters
from pages import _format as fmt
from pages import _frame as frame
from pages import _grid as grid
from pages import _sentences as sentences
from pages._picking import Picks
from pages._words import words
from sync_core.authority import Permission
from sync_core.commands.chosen import CasesChanged
from sync_core.commands.commands import Commands
from sync_core.errors import Function
from sync_core.reads import ExceptionFilter, ExceptionPage, ExceptionRow, ExceptionSort, Reads
from sync_core.reads.amounts import summed
from sync_core.selection import Selection

MOST: int = 1_000  # exceptions that the commands take at once


def draw(
    reads: Reads, commands: Commands | None, wanted: ExceptionFilter, sort: ExceptionSort, now: datetime, *,
    clear: Sequence[str],
) -> None:  # fmt: skip
    """One page of the list with its actions. `clear`: the filters that the button for none of them forgets."""
    page = grid.read_page(lambda window: reads.exceptions(wanted, sort=sort, window=window))
    if not page.rows:
        _nothing(wanted, clear)
        return
    picks: Picks[ExceptionRow] = Picks("exceptions", wanted)
    st.fragment(partial(_worked, page, picks, commands, now, reads.reporting_currency))()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="list_foot"):
        grid.pager(page, "exception")
        if commands is not None:
            grid.download("exceptions", partial(commands.exports.exceptions, frame.actor(), wanted, sort))
    st.caption("Tick rows, with the keyboard by Shift and Space; the selection is kept over the pages. "
               "A column's head sorts only the rows that are shown.")  # fmt: skip


def _worked(
    page: ExceptionPage, picks: Picks[ExceptionRow], commands: Commands | None, now: datetime, reporting: str
) -> None:
    """Drawn alone when a row is ticked: the actions stand above the grid and know its ticks."""
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="actionbar")
    picks.grid(
        _table(page, now), _columns(reporting), {row.case_id: row for row in page.rows},
        alt="Exceptions; tick rows to act on them",
    )  # fmt: skip
    with bar:
        _actions(picks, commands, reporting)
    if commands is not None:
        for name, (title, icon, body) in _dialogs(picks, commands).items():
            acting.dialog(name, title, body, icon=icon)


def _actions(picks: Picks[ExceptionRow], commands: Commands | None, reporting: str) -> None:
    chosen = picks.rows
    _open_one(chosen)
    if commands is not None:
        _buttons(picks, commands)
    money = sentences.money_of(summed([(row.exposure, row.exposure_reporting) for row in chosen], reporting))
    st.markdown(picks.told("row", money), width="content")
    if chosen:
        st.button("Clear", type="tertiary", icon=":material/close:", key="unpick", on_click=picks.clear)
    if len(chosen) > MOST:
        st.caption(f"At most {MOST:,} at once.")


def _open_one(chosen: Sequence[ExceptionRow]) -> None:
    if st.button(
        "Open exception", icon=":material/open_in_full:", key="open_case", disabled=len(chosen) != 1,
        help="One ticked exception: what is wrong, its history, and what mends it.",
    ):  # fmt: skip
        filters.leave({"case": str(chosen[0].case_id)})


def _buttons(picks: Picks[ExceptionRow], commands: Commands) -> None:
    """Those that the viewer may ever press; disabled until rows are chosen, and labelled with how many."""
    count = len(picks)
    blocked = count == 0 or count > MOST
    n = f" {count:,}" if count else ""
    if frame.may(Permission.EXCEPTIONS_WRITE):
        if st.button(f"Assign{n} to me", icon=":material/person_check:", key="assign_me", disabled=blocked):
            _assign(commands, picks, frame.actor().name, "assigned to you")
        _dialog_button(f"Assign{n}…", ":material/person_add:", "assign", blocked)
        if st.button(f"Acknowledge{n}", icon=":material/visibility:", key="acknowledge", disabled=blocked):
            do = partial(commands.cases.acknowledge, frame.actor(), picks.ids, versions=_versions(picks))
            acting.carry_out(_unpicked(picks, do), "Acknowledging", acting.changed("acknowledged"))
        _dialog_button(f"Hand{n} over…", ":material/move_up:", "hand_over", blocked)
    if frame.may(Permission.REPLAY_PREVIEW):
        contracts = {row.contract_id for row in picks.rows}
        label = f"Replay {len(contracts):,}" if contracts else "Replay"
        if st.button(label, icon=":material/replay:", key="replay", disabled=blocked,
                     help="Preview first: nothing is sent to an ERP before you confirm."):  # fmt: skip
            replay(commands, tuple(sorted(contracts)))
    if frame.may(Permission.EXCEPTIONS_DECIDE):
        _dialog_button(f"Close{n} by decision…", ":material/gavel:", "decide", blocked)


def _dialog_button(label: str, icon: str, name: str, blocked: bool) -> None:
    st.button(label, icon=icon, key=f"bar_{name}", disabled=blocked, on_click=acting.open_dialog,
              args=(f"cases_{name}",))  # fmt: skip


def _assign(commands: Commands, picks: Picks[ExceptionRow], person: str | None, done: str) -> None:
    do = partial(commands.cases.assign, frame.actor(), picks.ids, person, versions=_versions(picks))
    acting.carry_out(_unpicked(picks, do), "Assigning", acting.changed(done))


def _unpicked(picks: Picks[ExceptionRow], do: Callable[[], CasesChanged]) -> Callable[[], CasesChanged]:
    """What stayed as it was stays chosen, all else is done with."""

    def done() -> CasesChanged:
        result = do()
        picks.keep({one.case_id for one in result.refused})
        return result

    return done


def replay(commands: Commands, contracts: tuple[int, ...]) -> None:
    """Begin the preview of these contracts, and go where it is shown."""
    made, why_not = acting.attempt(
        lambda: commands.replays.preview(frame.actor(), Selection(contracts=contracts)), "The preview"
    )
    if made is None:
        acting.finish(why_not, worked=False)
        return
    acting.say(f"Replay {made.replay_id} is being previewed; nothing is sent before it is confirmed.")
    frame.open_page("replay", {"replay": str(made.replay_id)})
    st.rerun()


Dialogs = Mapping[str, tuple[str, str, Callable[[], None]]]


def _dialogs(picks: Picks[ExceptionRow], commands: Commands) -> Dialogs:
    rows, ids, cases, versions = picks.rows, picks.ids, commands.cases, _versions(picks)
    actor, count = frame.actor(), fmt.plural(len(picks), "exception")

    def assign(person: str | None) -> CasesChanged:
        return _unpicked(picks, lambda: cases.assign(actor, ids, person, versions=versions))()

    def hand_over(to: Function, why: str) -> CasesChanged:
        return _unpicked(picks, lambda: cases.hand_over(actor, ids, to, why, versions=versions))()

    def decide(why: str) -> CasesChanged:
        return _unpicked(picks, lambda: cases.decide(actor, ids, why, versions=versions))()

    return {
        "cases_assign": (f"Assign {count}", ":material/person_add:", lambda: forms.assign(rows, assign)),
        "cases_hand_over": (f"Hand {count} over", ":material/move_up:", lambda: forms.hand_over(rows, hand_over)),
        "cases_decide": (f"Close {count} by decision", ":material/gavel:", lambda: forms.decide(rows, decide)),
    }


def _versions(picks: Picks[ExceptionRow]) -> dict[int, int]:
    return {row.case_id: row.version for row in picks.rows}


def _table(page: ExceptionPage, now: datetime) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "exception": [f"/exceptions?case={row.case_id}#{row.case_id}" for row in rows],
            "contract": [row.external_id for row in rows],
            "customer": [row.customer_name for row in rows],
            "entity": [row.legal_entity for row in rows],
            "cause": [words(row.cause) for row in rows],
            "function": [words(row.function) for row in rows],
            "assignee": [row.assignee or "" for row in rows],
            "severity": [words(row.severity) for row in rows],
            "exposure": [grid.money_text(row.exposure) for row in rows],
            "reporting": [
                None if row.exposure_reporting is None else float(row.exposure_reporting.amount) for row in rows
            ],
            "bill_on": [row.bill_on for row in rows],
            "due": [due(row, now) for row in rows],
            "age": [fmt.age(now - (row.first_opened_at or row.opened_at)) for row in rows],
            "state": [words(row.state) if row.state != "open" else _seen(row) for row in rows],
            "message": [row.message for row in rows],
        },
        index=[row.case_id for row in rows],
    )


def _seen(row: ExceptionRow) -> str:
    return "Acknowledged" if row.acknowledged_at else "New"


def due(row: ExceptionRow, now: datetime) -> str:
    """By when its owner's working time for it is up, or for how long it has been."""
    if row.due_at is None or row.state != "open":
        return ""
    left = row.due_at - now
    return f"in {fmt.age(left)}" if left >= timedelta(0) else f"{fmt.age(-left)} overdue"


def _columns(reporting: str) -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "exception": column.LinkColumn("Exception", width=84, display_text=r"#(.+)$", pinned=True,
                                       help="Opens the exception in a new tab"),
        "contract": column.TextColumn("Contract", width=128),
        "customer": column.TextColumn("Customer"),
        "cause": column.TextColumn("Cause", width="medium"),
        "reporting": column.NumberColumn(f"In {reporting}", format=fmt.money_column(reporting),
                                         help="Exposure: what it keeps from being billed. Empty: no exchange rate"),
        "due": column.TextColumn("Due", help="By the working calendar of the legal entity"),
        "age": column.TextColumn("Age", alignment="right", help="Since it opened first"),
        "function": column.TextColumn("Function"),
        "assignee": column.TextColumn("Assigned to"),
        "state": column.TextColumn("State", width=118),
        "entity": column.TextColumn("Entity", width="small"),
        "severity": column.TextColumn("Severity", width="small"),
        "bill_on": column.DateColumn("Next bill", format="D MMM YYYY", help="The last one when all have passed"),
        "exposure": column.TextColumn("Exposure", width=136, alignment="right", help="In the contract's currency"),
        "message": column.TextColumn("What is wrong", width="large"),
    }  # fmt: skip


def _nothing(wanted: ExceptionFilter, clear: Sequence[str]) -> None:
    if wanted == ExceptionFilter():
        frame.empty("No open exceptions.", "Nothing waits for a person.")
        return
    mine = bool(wanted.assignee)
    frame.empty("Nothing is assigned to you here." if mine else "No open exception meets these filters.",
                "Triage holds what nobody has taken." if mine else "Clear a filter.",
                icon=":material/filter_alt_off:")  # fmt: skip
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(clear))
