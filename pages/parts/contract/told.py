"""What the contract's CLM was told of it: state, project, money, and what the owners of its fields hold."""

from decimal import Decimal
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.values import amount, shown
from pages.kit.words import words
from sync_core.reads import Reads
from sync_core.reads.told import Told
from sync_core.writeback.billing import Billing, RevenueStatus

_STATUS: Final = {
    RevenueStatus.NONE: "nothing recognised yet", RevenueStatus.PARTIAL: "a part of the value",
    RevenueStatus.FULL: "all of the value",
}  # fmt: skip


def draw(reads: Reads, contract_id: int) -> None:
    """Nothing where its CLM was told nothing yet."""
    told = reads.told(contract_id)
    if told is None:
        return
    with frame.card("told", "Told to the CLM", f"Last {fmt.moment(told.told_at)}",
                    definition="Status, project and money go back to the CLM a few seconds after they change, and so "
                    "do fields that the ERP or master data own and say otherwise."):  # fmt: skip
        table("told", ["What", "As told"], _rows(told))
        if told.news_at is not None:
            st.caption(":material/schedule: There is news; it is told within moments, or later where the CLM is down.")


def _rows(told: Told) -> list[list[str]]:
    rows = [["Status", words(told.status)], ["ERP project", " in ".join(filter(None, (told.project_ref, told.erp)))]]
    if told.revision is not None:
        rows.append(["Revision that the ERP holds", str(told.revision)])
    if told.billing is not None:
        money = told.billing
        rows += [[what, amount(sum_, money.currency)] for what, sum_ in _sums(money.billed, money.paid, money.disputed)]
        rows.append(["Revenue", _revenue(money)])
        if money.next_bill_on is not None:
            rows.append(["Next bill", shown("next bill on", money.next_bill_on.isoformat())])
    rows += [
        [f"{_named(path)} (the owner's)", _held(path, value, told.currency)] for path, value in told.values.items()
    ]
    return [*rows, ["Note", told.note]] if told.note else rows


def _sums(billed: Decimal, paid: Decimal, disputed: Decimal) -> list[tuple[str, Decimal]]:
    disputes = [("Disputed", disputed)] if disputed else []
    return [("Billed", billed), ("Paid", paid), *disputes]


def _revenue(money: Billing) -> str:
    if money.recognised is None:
        return words(money.revenue)
    return f"{amount(money.recognised, money.currency)}, {_STATUS[money.revenue]}"


def _named(path: str) -> str:
    return words(path.replace(".", ", ").replace("[", " ").replace("]", ""))


def _held(path: str, value: object, currency: str | None) -> str:
    return "empty" if value is None else shown(path, str(value), currency)
