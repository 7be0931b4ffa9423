"""The dialogs about exceptions: what will happen to which of them, and why. For one as for many."""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.words import FUNCTIONS, inside, words
from sync_core.commands.chosen import CasesChanged
from sync_core.errors import Function
from sync_core.reads import ExceptionRow

_SHOWN = 6


def assign(rows: Sequence[ExceptionRow], do: Callable[[str | None], CasesChanged], *, beside: str = "") -> None:
    """Ask for a person, or for nobody. `beside`: what is said of rows that are left out."""
    _which(rows, beside)
    with st.form(_key("assign", rows), border=False):
        person = st.text_input(
            "Assign to",
            placeholder="name@example.com",
            max_chars=200,
            help="As they are known to the identity provider; leave empty to assign to nobody.",
        )
        label = f"Assign {fmt.count(len(rows))}"
        if st.form_submit_button(label, type="primary", icon=":material/person_add:"):
            who = person.strip() or None
            _do(lambda: do(who), "Assigning", f"assigned to {who or 'nobody'}")


def hand_over(rows: Sequence[ExceptionRow], do: Callable[[Function, str], CasesChanged], *, beside: str = "") -> None:
    """Ask for a function and a reason."""
    st.markdown("The other function's own time begins now, and nobody there has it yet.")
    _which(rows, beside)
    with st.form(_key("hand_over", rows), border=False):
        held = {row.function for row in rows}
        choices = [code for code in FUNCTIONS if held != {code}]
        function = st.selectbox("To", choices, index=None, format_func=words, placeholder="Choose a function")
        why = st.text_area("Reason", max_chars=2_000, height=80, placeholder="Kept in the history and in the audit")
        if st.form_submit_button(f"Hand {fmt.count(len(rows))} over", type="primary", icon=":material/move_up:"):
            if function is None:
                acting.why_not("Choose the function that shall have it.")
            else:
                _do(lambda: do(Function(function), why), "Handing over", f"handed over to {inside(function)}")


def decide(rows: Sequence[ExceptionRow], do: Callable[[str], CasesChanged], *, beside: str = "") -> None:
    """Ask why they will not be mended."""
    st.markdown(
        "Closed without being mended: they come back only with a new event of the contract, or with other words. "
        "The contracts stay as they are."
    )
    _which(rows, beside)
    with st.form(_key("decide", rows), border=False):
        why = st.text_area("Reason", max_chars=2_000, height=80, placeholder="Kept in the history and in the audit")
        label = f"Close {fmt.count(len(rows))} by decision"
        if st.form_submit_button(label, type="primary", icon=":material/gavel:"):
            _do(lambda: do(why), "Closing", "closed by decision")


def _key(form: str, rows: Sequence[ExceptionRow]) -> str:
    """What was typed about one exception is never read for another."""
    return f"{form}_{rows[0].case_id if rows else 0}"


def _do(do: Callable[[], CasesChanged], what: str, done: str) -> None:
    result, why_not = acting.attempt(do, what)
    if result is None:
        acting.why_not(why_not)
    else:
        acting.finish(acting.changed(done)(result))


def _which(rows: Sequence[ExceptionRow], beside: str) -> None:
    if beside:
        st.caption(f":material/info: {fmt.plain(beside)}")
    shown = pd.DataFrame(
        [
            [fmt.plain(row.external_id), fmt.plain(words(row.cause)), fmt.plain(words(row.function)),
             fmt.plain(fmt.money(row.exposure)) if row.exposure else ""]
            for row in rows[:_SHOWN]
        ],
        columns=["Contract", "Cause", "Function", "Exposure"],
    )  # fmt: skip
    st.table(shown, border="horizontal", hide_index=True)
    if len(rows) > _SHOWN:
        st.caption(frame.plain_dollars(f"and {fmt.count(len(rows) - _SHOWN)} more"))
