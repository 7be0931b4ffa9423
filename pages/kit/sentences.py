"""What waits and whose it is, in words: causes, exceptions, contracts, amounts of money. Numbers in, Markdown out."""

from collections.abc import Sequence
from datetime import datetime

from pages.kit import format as fmt
from pages.kit.words import STATE_MEANINGS, inside, words
from sync_core.journal.progress import State
from sync_core.reads import CauseGroup, ContractDetail, MoneyTotal
from sync_core.reads.elsewhere import OnlyObserved


def cause(group: CauseGroup) -> str:
    """One cause as the label of a link: amount, cause, count. A change that holds up no money has no amount."""
    name, contracts = fmt.plain(words(group.cause)), fmt.plural(group.count, "contract")
    if not has_money(group.exposure):
        return f"**{name}**, {contracts}"
    return f"**{amount(group.exposure)}** {name}, {contracts}"


def cause_details(group: CauseGroup, now: datetime) -> str:
    """Whom it waits for, and how late it is."""
    late = f", {group.overdue:,} overdue" if group.overdue else ""
    return f"With {fmt.plain(inside(group.function))}{late}, oldest {fmt.age(now - group.oldest)} (calendar)"


def exceptions_headline(groups: Sequence[CauseGroup], unread: int = 0) -> str:
    """How many are open, how many of them are late, and the largest cause. `unread`: signatures in quarantine."""
    apart = f"**{fmt.plural(unread, 'signature')} in quarantine**" if unread else ""
    if not groups:
        waiting = f"{apart} {'waits' if unread == 1 else 'wait'}" if apart else "Nothing waits"
        return f"**No open exceptions.** {waiting} for a person."
    cases, late = sum(group.count for group in groups), sum(group.overdue for group in groups)
    beside = f"; beside them {apart}" if apart else ""
    return f"**{fmt.plural(cases, 'exception')} open**, {_overdue(cases, late)}{_largest(groups)}{beside}."


def _overdue(cases: int, late: int) -> str:
    if late == cases:
        return "overdue" if cases == 1 else "all of them overdue"
    return f"{late:,} of them overdue" if late else "not overdue" if cases == 1 else "none overdue"


def contract_headline(found: ContractDetail, observed: OnlyObserved | None = None) -> str:
    """Where one contract stands and why, in one sentence. `observed`: what would be done in its ERP, and is not."""
    if observed is not None and found.summary.state is State.WAITING:
        why = fmt.plain(observed.words.partition(";")[0])
        return f"**Not written to its ERP**: {why}. Further down is what Tieline would do there."
    return _stands(found)


def _stands(found: ContractDetail) -> str:
    row, open_cases = found.summary, [one.case for one in found.cases if one.case.state == "open"]
    if row.state is State.DRAFT and open_cases:
        return "**Draft**, and signed as it stands it would not be provisioned. Legal is told why."
    if row.state is State.SUSPENDED and not open_cases:
        return f"**Suspended** since {fmt.moment(row.state_since)}: {fmt.plain(row.suspension)}."
    if open_cases and row.state in (State.ACTIVE, State.SUSPENDED):
        named = [*dict.fromkeys(fmt.plain(words(case.function)) for case in open_cases)]
        whose = f"{', '.join(named[:-1])} and {named[-1]} have" if len(named) > 1 else f"{named[0]} has"
        causes = ", ".join(fmt.plain(inside(case.cause)) for case in open_cases)
        return f"**{words(row.state)}**, and {whose} something to settle beside it: {causes}."
    if open_cases:
        causes = ", ".join(fmt.plain(inside(case.cause)) for case in open_cases)
        functions = ", ".join(dict.fromkeys(fmt.plain(inside(case.function)) for case in open_cases))
        held = ""
        if row.first_active_at is None and row.value and row.value.amount:
            held = f" {fmt.plain(fmt.money(row.value))} cannot be billed until then."
        return f"**Waits for {functions}**: {causes}.{held}"
    if row.state in (State.WAITING, State.SET_ASIDE) and row.last_error:
        why = fmt.plain(row.last_error)
        if found.last_error_class is None:  # nothing is wrong: its ERP takes batches
            return f"**{words(row.state)}** since {fmt.moment(row.state_since)}: {why}."
        return f"**{words(row.state)}** since {fmt.moment(row.state_since)}. Last error: {why}"
    return f"**{words(row.state)}** since {fmt.moment(row.state_since)}. {STATE_MEANINGS[row.state]}"


def without_rate(total: MoneyTotal) -> str:
    """The amounts that could not be converted, by currency; empty if all could."""
    return ", ".join(fmt.money(part.total) for part in total.unconverted)


def contract_name(title: str, customer: str) -> str:
    """A contract's title with its customer, unless the title names the customer already."""
    if not title or not customer:
        return title or customer
    return title if customer.casefold() in title.casefold() else f"{title} for {customer}"


def _largest(groups: Sequence[CauseGroup]) -> str:
    if not groups:
        return ""
    top = groups[0]
    contracts = fmt.plural(top.count, "contract")
    how_much = f"{amount(top.exposure)}, {contracts}" if has_money(top.exposure) else contracts
    return f"; the largest cause is **{fmt.plain(inside(top.cause))}** ({how_much})"


def has_money(total: MoneyTotal) -> bool:
    return bool(total.money.amount or total.unconverted)


def amount(total: MoneyTotal) -> str:
    """The converted sum; if nothing could be converted, what is there in its own currencies."""
    left_out = without_rate(total)
    if left_out and not total.money.amount:
        return left_out
    return fmt.money(total.money)


def money_of(total: MoneyTotal) -> str:
    """The converted sum, and what has no rate beside it."""
    left_out = without_rate(total)
    if not left_out:
        return fmt.money(total.money)
    return f"{fmt.money(total.money)} and {left_out}" if total.money.amount else left_out
