"""Filters that people keep by name, for themselves or for everybody. They hold codes, as the URL does."""

from collections.abc import Sequence

import streamlit as st

from pages.kit import acting, filters, frame
from pages.kit import format as fmt
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.filters import SavedFilter


def draw(reads: Reads, commands: Commands | None, names: Sequence[str]) -> None:
    """A popover at the head of the page. `names`: the URL's parameters that a filter holds."""
    with st.popover("Saved filters", icon=":material/bookmark:", key="saved_filters"):
        me = frame.actor().name
        kept = reads.saved_filters(me)
        if not kept:
            st.caption("None yet.")
        for one in kept:
            _line(one, me, commands, names)
        if commands is not None and frame.may(Permission.EXCEPTIONS_WRITE):
            _save(commands, names)


def _line(one: SavedFilter, me: str, commands: Commands | None, names: Sequence[str]) -> None:
    key = f"{one.owner}_{one.name}"
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        whose = "" if one.owner == me else f" (shared by {one.owner})"
        asked = {name: str(one.query.get(name, "")) for name in (*names, "sort")}
        st.button(fmt.plain(one.name + whose), icon=":material/filter_alt:", type="tertiary", key=f"use_{key}",
                  on_click=filters.put, args=(asked,))  # fmt: skip
        if (
            one.owner == me
            and commands is not None
            and st.button("Delete", icon=":material/delete:", type="tertiary", key=f"forget_{key}")
        ):
            acting.carry_out(lambda: commands.cases.delete_filter(frame.actor(), one.name), "Deleting the filter",
                             lambda done: f"Filter “{done.name}” deleted.")  # fmt: skip


def _save(commands: Commands, names: Sequence[str]) -> None:
    now = filters.current()
    asked = {name: value for name in (*names, "sort") for value in [now.get(name, "")] if value}
    query = {name: value if isinstance(value, str) else value[-1] for name, value in asked.items()}
    with st.form("save_filter", border=False):
        name = st.text_input("Save what is filtered now as", max_chars=200, placeholder="Tax, overdue")
        shared = st.checkbox("Everybody may use it")
        if st.form_submit_button("Save", icon=":material/bookmark_add:"):
            done, why_not = acting.attempt(
                lambda: commands.cases.save_filter(frame.actor(), name, query, shared=shared), "Saving the filter"
            )
            if done is None:
                acting.why_not(why_not)
            else:
                acting.finish(f"Filter “{done.name}” saved.")
