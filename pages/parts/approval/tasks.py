"""Contracts and approvals: what waits for an approver, what one refused, and what is decided in the CLM."""

from datetime import datetime
from functools import partial

import streamlit as st

from pages.kit import acting, frame, grid
from pages.kit import bill_runs as runs
from pages.kit import format as fmt
from pages.kit.sentences import contract_name
from pages.kit.words import inside
from pages.parts.approval import approving
from pages.parts.case import standing
from sync_core.commands.commands import Commands
from sync_core.estate.estate import Estate
from sync_core.reads import Reads
from sync_core.reads.approvals import ApprovalPage, ApprovalRow, ApprovalStatus


def draw(page: ApprovalPage, reads: Reads, commands: Commands | None, now: datetime) -> None:
    """`page`: of those that wait. The other two kinds are read, and drawn where there are any."""
    estate = reads.estate
    with frame.card("contracts", "Contracts", "Signed above a threshold of the estate; nothing is in the ERP yet",
                    definition="An approval holds up to the amount that is approved. Who corrected what a contract "
                    "says may not approve it."):  # fmt: skip
        if not page.rows:
            frame.empty("No contract waits for an approval.", "Those above a threshold appear here.")
        for row in page.rows:
            _contract(row, estate, commands, now)
        if page.before is not None or page.after is not None:
            grid.pager(page, "approval")
    refused, in_clm = (reads.approvals(status=one) for one in (ApprovalStatus.REFUSED, ApprovalStatus.IN_CLM))
    if refused.rows:
        with frame.card("refused", "Refused", "By an approver; each stays refused until its data changes",
                        definition="Legal renegotiates or cancels it in the CLM, or an approver approves it after "
                        "all."):  # fmt: skip
            _all(refused, estate, commands, now)
    if in_clm.rows:
        with frame.card("in_clm", "Decided in the CLM", "The CLM did not approve the contract, or a clause of it"):
            _all(in_clm, estate, None, now)


def _all(page: ApprovalPage, estate: Estate, commands: Commands | None, now: datetime) -> None:
    for row in page.rows:
        _contract(row, estate, commands, now)
    if page.after is not None:
        st.caption(f"And {page.total - len(page.rows):,} more; the Exceptions page lists all.")


def _contract(row: ApprovalRow, estate: Estate, commands: Commands | None, now: datetime) -> None:
    case = row.case
    with st.container(key=f"task_case_{case.case_id}", border=True, gap="xsmall"):
        value = fmt.money_exact(row.value) if row.value else "an unknown amount"
        name = contract_name(case.title, case.customer_name)
        st.markdown(f"**{fmt.plain(value)}** {fmt.plain(name)}, {fmt.plain(case.legal_entity)}")
        said = standing.refused(row.refused) if row.refused else fmt.plain(acting.sentence(case.message))
        st.markdown(said)
        bill = f"next bill {case.bill_on.day} {case.bill_on:%b %Y}" if case.bill_on else "no bill date"
        run = runs.billing(estate, case.legal_entity, case.bill_on, now)
        billed = f", billed in the run of {run.day}, in {fmt.duration(run.left)} (calendar)" if run else ""
        held = fmt.age(now - (row.held_since or case.opened_at))
        st.caption(fmt.plain(f"With {inside(case.function)} for {held} (calendar). It blocks its provisioning: "
                             f"{bill}{billed}."))  # fmt: skip
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            if commands is not None:
                approving.buttons(
                    f"case_{case.case_id}", partial(_decide, commands, row), f"{case.external_id} {name}: {value}",
                    why_not=_objection(row), after_all=row.status is ApprovalStatus.REFUSED,
                )  # fmt: skip
            frame.link("exceptions", f"Exception {case.case_id}", icon=":material/back_hand:", case=str(case.case_id))
            frame.link("contract", f"Contract {fmt.plain(case.external_id)}", icon=":material/contract:",
                       id=str(case.contract_id))  # fmt: skip


def _decide(commands: Commands, row: ApprovalRow, approve: bool, why: str) -> object:
    return commands.approvals.decide(frame.actor(), row.case.case_id, approve, why, version=row.case.version)


def _objection(row: ApprovalRow) -> str:
    actor = frame.actor()
    if actor.name in row.authors:
        return "You corrected this contract yourself, so another approver must decide."
    return "" if row.may_decide(actor) else acting.sentence(row.who)
