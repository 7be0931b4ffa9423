"""How an exception stands beside its words: how it was closed, what it follows, and what an approver said of it."""

from typing import Final

import streamlit as st

from pages.kit import acting, filters
from pages.kit import format as fmt
from pages.kit.words import inside
from sync_core.reads.approvals import RefusedBefore
from sync_core.reads.case import CLOSED, CaseDetail

_VERBS: Final = {"approved": "Approved", "refused": "Refused", "decided": "Decided"}  # by what its history says


def closed(found: CaseDetail) -> str:
    """When and how, in a sentence; empty for an open one."""
    row = found.row
    if row.state == "open":
        return ""
    when = f" {fmt.moment(row.resolved_at)}" if row.resolved_at else ""
    return f"Closed{when}: {CLOSED.get(row.closed_how or '', 'how is not known')}."


def decided(found: CaseDetail) -> None:
    """Who decided what about it, and why."""
    row = found.row
    if not row.decided_by:
        return
    last = next((moment.what for moment in reversed(found.history) if moment.what in _VERBS), "")
    verb = _VERBS.get(last, "Decided")
    st.markdown(fmt.plain(f"{verb} by {row.decided_by}: {row.decided_reason or ''}"))


def refused(by: RefusedBefore) -> str:
    """By whom, when, and why."""
    return fmt.plain(f"Refused by {by.by} on {fmt.moment(by.at)}: {acting.sentence(by.reason)}")


def links(found: CaseDetail) -> None:
    """To the exception whose correction this one follows, and to the one that was found after its own."""
    if before := found.follows:
        of = f"It follows the correction of exception {before.case_id} ({inside(before.cause)})"
        when = fmt.moment(before.occurred_at)
        st.markdown(fmt.plain(f"{of} by {before.actor}, {when}: {acting.sentence(before.reason)}"))
        _go_to(before.case_id, ":material/arrow_back:")
    if after := found.followed_by:
        st.markdown("The run after its correction found something else.")
        _go_to(after, ":material/arrow_forward:")


def _go_to(case_id: int, icon: str) -> None:
    # Streamlit draws a link from a page to itself anew, but leaves the URL as it was.
    st.button(f"Exception {case_id}", icon=icon, type="tertiary", key=f"go_to_{case_id}",
              on_click=filters.put, args=({"case": str(case_id)},))  # fmt: skip
