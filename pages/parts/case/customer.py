"""A customer that is much like one of master data: a person says whether it is the same."""

from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from sync_core.commands.commands import Commands
from sync_core.reads.case import CaseDetail
from sync_core.reads.master import Alike, Decision

_OTHER: Final = "another"


def draw(found: CaseDetail, commands: Commands | None, *, why_not: str, not_back: str) -> None:
    """`why_not`: why the viewer cannot decide; empty: they can. `not_back`: the same of taking a decision back."""
    known = found.alike
    is_open = found.row.state == "open"
    if known is None or not (known.records or is_open):
        return  # an open one lists none where a decision was taken back and nothing is alike any more
    stated = known.stated
    with frame.card("customer", "Is it the same customer?", "No second customer is made until somebody says",
                    definition="The decision is of the code that the CLM names: it holds for all of its contracts with "
                    "this code. Merge the records in the CLM too."):  # fmt: skip
        own = ["This contract", stated.code, stated.name, stated.tax_id or "–", stated.country or "–", ""]
        rows = [
            [f"Master data {one.mdm_id}", one.code, one.name, one.tax_id or "–", one.country or "–",
             fmt.plural(one.contracts, "contract")]
            for one in known.records
        ]  # fmt: skip
        table("customer", ["Where", "Code", "Name", "Tax number", "Country", "Bills"], [own, *rows])
        if known.decision is not None:
            _decided(found, known.decision, commands, not_back)
            return
        if not is_open or commands is None:
            return
        if why_not:
            st.markdown(f":material/lock: {fmt.plain(why_not)}")
            return
        _ask(found, commands, list(known.records), stated.code)


def _ask(found: CaseDetail, commands: Commands, records: list[Alike], code: str) -> None:
    row, labels = found.row, {one.id: f"It is {one.code} {one.name}" for one in records}
    with st.form(f"customer_{row.case_id}", border=False):
        options = [*labels, _OTHER]
        chosen = st.radio("Decision", options, index=None, key=f"customer_is_{row.case_id}",
                          format_func=lambda one: fmt.plain(labels.get(one, "It is another customer")))  # fmt: skip
        why = st.text_area("Reason", max_chars=2_000, height=80, key=f"customer_why_{row.case_id}",
                           placeholder="Kept in the history and in the audit")  # fmt: skip
        if st.form_submit_button("Decide", type="primary", icon=":material/merge:"):
            if chosen is None:
                acting.why_not("Choose whether it is one of these customers.")
            else:
                _decide(found, commands, None if chosen == _OTHER else chosen, why, code)


def _decided(found: CaseDetail, one: Decision, commands: Commands | None, not_back: str) -> None:
    st.markdown(fmt.plain(f"{one.code} {one.words}: {one.decided_by} decided it "
                          f"{fmt.moment(one.decided_at)}, because {one.reason}"))  # fmt: skip
    if commands is None:
        return
    if not_back:
        st.markdown(f":material/lock: {fmt.plain(not_back)}")
        return
    key = f"customer_back_{found.row.case_id}"
    with st.form(key, border=False):
        why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the history and in the audit",
                            key=f"{key}_why")  # fmt: skip
        st.caption("Contracts with this code wait for another decision; until then their ERP keeps what it holds.")
        if not st.form_submit_button("Take it back", icon=":material/undo:"):
            return
    done, why_not = acting.attempt(
        lambda: commands.customers.take_back(
            frame.actor(), found.row.case_id, one.code, why, version=found.row.version
        ),
        "Taking it back",
    )
    if done is None:
        acting.why_not(why_not)
        return
    acting.finish(f"Taken back. Contracts of {done.code} that are planned again: {fmt.count(done.contracts)}.")


def _decide(found: CaseDetail, commands: Commands, record: str | None, why: str, code: str) -> None:
    row = found.row
    done, why_not = acting.attempt(
        lambda: commands.customers.identify(frame.actor(), row.case_id, record, why, version=row.version), "Deciding"
    )
    if done is None:
        acting.why_not(why_not)
        return
    acting.watch(row.case_id)
    what = f"{code} is {done.is_code}" if done.is_code else f"{code} is a customer of its own"
    acting.finish(f"{what}. Contracts that waited for it and look again: {fmt.count(done.contracts)}.")
