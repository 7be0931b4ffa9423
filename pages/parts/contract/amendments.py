"""The view of a contract's amendments: before and after each, in terms and in what is to be billed, adding up."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import marked, table
from pages.kit.values import amount, day, shown
from pages.kit.words import words
from sync_core.contract import BillingKind
from sync_core.life.amendments import Comparison, Fate, Row, Schedule
from sync_core.reads.amendments import AmendmentHistory, AmendmentRow

_FATES: Final = {
    Fate.SAME: "",
    Fate.ADDED: ":green-badge[:material/add: Added]",
    Fate.REMOVED: ":red-badge[:material/remove: Removed]",
    Fate.MOVED: ":blue-badge[:material/event: Moved]",
    Fate.CHANGED: ":orange-badge[:material/edit: Changed]",
}


def draw(found: AmendmentHistory | None) -> None:
    """Newest first; the newest is open. `found` None: out of reach."""
    if found is None or found.contract is None or found.contract.terms is None:
        with frame.card("amendments", "Amendments", "Before and after each"):
            why = found.unreadable if found and found.unreadable else "Its terms were never sent."
            frame.empty("Nothing can be compared.", fmt.plain(why), icon=":material/difference:")
        return
    currency = found.contract.terms.currency
    _silent(found, currency)
    _books(found, currency)
    with frame.card(
        "amendments", "Amendments", "Newest first; each before and after, in the order in which they apply"
    ):
        if not found.amendments:
            frame.empty("It was never amended.", "What was signed stands.", icon=":material/draw:")
        for at, one in enumerate(reversed(found.amendments)):
            _amendment(found, one, currency, expanded=at == 0)
        if found.more_events:
            st.caption("It has more events than are read here; the newest are left out.")


def _silent(found: AmendmentHistory, currency: str) -> None:
    """What was published otherwise and is not applied."""
    if not found.silent:
        return
    since = f" since {fmt.moment(found.silent_since)}" if found.silent_since else ""
    with frame.card(
        "silent", "Published otherwise, not applied", "No numbered amendment says so; the agreed terms hold"
    ):
        st.markdown(f":orange-badge[:material/help: Silent change]{fmt.plain(since)}")
        rows = [[words(one.what), _side(one.what, one.held, currency), _side(one.what, one.wanted, currency)]
                for one in found.silent]  # fmt: skip
        table("silent", ["Term", "Agreed", "Published"], rows)
        st.caption("It ends when the numbered amendment comes, when the agreed terms are published again, or when "
                   "legal accepts it or closes its exception by decision.")  # fmt: skip


def _books(found: AmendmentHistory, currency: str) -> None:
    """How the contract as it stands is billed: the parts of its value."""
    books, terms = found.books, found.contract.terms if found.contract else None
    if books is None or terms is None or terms.billing.kind is not BillingKind.MILESTONES:
        return
    with frame.card("books", "Invoiced and still to invoice", f"{_as_read(found)}; invoices are never rewritten"):
        rows = [
            [one.name, one.key, _money(one.invoiced, one.invoiced_in or currency),
             _money(one.to_invoice or None, currency), _settle(one, currency), _money(one.after, currency)]
            for one in books.rows
        ]  # fmt: skip
        rows.append(
            ["All", "", _invoiced(books, currency), _money(books.to_invoice, currency),
             _difference(books.difference, currency), _money(books.after, currency)]
        )  # fmt: skip
        table("books", ["Milestone", "Key", "Invoiced", "To invoice", "To settle", "Contract"], rows)
        _adds_up(books, currency)


def _as_read(found: AmendmentHistory) -> str:
    """A run that did not find all as wanted may still have seen what was invoiced: each has its own age."""
    if found.invoiced_at is None:
        return "Not read from an ERP yet"
    invoiced = f"Invoiced as the ERP was read {fmt.moment(found.invoiced_at)}"
    if found.read_at == found.invoiced_at:
        return invoiced
    wanted = f"last {fmt.moment(found.read_at)}" if found.read_at else "not yet"
    return f"{invoiced}; all of it as wanted {wanted}"


def _adds_up(books: Schedule, currency: str) -> None:
    """Only where it does: else how far the milestones are from the value."""
    if books.uncovered:
        gap, value = _money(abs(books.uncovered), currency), _money(books.after, currency)
        told = (f"{gap} of the contract value, {value}, is in no milestone." if books.uncovered > 0 else
                f"The milestones are {gap} more than the contract value, {value}.")  # fmt: skip
        st.markdown(f":orange-badge[:material/warning: Does not add up] {fmt.plain(told)}")
        return
    parts = f"{_invoiced(books, currency)} invoiced, {_money(books.to_invoice, currency)} to invoice"
    if books.difference:
        what = "to bill besides" if books.difference > 0 else "to credit"
        parts += f", {_money(abs(books.difference), currency)} {what} by finance"
    others = ", without what was invoiced in another currency" if books.invoiced_otherwise else ""
    told = f"{parts}: together the contract value, {_money(books.after, currency)}{others}."
    st.markdown(f":green-badge[:material/check: Adds up] {fmt.plain(told)}")


def _amendment(found: AmendmentHistory, one: AmendmentRow, currency: str, *, expanded: bool) -> None:
    step = one.step
    title = f"Amendment {step.number}{f': {step.summary}' if step.summary else ''}"
    delta = f", {_delta(step.comparison)}" if step.comparison else ", waits for the one before it"
    with st.expander(f"**{fmt.plain(title)}**{fmt.plain(delta)}", expanded=expanded):
        st.markdown(fmt.plain(_told(found, one)))
        if step.comparison is None:
            st.markdown(":orange-badge[:material/hourglass_empty: Waits] An amendment before it is missing, so it is "
                        "not applied.")  # fmt: skip
            return
        _terms(step.event_id, step.comparison)
        _schedule(step.event_id, step.comparison)


def _told(found: AmendmentHistory, one: AmendmentRow) -> str:
    """Who signed when, and how long it took to the ERP."""
    step, terms = one.step, found.contract.terms if found.contract else None
    parties = step.signed_by or (f"{terms.customer.name} and {terms.legal_entity}" if terms else "")
    parts = [f"Executed {fmt.moment(step.executed_at)} by {parties}" if parties else
             f"Executed {fmt.moment(step.executed_at)}"]  # fmt: skip
    if step.effective_on:
        parts.append(f"effective {day(step.effective_on)}")
    parts.append(f"received {fmt.moment(one.received_at)}")
    waits = f"in the ERP from {day(step.effective_on)}" if one.later and step.effective_on else ""
    if one.synced_at is None or one.lag is None:
        parts.append(waits if waits and step.all_later else "not confirmed in the ERP yet")
    elif waits and step.all_later:
        parts.append(f"{waits}: read back {fmt.moment(one.synced_at)}")
    else:
        parts.append(f"in the ERP {fmt.moment(one.synced_at)}, {fmt.duration(one.lag)} after it was executed")
    if waits and not step.all_later:
        parts.append(f"{', '.join(words(change.field) for change in one.later)} {waits}")
    return f"{'; '.join(parts)}."


def _delta(made: Comparison) -> str:
    change = made.delta
    if change is None:
        return f"{_money(made.schedule.before, made.currency_before)} → {_money(made.schedule.after, made.currency)}"
    if not change:
        return "value unchanged"
    sign = "+" if change > 0 else "−"
    return f"{sign}{_money(abs(change), made.currency)}"


def _terms(key: str, made: Comparison) -> None:
    if not made.terms:
        st.caption("No term but the schedule changed." if _moved(made.schedule.rows) else "No term changed.")
        return
    rows = [[words(change.field), _side(change.field, change.before, made.currency_before),
             _side(change.field, change.after, made.currency)] for change in made.terms]  # fmt: skip
    table(f"terms_{_safe(key)}", ["Term", "Before", "After"], rows)


def _schedule(key: str, made: Comparison) -> None:
    rows = [_row(one, made) for one in made.schedule.rows]
    if not rows:
        return
    sums = [
        "**All**",
        "",
        "",
        _marked(made.schedule.before, made.currency_before),
        _marked(made.schedule.after, made.currency),
    ]
    columns = ["Part", "Change", "Due", "Before", "After"]
    marked(f"schedule_{_safe(key)}", columns, [*rows, sums])


def _row(one: Row, made: Comparison) -> list[str]:
    badge = _FATES[one.fate]
    if one.invoiced is not None:
        known = one.invoiced_in or made.delta is not None  # else it may be in either
        sum_ = f" {_marked(one.invoiced, one.invoiced_in or made.currency)}" if known else ""
        badge = f"{badge} :gray-badge[:material/receipt_long: Invoiced{sum_}]"
    return [fmt.plain(one.name), badge.strip(), fmt.plain(_dues(one)), _marked(one.before, made.currency_before),
            _marked(one.after, made.currency)]  # fmt: skip


def _dues(one: Row) -> str:
    before, after = (day(on) if on else "" for on in (one.due_before, one.due_after))
    return f"{before} → {after}" if before and after and before != after else after or before


def _moved(rows: Sequence[Row]) -> bool:
    return any(one.fate is not Fate.SAME for one in rows)


def _marked(value: Decimal | None, currency: str) -> str:
    return fmt.plain(_money(value, currency))


def _money(value: Decimal | None, currency: str) -> str:
    return "" if value is None else amount(value, currency)


def _invoiced(books: Schedule, currency: str) -> str:
    """Each currency by itself."""
    others = [_money(sum_, other) for other, sum_ in books.invoiced_otherwise]
    return " and ".join([_money(books.invoiced, currency)] * bool(books.invoiced or not others) + others)


def _settle(one: Row, currency: str) -> str:
    if one.invoiced_in and one.invoiced is not None:
        credit = f"credit {amount(one.invoiced, one.invoiced_in)}"
        return f"{credit} and bill {amount(one.after, currency)}" if one.after else credit
    return _difference(one.difference, currency)


def _difference(value: Decimal, currency: str) -> str:
    if not value:
        return ""
    return f"{'re-bill' if value > 0 else 'credit'} {amount(abs(value), currency)}"


def _side(field: str, value: str | None, currency: str) -> str:
    return "nothing" if value is None else shown(field, value, currency)


def _safe(key: str) -> str:
    """A name for the page's own use: an id may hold anything."""
    return "".join(character if character.isascii() and character.isalnum() else "_" for character in key)[:80]
