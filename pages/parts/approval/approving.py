"""Approve or refuse, with a reason: two buttons and the dialog behind each."""

from collections.abc import Callable

import streamlit as st

from pages.kit import acting
from pages.kit import format as fmt

_REASON = "Kept in the history and in the audit"


def buttons(
    key: str, decide: Callable[[bool, str], object], what: str, *, why_not: str = "", after_all: bool = False
) -> None:
    """`what` is decided on, in one sentence. `why_not`: why this viewer cannot; the buttons are disabled then.

    `after_all`: it was refused before, so that approving it is all that can be done.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for verb, icon in (("Approve", ":material/thumb_up:"), ("Refuse", ":material/thumb_down:")):
            if after_all and verb == "Refuse":
                continue
            label = f"{verb} after all…" if after_all else f"{verb}…"
            st.button(label, icon=icon, key=f"{verb.lower()}_{key}", disabled=bool(why_not),
                      help=fmt.plain(why_not) or None, on_click=acting.open_dialog,
                      args=(f"{verb.lower()}_{key}",))  # fmt: skip
        if why_not:
            st.caption(f":material/lock: {fmt.plain(why_not)}")
    if not why_not:
        acting.dialog(f"approve_{key}", "Approve", lambda: _body(key, True, decide, what), icon=":material/thumb_up:")
        acting.dialog(f"refuse_{key}", "Refuse", lambda: _body(key, False, decide, what), icon=":material/thumb_down:")


def _body(key: str, approve: bool, decide: Callable[[bool, str], object], what: str) -> None:
    verb = "Approve" if approve else "Refuse"
    st.markdown(fmt.plain(what))
    with st.form(f"decide_{key}", border=False):
        reason = st.text_area("Reason", max_chars=2_000, height=80, placeholder=_REASON)
        if st.form_submit_button(verb, type="primary", icon=":material/check:" if approve else ":material/block:"):
            done, why_not = acting.attempt(lambda: decide(approve, reason), "The decision")
            if done is None:
                acting.why_not(why_not)
            else:
                acting.finish(f"{'Approved' if approve else 'Refused'}: {what}")
