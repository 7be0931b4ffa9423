"""One replay from its preview to its end: what it would do, who said yes, how far it is, what came of each contract."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, data, filters, frame
from pages.kit import format as fmt
from pages.kit.frame import Freshness
from pages.parts.approval import approving
from pages.parts.replay import asked as what_is_asked
from pages.parts.replay import confirm as confirming
from pages.parts.replay import items, progress, start
from pages.parts.replay import moves as moving
from pages.parts.replay import words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.replays import ReplayMoved
from sync_core.reads import Reads
from sync_core.reads.replays import ReplayDetail, ReplayRow
from sync_core.replay.replay import ItemState, ReplayState

_ID: Final = re.compile(r"[0-9]{1,18}")
_EVERY: Final = timedelta(seconds=2)
_WATCHED: Final = "tieline.replay.watched"
_AGAIN: Final = (ItemState.MISMATCH, ItemState.FAILED, ItemState.UNVERIFIABLE, ItemState.CANCELLED)


def draw(reads: Reads, commands: Commands | None, asked: str, now: datetime) -> None:
    """The page of the replay that the URL names."""
    head = st.container()
    with frame.contained("The replay"):
        found = reads.replay(int(asked)) if _ID.fullmatch(asked) else None
        with head:
            _header(found, asked, now)
            _back()
        if found is None:
            with frame.card("unknown", "No such replay", "Replays are found by their number"):
                frame.empty("There is no replay by this link.", "It may be mistyped, or beyond your reach.",
                            icon=":material/search_off:")  # fmt: skip
            return
        acting.said(found.replay.state.value)
        _tell_the_end(found.replay)
        if found.replay.move_to:
            moving.way(found)
        _facts(found.replay)
        if commands is not None:
            _controls(found, reads, commands)
        if _moves(found):
            st.fragment(partial(_live, reads, found), run_every=_EVERY)()
        else:
            progress.draw(found, frame.palette())
            items.draw(reads, found, commands)
            if found.replay.move_to:
                with frame.contained("The reconciliation"):
                    moving.reconciliation(reads, found)
            if not found.replay.state.over:
                st.fragment(partial(_follow, reads, found.replay), run_every=_EVERY)()


def _back() -> None:
    st.button("All replays" if st.query_params.get("view") == "history" else "Back to the list",
              icon=":material/arrow_back:", type="tertiary", key="back_to_list",
              on_click=filters.forget, args=("replay", "item", "after", "before"))  # fmt: skip


def _moves(found: ReplayDetail) -> bool:
    """Workers are at it, so that the page has to look again by itself."""
    return found.replay.state in (ReplayState.PREVIEWING, ReplayState.RUNNING) or found.totals.in_hand > 0


def _live(reads: Reads, drawn: ReplayDetail) -> None:
    """Reads again every few seconds, alone; the whole page once the state has changed."""
    found = reads.replay(drawn.replay.replay_id)
    if found is None or found.replay.version != drawn.replay.version or not _moves(found):
        st.rerun()
        return
    progress.draw(found, frame.palette())
    items.watch(reads, found)


def _follow(reads: Reads, drawn: ReplayRow) -> None:
    """Somebody else may decide on it while this page is open: draw it anew then, and only then."""
    if reads.replay_version(drawn.replay_id) != drawn.version:
        st.rerun()


def _tell_the_end(row: ReplayRow) -> None:
    """A toast when what was under way on this screen is over."""
    before = st.session_state.get(_WATCHED)
    st.session_state[_WATCHED] = (row.replay_id, row.state)
    if before == (row.replay_id, ReplayState.RUNNING) and row.state is ReplayState.FINISHED:
        st.toast(f"{row.noun} {row.replay_id} is over: {fmt.plain(told.progress(row))}", icon=":material/check_circle:")


def _header(found: ReplayDetail | None, asked: str, now: datetime) -> None:
    fresh = Freshness(now, now, data.KEPT)
    if found is None:
        frame.header("Replay", "One replay, from its preview to its end.", fresh)
        return
    row = found.replay
    title = f"{row.noun} {row.replay_id}{': ' + fmt.plain(row.title) if row.title else ''}"
    made = f"made by {fmt.plain(row.created_by)} {fmt.moment(row.created_at)}"
    scope = f"{fmt.plural(found.totals.items, 'contract')}, {made}."
    state, colour, icon = told.state(row)
    with frame.header(title, scope, fresh):
        st.badge(state, icon=icon, color=colour)
        if not found.totals.whole:
            st.badge("Partly beyond your reach", icon=":material/visibility_off:", color="gray",
                     help=f"{row.items - found.totals.items:,} of its contracts are of legal entities that you do not "
                     "see. The numbers below are of the others.")  # fmt: skip


def _facts(row: ReplayRow) -> None:
    said = told.decided(row)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if said:
            st.caption(fmt.plain(said), width="content")
        if row.offered_from:
            st.button(f"Offered again from replay {row.offered_from}", type="tertiary", icon=":material/history:",
                      key="offered_from", on_click=filters.put,
                      args=({"replay": str(row.offered_from)},))  # fmt: skip
        if frame.may(Permission.AUDIT_READ):
            frame.link("audit", "Its audit", icon=":material/policy:", q=f"replay {row.replay_id}")


def _controls(found: ReplayDetail, reads: Reads, commands: Commands) -> None:
    row = found.replay
    if row.state is ReplayState.AWAITING_APPROVAL:
        _second_person(found, reads, commands)
    if row.state.over:
        again = moving.undo if row.move_to else _again
        again(found, commands)
        return
    if not frame.may(Permission.REPLAY_EXECUTE):
        st.caption(":material/lock: An operator may confirm, pause and cancel it.")
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="controls"):
        if row.state is ReplayState.RUNNING:
            _move(commands.replays.pause, row, "Pause", ":material/pause:", "paused: nothing more is dispatched")
        if row.state is ReplayState.PAUSED:
            _move(commands.replays.resume, row, "Resume", ":material/play_arrow:", "goes on")
        if row.state is not ReplayState.PREVIEWED:  # there it stands beside the confirmation
            st.button("Cancel…", icon=":material/cancel:", key="open_cancel", on_click=acting.open_dialog,
                      args=("cancel_replay",))  # fmt: skip
        if row.state in (ReplayState.RUNNING, ReplayState.PAUSED):
            _rate(row, commands)
    what = f"{row.noun.lower()} {row.replay_id}"
    acting.dialog("cancel_replay", f"Cancel {what}", lambda: confirming.cancel(found, commands),
                  icon=":material/cancel:")  # fmt: skip


def _move(do: Callable[..., ReplayMoved], row: ReplayRow, label: str, icon: str, done: str) -> None:
    if st.button(label, icon=icon, key=f"replay_{label.lower()}"):
        act = partial(do, frame.actor(), row.replay_id, version=row.version)
        acting.carry_out(act, label, lambda _: f"{row.noun} {row.replay_id} {done}.")


def _rate(row: ReplayRow, commands: Commands) -> None:
    rate = st.number_input("Contracts a minute", min_value=1, max_value=60_000, value=row.per_minute, width=150,
                           key=f"rate_{row.replay_id}_{row.version}",
                           help="Dispatched over all workers; slower spares the ERP")  # fmt: skip
    if st.button("Set rate", icon=":material/speed:", key="set_rate", disabled=rate == row.per_minute):
        act = partial(commands.replays.set_rate, frame.actor(), row.replay_id, int(rate), version=row.version)
        acting.carry_out(act, "The rate", lambda _: f"{fmt.count(int(rate))} contracts a minute from now on.")


def _second_person(found: ReplayDetail, reads: Reads, commands: Commands) -> None:
    row = found.replay
    asked = reads.replays_asked([row.replay_id], most=what_is_asked.SHOWN)[row.replay_id]
    with frame.card("second", "A second person decides", "Nothing is sent before"):
        st.markdown(f"**{fmt.plain(what_is_asked.headline(row, asked))}**")
        st.markdown(fmt.plain(f"{row.approval_why}. {row.confirmed_by} confirmed it: {row.reason}"))
        what_is_asked.names(row, asked)
        approving.buttons(f"replay_{row.replay_id}", lambda approve, why: decide(commands, row, approve, why),
                          f"{row.noun} {row.replay_id}: {row.approval_why}", why_not=objection(row))  # fmt: skip


def decide(commands: Commands, row: ReplayRow, approve: bool, why: str) -> object:
    """The second person's yes or no."""
    do = commands.replays.approve if approve else commands.replays.refuse
    return do(frame.actor(), row.replay_id, reason=why, version=row.version)


def objection(row: ReplayRow) -> str:
    """Why this viewer cannot be the second person; empty: they can. The command asks again."""
    actor = frame.actor()
    if actor.name.casefold() in (row.created_by.casefold(), (row.confirmed_by or "").casefold()):
        return "You made or confirmed it yourself, so another person decides."
    if not actor.may(Permission.REPLAY_APPROVE):
        return "An approver decides; ask one."
    return ""


def _again(found: ReplayDetail, commands: Commands) -> None:
    count = sum(found.totals.states[state] for state in _AGAIN) + found.totals.changed
    if not count or not frame.may(Permission.REPLAY_PREVIEW):
        return
    if st.button(f"Offer again {count:,}", icon=":material/replay:", key="offer_again",
                 help="A new replay of those that changed, failed, differ, could not be verified or were cancelled. "
                 "It is previewed first."):  # fmt: skip
        made, why_not = acting.attempt(
            partial(commands.replays.offer_again, frame.actor(), found.replay.replay_id), "Offering them again"
        )
        if made is None:
            acting.finish(why_not, worked=False)
        else:
            start.go_to(made.replay_id)
