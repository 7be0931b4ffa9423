"""The contracts of a replay: what each would change, field by field, and what became of it."""

from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.picking import ROW_HEIGHT, Picks
from pages.kit.table import table
from pages.kit.words import action, inside
from pages.parts.contract.history import side
from pages.parts.replay import confirm as confirming
from pages.parts.replay import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.plan import Action
from sync_core.reads import Reads
from sync_core.reads.replay_items import ItemDetail, ItemFilter, ItemPage, ItemRow
from sync_core.reads.replays import ReplayDetail
from sync_core.replay.replay import Effect, ItemState, ReplayState

_DOES: Final = {"writes": "Changes something", "nothing": "Changes nothing", "stopped": "Stopped, cannot be done"}
_ENDS: Final = {state.value: told.ITEM_STATES[state].capitalize() for state in ItemState}
_SEEN: Final = 12


def draw(reads: Reads, found: ReplayDetail, commands: Commands | None) -> None:
    """The list with its filters and, before the confirmation, with the choice of what to carry out."""
    replay_id = found.replay.replay_id
    with st.container(border=True, key="card_items"), frame.contained("The contracts of the replay"):
        wanted = _filters(reads)
        page = grid.read_page(lambda window: reads.replay_items(replay_id, wanted, window=window))
        if not page.rows:
            frame.empty("No contract of it meets these filters.", "Clear a filter.",
                        icon=":material/filter_alt_off:")  # fmt: skip
            return
        if found.replay.state is ReplayState.PREVIEWED:
            picks: Picks[ItemRow] = Picks(f"items_{replay_id}", wanted)
            st.fragment(partial(_choose, page, picks, found, reads, commands))()
        else:
            _plain(page, move=bool(found.replay.move_to))
        grid.pager(page, "contract")
    with frame.contained("What would change"):
        _diff(reads, found, page)


def watch(reads: Reads, found: ReplayDetail) -> None:
    """The list while it moves: nothing to choose, read again and again."""
    with st.container(border=True, key="card_items"), frame.contained("The contracts of the replay"):
        page = grid.read_page(lambda window: reads.replay_items(found.replay.replay_id, window=window))
        _plain(page, move=bool(found.replay.move_to))
        st.caption(f"{page.total_text} contracts, {fmt.count(len(page.rows))} shown; refreshed every two seconds.")


def _filters(reads: Reads) -> ItemFilter:
    with st.grid(3, min_column_width=145, gap="small"):
        does = filters.one("does", "Its plan", _DOES, every="Changes something or nothing")
        ends = filters.several("ends", "State", _ENDS, every="All states")
    filters.unknown()
    states = tuple(ItemState(code) for code in ends)
    if does == "stopped":
        return ItemFilter(states=states, stopped=True)
    return ItemFilter(states=states, writes=does == "writes" if does else None, stopped=False if does else None)


def _choose(
    page: ItemPage, picks: Picks[ItemRow], found: ReplayDetail, reads: Reads, commands: Commands | None
) -> None:
    bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="actionbar")
    picks.grid(_table(page), _columns(move=bool(found.replay.move_to)), {row.contract_id: row for row in page.rows},
               alt="Contracts of the replay; tick some to carry out only those")  # fmt: skip
    with bar:
        if commands is not None and frame.may(Permission.REPLAY_EXECUTE):
            _confirm_button(picks, found)
        if len(picks):
            st.button("Clear", type="tertiary", icon=":material/close:", key="unpick", on_click=picks.clear)
        else:
            st.markdown("Tick contracts to carry out only those.", width="content")
    if commands is not None:
        acting.dialog("confirm_replay", f"Confirm {found.replay.noun.lower()} {found.replay.replay_id}",
                      lambda: confirming.confirm(found, picks.rows, page.rows, reads, commands),
                      icon=":material/replay:")  # fmt: skip


def _confirm_button(picks: Picks[ItemRow], found: ReplayDetail) -> None:
    count = len([row for row in picks.rows if confirming.ready(row)]) if len(picks) else found.totals.ready
    st.button(f"{found.replay.noun} {fmt.plural(count, 'contract')}…", type="primary", icon=":material/replay:",
              key="open_confirm", disabled=not count, on_click=acting.open_dialog,
              args=("confirm_replay",))  # fmt: skip
    if st.button("Cancel…", icon=":material/cancel:", key="open_cancel"):
        acting.open_dialog("cancel_replay")
        st.rerun()  # its dialog belongs to the whole page


def _plain(page: ItemPage, *, move: bool) -> None:
    columns, shown = _columns(move=move), _table(page)
    st.dataframe(
        shown, key="grid_items", column_config=columns, column_order=list(columns), hide_index=True, placeholder="",
        row_height=ROW_HEIGHT, height=min(len(shown) + 1, _SEEN + 1) * ROW_HEIGHT + 2, alt="Contracts of the replay",
    )  # fmt: skip


