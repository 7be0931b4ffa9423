"""What happened to one exception, who did it, and what they said about it."""

from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.words import inside, words
from sync_core.commands.commands import Commands
from sync_core.reads.case import CaseDetail, CaseMoment

_LONGEST: Final = 4_000
_ICONS: Final = {
    "opened": ":material/flag:",
    "reopened": ":material/restart_alt:",
    "resolved": ":material/check_circle:",
    "decided": ":material/gavel:",
    "assigned": ":material/person_add:",
    "acknowledged": ":material/visibility:",
    "commented": ":material/chat_bubble:",
    "handed_over": ":material/move_up:",
    "corrected": ":material/build:",
    "approved": ":material/thumb_up:",
    "refused": ":material/thumb_down:",
}


def draw(found: CaseDetail, commands: Commands | None, *, may_comment: bool) -> None:
    """Oldest first, with a box for the next comment."""
    with frame.card("history", "History and comments", "Oldest first, UTC"):
        for at, moment in enumerate(found.history):
            _moment(moment, at)
        if not found.history:
            st.caption("Nothing is kept of its past.")
        if commands is not None and may_comment:
            _comment_box(found, commands)


def _moment(moment: CaseMoment, at: int) -> None:
    with st.container(key=f"moment_{at}", gap=None):
        icon = _ICONS.get(moment.what, ":material/event:")
        st.markdown(f"{icon} **{fmt.plain(_told(moment))}** {fmt.moment(moment.occurred_at)}")
        if moment.actor != "tieline":
            st.caption(f"by {fmt.plain(moment.actor)}")
        for line in moment.note.splitlines():
            st.markdown(fmt.plain(line))


def _told(moment: CaseMoment) -> str:
    if moment.what == "assigned":
        return f"Assigned to {moment.assignee or 'nobody'}"
    if moment.what == "handed_over":
        return f"Handed over from {inside(moment.from_function or 'nobody')} to {inside(moment.function)}"
    if moment.what == "resolved" and moment.note:
        return "Resolved"  # by a check, as its note says
    return {"resolved": "Resolved: the ERP was read back", "decided": "Closed by decision"}.get(
        moment.what, words(moment.what)
    )


def _comment_box(found: CaseDetail, commands: Commands) -> None:
    with st.form(f"comment_on_{found.row.case_id}", border=False, clear_on_submit=False):
        key = f"comment_{found.row.case_id}_{len(found.history)}"
        text = st.text_area("Comment", max_chars=_LONGEST, height=80, key=key, placeholder="Everybody who may see the "
                            "exception reads it")  # fmt: skip
        if st.form_submit_button("Comment", icon=":material/chat_bubble:"):
            done, why_not = acting.attempt(
                lambda: commands.cases.comment(frame.actor(), found.row.case_id, text), "The comment"
            )
            if done is None:
                acting.why_not(why_not)
            else:
                acting.finish("Comment added.")
