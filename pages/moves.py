"""Moves of contracts from one ERP to another: begin one, watch it, take it back, and reconcile what both ERPs hold.

`/moves?replay=ID` is one move, drawn as the replay that it is.
"""

from functools import partial

import streamlit as st

from pages.kit import acting, data, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.parts.replay import replay as one_replay
from pages.parts.replay import start
from pages.parts.replay import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.moves import Leaving
from sync_core.reads import Reads
from sync_core.reads.replays import ReplayRow

PAGE = Page(
    title="Moves", icon=":material/move_down:", path="moves", order=37, section="More", needs=Permission.REPLAY_READ
)


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("case", "id")
    if asked := st.query_params.get("replay", ""):
        one_replay.draw(reads, commands, asked, now)
        return
    scope = "Contracts that go from one ERP to another. What is invoiced stays; what is left to bill goes over once."
    frame.header("Moves", scope, Freshness(now, now, data.KEPT))
    acting.said()
    if commands is not None:
        with frame.contained("The beginning of a move"):
            _begin(reads, commands)
    with frame.contained("The list of moves"), st.skeleton(height=300):
        _list(reads)


def _begin(reads: Reads, commands: Commands) -> None:
    lanes = sorted(reads.estate.erps)
    with frame.card("begin", "Move a legal entity", "Workers read both ERPs and say what would change"):
        if len(lanes) < 2:
            st.markdown("The estate has one ERP, so there is nowhere to move to.")
            return
        if not frame.may(Permission.REPLAY_PREVIEW):
            st.caption(":material/lock: An operator may preview and confirm a move.")
            return
        entities = data.choices(reads).entities
        with st.form("begin_move", border=False):
            left, middle, right = st.columns(3)
            entity = left.selectbox("Legal entity", list(entities), index=None, placeholder="Choose one",
                                    format_func=lambda code: entities[code])  # fmt: skip
            source = middle.selectbox("From the ERP", lanes, index=None, placeholder="Where they are")
            target = right.selectbox("To the ERP", lanes, index=None, placeholder="Where they go")
            customer = st.text_input("Customer's code (optional)", max_chars=80, placeholder="All customers")
            if st.form_submit_button("Preview the move", type="primary", icon=":material/preview:"):
                _preview(commands, entity, source, target, customer.strip())


def _preview(commands: Commands, entity: str | None, source: str | None, target: str | None, customer: str) -> None:
    if not (entity and source and target):
        acting.why_not("Choose the legal entity and both ERPs.")
        return
    leaving = Leaving(legal_entity=entity, customer=customer)
    do = partial(commands.moves.preview, frame.actor(), leaving, move_from=source, move_to=target,
                 title=f"{entity} from {source} to {target}")  # fmt: skip
    made, why_not = acting.attempt(do, "The preview")
    if made is None:
        acting.why_not(why_not)
    else:
        start.go_to(made.replay_id, noun="Move")


def _list(reads: Reads) -> None:
    page = grid.read_page(lambda window: reads.replays(moves=True, window=window))
    if not page.rows:
        frame.empty("Nothing was moved yet.", "Choose a legal entity and two ERPs, and preview the move.",
                    icon=":material/move_down:")  # fmt: skip
        return
    with frame.card("moves", "All moves", "Newest first; each opens where it stands"):
        for row in page.rows:
            _line(row)
        grid.pager(page, "move")


def _line(row: ReplayRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"line_{row.replay_id}"):
        state, colour, icon = told.state(row)
        st.badge(state, icon=icon, color=colour)
        st.button(f"Move {row.replay_id}: {fmt.plain(row.title)}", type="tertiary", key=f"open_move_{row.replay_id}",
                  on_click=filters.put, args=({"replay": str(row.replay_id)},))  # fmt: skip
        made = f"{told.progress(row)}; made by {row.created_by} {fmt.moment(row.created_at)}"
        st.caption(fmt.plain(made), width="content")