def _table(page: ItemPage) -> pd.DataFrame:
    rows = page.rows
    return pd.DataFrame(
        {
            "contract": [grid.link(row.contract_id, row.external_id) for row in rows],
            "customer": [row.customer_name for row in rows],
            "entity": [row.legal_entity for row in rows],
            "lane": [row.lane for row in rows],
            "does": [told.effect(row) for row in rows],
            "money": [grid.money_text(row.money) for row in rows],
            "billed": [grid.money_text(row.billed) for row in rows],
            "to_bill": [grid.money_text(row.to_bill) for row in rows],
            "bill_on": [row.bill_on for row in rows],
            "state": [told.outcome(row) for row in rows],
            "words": [row.words for row in rows],
            "known": [told.eligibility(row) for row in rows],
        },
        index=[row.contract_id for row in rows],
    )


def _columns(*, move: bool = False) -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "contract": grid.link_column(),
        "customer": column.TextColumn("Customer"),
        "does": column.TextColumn("What it would do", width="large", help="Numbers of ERP objects; why not, where "
                                  "there is no preview"),
        "money": column.TextColumn("Value", width=136, alignment="right"),
        **(_of_move() if move else {}),
        "bill_on": column.DateColumn("Next bill", format="D MMM YYYY", help="The last one when all have passed"),
        "state": column.TextColumn("State"),
        "words": column.TextColumn("What came of it", width="large"),
        "lane": column.TextColumn("ERP", width="small"),
        "entity": column.TextColumn("Entity", width="small"),
        "known": column.TextColumn("When it was made", help="What was known of the contract then"),
    }  # fmt: skip


def _of_move() -> dict[str, ColumnConfig]:
    """What is invoiced and stays, and what goes over."""
    column = st.column_config
    return {
        "billed": column.TextColumn("Billed, stays", width=136, alignment="right", help="Invoiced where it is now"),
        "to_bill": column.TextColumn("Left to bill", width=136, alignment="right", help="Goes over to the new ERP"),
    }  # fmt: skip


def _diff(reads: Reads, found: ReplayDetail, page: ItemPage) -> None:
    """One contract's plan, chosen from those on the page; the URL names it."""
    known = {str(row.contract_id): f"{row.external_id} {row.title}" for row in page.rows}
    with frame.card("diff", "What would change", "Field by field, against what the ERP held when it was previewed"):
        chosen = filters.pick("item", "Contract", known)
        detail = reads.replay_item(found.replay.replay_id, int(chosen))
        if detail is None:
            st.markdown("It is not there any more.")
            return
        _plan(detail)


def _plan(detail: ItemDetail) -> None:
    row = detail.row
    money = f"Value {fmt.money_exact(row.money)}. " if row.money else ""
    bill = f"Next bill {row.bill_on.day} {row.bill_on:%b %Y}. " if row.bill_on else ""
    when = f"Previewed {fmt.moment(row.previewed_at)}." if row.previewed_at else ""
    st.markdown(fmt.plain(f"{money}{bill}{when}"))
    for finding in row.findings:
        st.markdown(f":orange-badge[:material/front_hand: Stopped before any write] {fmt.plain(finding)}")
    if row.refused is not None:
        st.warning(fmt.plain(told.refused(row.refused)), icon=":material/history:")
    if row.words:
        st.markdown(f"**{fmt.plain(told.outcome(row).capitalize())}**: {fmt.plain(acting.sentence(row.words))}")
    if not detail.effects and not row.findings:
        st.markdown(fmt.plain(acting.sentence(row.preview_why or row.eligibility_why or "it has no preview yet")))
    shown = [cells for effect in detail.effects for cells in _cells(effect, row)]
    if shown:
        table("item", ["Operation", "Object", "Key", "Field", "In the ERP", "Afterwards"], shown)
    with st.container(horizontal=True, gap="medium"):
        frame.link("contract", f"Contract {fmt.plain(row.external_id)}", icon=":material/contract:",
                   id=str(row.contract_id))  # fmt: skip
        if frame.may(Permission.AUDIT_READ):
            frame.link("audit", "Its audit", icon=":material/policy:", contract=row.external_id)


def _cells(effect: Effect, row: ItemRow) -> list[list[str]]:
    """A row per field that changes; one alone for what changes none."""
    where = f" in {effect.system}" if effect.system else ""
    head = [f"{action(effect.action.value)}{where}", inside(effect.kind.value), effect.key]
    before, after = effect.before or {}, effect.after or {}
    names = [*after, *(name for name in before if name not in after)]
    currency = row.money.currency if row.money else None
    if not effect.writes and (not names or (effect.action is Action.NO_OP and effect.words)):
        return [[*head, "", effect.words, ""]]
    changed = [name for name in names if before.get(name) != after.get(name)] or [""]
    lines = []
    for at, name in enumerate(changed):
        was = side(name, before[name], currency) if name in before else "–"
        new = side(name, after[name], currency) if name in after else "–"
        lines.append([*(head if at == 0 else ["", "", ""]), inside(name) if name else effect.words, was, new])
    return lines
