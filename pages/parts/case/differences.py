"""What two sides of an exception do not agree on, field by field, and legal's word on a silent change."""

from decimal import Decimal
from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.kit.values import amount, shown
from pages.kit.words import words
from sync_core.cases.rules import SILENT
from sync_core.commands.commands import Commands
from sync_core.findings import Difference
from sync_core.life.contract_words import EFFECTIVE, NEVER_SENT
from sync_core.reads.case import CaseDetail

_SIDES: Final = {SILENT: ("Agreed", "Published")}
_BOOKS: Final = ("Invoiced", "Contract")


def draw(found: CaseDetail, commands: Commands | None, *, why_not: str) -> None:
    """`why_not`: why the viewer cannot accept what was published; empty: they can."""
    if not found.differences or found.alike is not None:
        return
    row, silent = found.row, found.row.cause == SILENT
    currency = row.exposure.currency if row.exposure else None
    left, right = _SIDES.get(row.cause, _BOOKS)
    sub = "The agreed terms hold until somebody decides" if silent else "Invoices stay as they are; settle the rest"
    with frame.card("differences", "What differs", sub):
        rows = [_row(one, currency, silent=silent) for one in found.differences]
        columns = ["Term", left, right] if silent else ["Part", "To do", left, right, "By"]
        table("differences", columns, rows)
        frame.link("contract", "Amendments, before and after", icon=":material/difference:", id=str(row.contract_id),
                   view="amendments")  # fmt: skip
        if silent and row.state == "open" and commands is not None:
            st.button("Accept what was published…", icon=":material/handshake:", key="open_case_accept",
                      disabled=bool(why_not), help=why_not or None, on_click=acting.open_dialog,
                      args=(f"case_accept_{row.case_id}",))  # fmt: skip
            acting.dialog(f"case_accept_{row.case_id}", "Accept what was published", lambda: _accept(found, commands),
                          icon=":material/handshake:")  # fmt: skip


def _row(one: Difference, currency: str | None, *, silent: bool) -> list[str]:
    held, wanted = (_side(one.what, value, currency, money=not silent) for value in (one.held, one.wanted))
    if silent:
        return [words(one.what), held, wanted]
    return [words(one.what), words(one.kind), held, wanted, amount(abs(one.amount), currency) if one.amount else ""]


def _side(what: str, value: str | None, currency: str | None, *, money: bool) -> str:
    if value is None:
        return "nothing"
    return amount(Decimal(value), currency) if money and " " not in value else shown(what, value, currency)


def _accept(found: CaseDetail, commands: Commands) -> None:
    row = found.row
    st.markdown(f"The contract {fmt.plain(row.external_id)} will say what its CLM published, and its ERP will follow. "
                "It is stored as a correction with your name.")  # fmt: skip
    if any(one.what.endswith(f", {EFFECTIVE}") and NEVER_SENT not in one.what for one in found.differences):
        st.markdown(
            "The amendment will hold from the day that was published. While that is ahead, the terms of before "
            "hold, in the ERP too, and also where the amendment holds already. Invoices stay as they are."
        )
    with st.form(f"accept_{row.case_id}", border=False):
        why = st.text_area("Reason", max_chars=2_000, height=80, placeholder="Kept in the history and in the audit")
        if st.form_submit_button("Accept", type="primary", icon=":material/handshake:"):
            result, why_not = acting.attempt(
                lambda: commands.amendments.accept(frame.actor(), row.case_id, why, version=row.version), "Accepting"
            )
            if result is None:
                acting.why_not(why_not)
            else:
                acting.watch(row.case_id)
                acting.finish("Accepted. The contract is due now, and its ERP follows.")
