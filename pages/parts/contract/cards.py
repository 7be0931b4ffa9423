"""The cards of one contract that list what it is now: identity, exceptions, billing, financials, ERP objects."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.values import shown
from pages.kit.words import inside, words
from pages.parts.contract import revenue
from sync_core.contract import BillingKind, LabourRate, Milestone, Terms
from sync_core.money import Money
from sync_core.reads import ContractDetail
from sync_core.reads.contract import CaseDetail
from sync_core.reads.invoices import Invoice


def identity(found: ContractDetail) -> None:
    """The names under which other systems and logs know it."""
    row = found.summary
    with frame.card("identity", "Identifiers", "Copy them with the button at the right of each"):
        for label, value in (
            ("Correlation id of the newest event", found.correlation_id),
            ("Contract in the CLM", row.external_id),
            ("CLM source", row.source),
            ("ERP project", row.project_ref),
        ):
            if value:
                st.caption(label)
                st.code(value, language=None, wrap_lines=True)


def exceptions(found: ContractDetail) -> None:
    """Open ones first, each with its history."""
    with frame.card("cases", "Exceptions", "What a person has to help with, and what was helped"):
        if not found.cases:
            st.markdown(":material/check_circle: Never had one.")
        for detail in sorted(found.cases, key=lambda case: case.case.state != "open"):
            _case(detail)


def _case(detail: CaseDetail) -> None:
    case = detail.case
    is_open = case.state == "open"
    badge = ":orange-badge[Open]" if is_open else ":green-badge[Resolved]"
    money = f", {fmt.plain(fmt.money(case.exposure))} exposed" if case.exposure and case.exposure.amount else ""
    st.markdown(f"{badge} **{fmt.plain(words(case.cause))}** with {fmt.plain(inside(case.function))}{money}")
    st.markdown(fmt.plain(case.message))
    lines = [f"{words(moment.what)} {fmt.moment(moment.occurred_at)}" for moment in detail.history]
    frame.link("exceptions", f"Exception {case.case_id}", icon=":material/back_hand:", case=str(case.case_id))
    if is_open and case.due_at:
        lines.append(f"Due {fmt.moment(case.due_at)}")
    st.caption("  \n".join(fmt.plain(line) for line in lines))


def billing(found: ContractDetail) -> None:
    """The schedule or the rate card, and whether it adds up to the value."""
    terms = found.contract.terms if found.contract else None
    sub = "Amounts in the contract's currency"
    with frame.card("billing", "Billing schedule", sub):
        if terms is None:
            frame.empty("No terms yet.", "They come with the signed contract.", icon=":material/receipt_long:")
        elif terms.billing.kind is BillingKind.MILESTONES:
            _milestones(terms, terms.milestones)
        else:
            _rates(terms, terms.rates)
        if found.terms:
            with st.expander("All terms as they are now"):
                currency = terms.currency if terms else None
                rows = [[words(name), shown(name, value, currency)] for name, value in found.terms.items()]
                table("terms", ["Term", "Value"], rows)


def _milestones(terms: Terms, milestones: Sequence[Milestone]) -> None:
    rows = [[one.name, one.key, _day(one.due_on), _exact(one.amount, terms)] for one in milestones]
    total = sum((one.amount for one in milestones), Decimal(0))
    table("milestones", ["Milestone", "Key", "Due", "Amount"], rows)
    _compare("milestones", total, terms)


def _rates(terms: Terms, rates: Sequence[LabourRate]) -> None:
    if not rates:
        frame.empty("No rate card yet.", "Time and materials need one before the project is billable.",
                    icon=":material/receipt_long:")  # fmt: skip
        return
    rows = [
        [
            one.name, one.category, _day(one.valid_from) if one.valid_from else "start", _exact(one.rate, terms),
            f"{one.planned_hours:,}", _exact(one.rate * one.planned_hours, terms),
        ]
        for one in rates
    ]  # fmt: skip
    columns = ["Labour category", "Code", "Valid from", "Rate per hour", "Planned hours", "Planned amount"]
    table("rates", columns, rows)
    cap = terms.billing.not_to_exceed
    limit = "" if cap is None else f" Not to exceed {_exact(cap, terms)}."
    total = sum((one.rate * one.planned_hours for one in rates), Decimal(0))
    st.markdown(fmt.plain(f"Planned {_exact(total, terms)} of {_exact(terms.value, terms)} contract value.{limit}"))


def _compare(what: str, total: Decimal, terms: Terms) -> None:
    if total == terms.value:
        words_ = f"The {what} add up to the contract value, {_exact(terms.value, terms)}."
        st.markdown(f":green-badge[:material/check: Adds up] {fmt.plain(words_)}")
    else:
        words_ = f"The {what} add up to {_exact(total, terms)}; the contract says {_exact(terms.value, terms)}."
        st.markdown(f":orange-badge[:material/difference: Differs] {fmt.plain(words_)}")


def financials(found: ContractDetail) -> None:
    """What the ERP reports of invoices, payments and disputes: a row an invoice, as it is now; and of revenue."""
    with frame.card("financials", "Invoices and revenue", "As the ERP reports them: the latest status of each invoice, "
                    "oldest first, and what is recognised of each contract line"):  # fmt: skip
        if found.invoices:
            table("invoices", ["Invoice", "Issued", "Amount", "Status", "Paid on", "Paid", "Disputes", "ERP"],
                  [_invoice(one) for one in found.invoices])  # fmt: skip
        else:
            st.markdown(":material/receipt_long: Nothing was invoiced yet.")
        revenue.draw(found)


def _invoice(one: Invoice) -> list[str]:
    return [
        one.ref, _day(one.issued_on) if one.issued_on else "", fmt.money_exact(one.money) if one.money else "",
        words(one.status) if one.known else "Not reported yet", _day(one.paid_on) if one.paid_on else "",
        fmt.money_exact(one.paid) if one.paid else "", ", ".join(words(status) for status in one.disputes), one.system,
    ]  # fmt: skip


def crosswalk(found: ContractDetail) -> None:
    """Which ERP object stands for which part of the contract."""
    with frame.card("crosswalk", "In the ERP", "Each object with its own number there, as last read back"):
        if not found.objects:
            st.markdown(":material/lan: Nothing was created yet.")
            return
        rows = [
            [words(one.kind) + (", shared" if one.shared else ""), one.business_key, one.ref or "", words(one.state),
             fmt.moment(one.confirmed_at) if one.confirmed_at else "", one.system]
            for one in found.objects
        ]  # fmt: skip
        table("objects", ["Object", "Business key", "ERP number", "State", "Confirmed", "ERP"], rows)


def _exact(amount: Decimal, terms: Terms) -> str:
    return fmt.money_exact(Money(amount, terms.currency))


def _day(on: date) -> str:
    return f"{on.day} {on:%b %Y}"
