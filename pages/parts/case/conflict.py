"""An ownership conflict: each field with the contract's value and the ERP's, and a person's word on which counts."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.kit.values import shown
from pages.kit.words import words
from sync_core.commands.commands import Commands
from sync_core.commands.conflicts import Take, may_take
from sync_core.desired import Scalar
from sync_core.reads.case import CaseDetail
from sync_core.reads.conflicts import Conflict
from sync_core.reads.exceptions import ExceptionRow

_CHOICES: Final[Mapping[str, str]] = {
    Take.OURS.value: "Keep the contract's",
    Take.THEIRS.value: "Take the ERP's",
    "": "Not yet",
}


def draw(found: CaseDetail, commands: Commands | None, *, why_not: str) -> None:
    """`why_not`: why the viewer cannot decide; empty: they can."""
    if not found.conflicts:
        return
    row = found.row
    is_open = row.state == "open"
    sub = "Nothing is written to the ERP until somebody decides" if is_open else "As its last run found it"
    with frame.card("conflict", "Two values of one field", sub,
                    definition="The owner is the system whose word counts, by the estate file. A change by another "
                    "system is neither taken over nor overwritten without a word."):  # fmt: skip
        rows = [
            [
                _named(one),
                *(_value(one, value, found.currency) for value in (one.wanted, one.found, one.agreed)),
                one.owner,
            ]
            for one in found.conflicts
        ]
        table("conflict", ["Field", "Contract", "ERP", "Last equal", "Owner"], rows)
        if not is_open or commands is None:
            return
        if why_not:
            st.markdown(f":material/lock: {fmt.plain(why_not)}")
            return
        _ask(found, commands)


def _named(one: Conflict) -> str:
    part = f" {one.part}" if one.part else ""
    return f"{words(one.kind)}{part}, {words(one.field).lower()}"


def _value(one: Conflict, value: Scalar, currency: str | None) -> str:
    if value is None:
        return "–"
    return ("yes" if value else "no") if isinstance(value, bool) else shown(one.field, str(value), currency)


def _ask(found: CaseDetail, commands: Commands) -> None:
    row = found.row
    with st.form(f"conflict_{row.case_id}", border=False):
        chosen = {one.name: _choice(one, row) for one in found.conflicts}
        why = st.text_area("Reason", max_chars=2_000, height=80, key=f"conflict_why_{row.case_id}",
                           placeholder="Why this value is right; kept in the history and in the audit")  # fmt: skip
        if st.form_submit_button("Decide", type="primary", icon=":material/balance:"):
            _decide(found, commands, {name: Take(take) for name, take in chosen.items() if take}, why)


def _choice(one: Conflict, row: ExceptionRow) -> str | None:
    """What the command would take of this viewer; where that is not the ERP's value, why not, and whose it is."""
    taken = [Take.THEIRS.value] if may_take(frame.actor(), one, row.legal_entity) else []
    options = [Take.OURS.value, *taken, ""]
    chosen = st.radio(
        fmt.plain(_named(one)), options, index=len(options) - 1, horizontal=True,
        format_func=lambda option: _CHOICES[option], key=f"conflict_{row.case_id}_{one.name}",
    )  # fmt: skip
    if not taken:
        st.caption(fmt.plain(_not_taken(one)))
    return chosen


def _not_taken(one: Conflict) -> str:
    if one.setter is None:
        return "The contract does not state it, so the ERP's value cannot be taken into it."
    who = words(one.setter)
    return f"The ERP's value is for {who} to take into the contract: hand the exception over to {who} for that."


def _decide(found: CaseDetail, commands: Commands, decisions: Mapping[str, Take], why: str) -> None:
    row = found.row
    if not decisions:
        acting.why_not("Choose a value for at least one field.")
        return
    done, why_not = acting.attempt(
        lambda: commands.conflicts.resolve(frame.actor(), row.case_id, decisions, why, version=row.version), "Deciding"
    )
    if done is None:
        acting.why_not(why_not)
        return
    acting.watch(row.case_id)
    told = [f"{fmt.plural(len(done.kept), 'value')} of the contract to be written to the ERP"] if done.kept else []
    told += [f"{fmt.plural(len(done.taken), 'value')} of the ERP taken into the contract"] if done.taken else []
    acting.finish(f"Decided: {' and '.join(told)}. It closes once the ERP was read back.")
