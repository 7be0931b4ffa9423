"""What of a contract its ERP has recognised as revenue, line by line, against what it billed."""

import streamlit as st

from pages.kit import format as fmt
from pages.kit.table import table
from sync_core.contract import Terms
from sync_core.derive import lines_of
from sync_core.money import Money
from sync_core.reads import ContractDetail
from sync_core.reads.invoices import totals
from sync_core.reads.revenue import Earned, Revenue


def draw(found: ContractDetail) -> None:
    """Below the invoices. Nothing, where the contract was never in an ERP."""
    earned, row = found.revenue, found.summary
    if earned.silent:
        st.caption(f":material/trending_flat: Revenue: not reported by {fmt.plain(', '.join(earned.silent))}.")
    if earned.unasked:
        st.caption(f":material/schedule: Revenue: not asked yet: {fmt.plain(', '.join(earned.unasked))}.")
    if earned.lines and row.value is not None:
        terms = found.contract.terms if found.contract else None
        table("revenue", ["Contract line", "Agreed", "Recognised", "Reversed", "Last posted", "ERP"],
              [_line(one, terms) for one in earned.lines])  # fmt: skip
        billed, _ = totals(found.invoices, row.value.currency)
        st.markdown(fmt.plain(_against(earned, billed)))
    elif row.first_active_at is not None and not earned.silent and not earned.unasked:
        st.caption(":material/trending_flat: No revenue was posted yet.")


def _against(earned: Revenue, billed: Money) -> str:
    recognised = earned.total(billed.currency)
    if recognised is None:
        return f"{fmt.money_exact(billed)} is billed; what is recognised is known of a part of it."
    said = f"{fmt.money_exact(recognised)} is recognised as revenue, {fmt.money_exact(billed)} is billed"
    ahead = billed.amount - recognised.amount
    if not ahead:
        return f"{said}."
    rest = fmt.money_exact(Money(abs(ahead), billed.currency))
    return f"{said}: {rest} is {'billed and not earned yet' if ahead > 0 else 'earned and not billed yet'}."


def _line(one: Earned, terms: Terms | None) -> list[str]:
    name, agreed = _agreed(one.line, terms)
    return [
        name, agreed, fmt.money_exact(one.money), fmt.money_exact(one.reversed) if one.reversed.amount else "",
        f"{one.last_on.day} {one.last_on:%b %Y}", one.system,
    ]  # fmt: skip


def _agreed(key: str | None, terms: Terms | None) -> tuple[str, str]:
    """The line's words and amount in the contract, where it still has it."""
    if key is None:
        return "The project as a whole", ""
    _, _, own = key.rpartition("#L:")
    line = next((line for line in (lines_of(terms) if terms else ()) if line.key == own), None)
    if line is None or terms is None:
        return key, ""
    return f"{line.description} ({own})", fmt.money_exact(Money(line.amount, terms.currency))
