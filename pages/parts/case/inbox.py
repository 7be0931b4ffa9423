"""The list of exceptions: rows chosen over many pages, and what can be done with them at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, filters, frame, grid, sentences
from pages.kit import format as fmt
from pages.kit.picking import Picks
from pages.kit.words import words
from pages.parts.case import forms
from sync_core.authority import Permission
from sync_core.cases.rules import RULES, Deed, refusal
from sync_core.commands.chosen import CasesChanged
from sync_core.commands.commands import Commands
from sync_core.errors import Function
from sync_core.reads import ExceptionFilter, ExceptionPage, ExceptionRow, ExceptionSort, Reads
from sync_core.reads.amounts import summed_once
from sync_core.replay.replay import ReplayState
from sync_core.replay.selection import Selection

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
    amounts = [(row.contract_id, row.exposure, row.exposure_reporting) for row in chosen]
    money = sentences.money_of(summed_once(amounts, reporting))
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
    """Those that the viewer may ever press; labelled with how many of the chosen rows the command would take."""
    actor = frame.actor()
    if frame.may(Permission.EXCEPTIONS_WRITE):
        assign, acknowledge = _able(picks, Deed.ASSIGN), _able(picks, Deed.ACKNOWLEDGE)
        if _button(f"Assign{assign.n} to me", ":material/person_check:", "assign_me", assign):
            do = partial(commands.cases.assign, actor, assign.ids, actor.name, versions=assign.versions)
            acting.carry_out(_unpicked(picks, assign, do), "Assigning", acting.changed("assigned to you"))
        _dialog_button(f"Assign{assign.n}…", ":material/person_add:", "assign", assign)
        if _button(f"Acknowledge{acknowledge.n}", ":material/visibility:", "acknowledge", acknowledge):
            do = partial(commands.cases.acknowledge, actor, acknowledge.ids, versions=acknowledge.versions)
            acting.carry_out(_unpicked(picks, acknowledge, do), "Acknowledging", acting.changed("acknowledged"))
        hand_over = _able(picks, Deed.HAND_OVER)
        _dialog_button(f"Hand{hand_over.n} over…", ":material/move_up:", "hand_over", hand_over)
    if frame.may(Permission.REPLAY_PREVIEW):
        contracts = {
            row.contract_id for row in picks.rows if actor.may(Permission.REPLAY_PREVIEW, entity=row.legal_entity)
        }
        label = f"Replay {len(contracts):,}" if contracts else "Replay"
        if st.button(label, icon=":material/replay:", key="replay", disabled=not contracts or len(picks) > MOST,
                     help="Preview first: nothing is sent to an ERP before you confirm."):  # fmt: skip
            replay(commands, tuple(sorted(contracts)))
    if frame.may(RULES[Deed.DECIDE].permission):
        decide = _able(picks, Deed.DECIDE)
        _dialog_button(f"Close{decide.n} by decision…", ":material/gavel:", "decide", decide)


@dataclass(frozen=True, slots=True)
class _Able:
    """Of the chosen rows, those that a command would take; and why it would not take the others."""

    rows: tuple[ExceptionRow, ...]
    left_out: Mapping[int, str]

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(row.case_id for row in self.rows)

    @property
    def versions(self) -> dict[int, int]:
        return {row.case_id: row.version for row in self.rows}

    @property
    def n(self) -> str:
        return f" {len(self.rows):,}" if self.rows else ""

    @property
    def blocked(self) -> bool:
        return not self.rows or len(self.rows) + len(self.left_out) > MOST

    @property
    def told(self) -> str:
        """How many of the chosen stay as they are, and why the first of them does."""
        if not self.left_out:
            return ""
        count = len(self.left_out)
        first = acting.sentence(next(iter(self.left_out.values())))
        return f"{fmt.count(count)} of those chosen {'stays' if count == 1 else 'stay'}: {first}"


def _able(picks: Picks[ExceptionRow], deed: Deed) -> _Able:
    refused = {row.case_id: found.words for row in picks.rows if (found := refusal(frame.actor(), deed, row))}
    return _Able(tuple(row for row in picks.rows if row.case_id not in refused), refused)


def _button(label: str, icon: str, key: str, able: _Able) -> bool:
    return st.button(label, icon=icon, key=key, disabled=able.blocked, help=fmt.plain(able.told) or None)


def _dialog_button(label: str, icon: str, name: str, able: _Able) -> None:
    st.button(label, icon=icon, key=f"bar_{name}", disabled=able.blocked, help=fmt.plain(able.told) or None,
              on_click=acting.open_dialog, args=(f"cases_{name}",))  # fmt: skip


def _unpicked(picks: Picks[ExceptionRow], able: _Able, do: Callable[[], CasesChanged]) -> Callable[[], CasesChanged]:
    """What stayed as it was stays chosen, all else is done with."""

    def done() -> CasesChanged:
        result = do()
        picks.keep({*able.left_out, *(one.case_id for one in result.refused)})
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
    told = f"Replay {made.replay_id} is being previewed; nothing is sent before it is confirmed."
    acting.say(told, state=ReplayState.PREVIEWING.value)
    frame.open_page("replay", {"replay": str(made.replay_id)})
    st.rerun()


Dialogs = Mapping[str, tuple[str, str, Callable[[], None]]]


def _dialogs(picks: Picks[ExceptionRow], commands: Commands) -> Dialogs:
    cases, actor = commands.cases, frame.actor()
    to_assign, to_move, to_close = (_able(picks, deed) for deed in (Deed.ASSIGN, Deed.HAND_OVER, Deed.DECIDE))

    def assign(person: str | None) -> CasesChanged:
        do = partial(cases.assign, actor, to_assign.ids, person, versions=to_assign.versions)
        return _unpicked(picks, to_assign, do)()

    def hand_over(to: Function, why: str) -> CasesChanged:
        do = partial(cases.hand_over, actor, to_move.ids, to, why, versions=to_move.versions)
        return _unpicked(picks, to_move, do)()

    def decide(why: str) -> CasesChanged:
        do = partial(cases.decide, actor, to_close.ids, why, versions=to_close.versions)
        return _unpicked(picks, to_close, do)()

    return {
        "cases_assign": (f"Assign {_count(to_assign)}", ":material/person_add:",
                         lambda: forms.assign(to_assign.rows, assign, beside=to_assign.told)),
        "cases_hand_over": (f"Hand {_count(to_move)} over", ":material/move_up:",
                            lambda: forms.hand_over(to_move.rows, hand_over, beside=to_move.told)),
        "cases_decide": (f"Close {_count(to_close)} by decision", ":material/gavel:",
                         lambda: forms.decide(to_close.rows, decide, beside=to_close.told)),
    }  # fmt: skip


def _count(able: _Able) -> str:
    return fmt.plural(len(able.rows), "exception")


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
        "cause": column.TextColumn("Cause", width=210),
        "reporting": column.NumberColumn(f"In {reporting}", format=fmt.money_column(reporting),
                                         help="Exposure: what it keeps from being billed. Empty: no exchange rate"),
        "due": column.TextColumn("Due (calendar)", help="Calendar time to the end of its owner's working time for it"),
        "age": column.TextColumn("Age (calendar)", alignment="right", help="Calendar time since it opened first; the "
                                 "filter by age counts working days"),
        "contract": column.TextColumn("Contract", width=128),
        "customer": column.TextColumn("Customer"),
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
                "Unassigned holds what nobody has taken." if mine else "Clear a filter.",
                icon=":material/filter_alt_off:")  # fmt: skip
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(clear))
