"""What was invoiced against what the contract says now: the difference that finance settles, milestone by milestone.

Pure. An invoice is never rewritten: too much is credited, too little is billed besides, and the difference is gone when
the ERP reads back as agreed. When a milestone was invoiced and what it is called are history; they are no difference.
Of a contract that bills by milestones, always: invoiced + still to invoice + open differences = value.
"""

from decimal import Decimal
from typing import Final

from sync_core.desired import BillingMilestone, Found, Kind, Rate, plain
from sync_core.findings import Difference
from sync_core.money import padded, rounded, written

CREDIT, REBILL, WITHDRAW = "credit", "re-bill", "withdraw"
_BY_HAND: Final = "it bills on in the ERP, end it there"


def invoiced(held: Found) -> Decimal | None:
    """Net of credit notes where the ERP says so; None: it does not say what it billed."""
    if held.invoiced is not None:
        return held.invoiced
    stated = held.fields.get("amount")
    return None if stated is None else Decimal(str(stated))


def unsettled(held: Found, wanted: BillingMilestone | Rate | None) -> Difference | None:
    """Of an invoiced part; `wanted` None: the contract has it no more. None: its books agree with the contract."""
    what = f"{held.kind.value.replace('_', ' ')} {held.key.partition('#')[2][2:] or held.key}"
    if isinstance(wanted, Rate):
        return _otherwise_priced(held, wanted, what)
    if held.kind is not Kind.MILESTONE:
        return Difference(WITHDRAW, what, None, None)
    billed, currency = invoiced(held), held.fields.get("currency")
    if billed is None:
        return None if wanted else Difference(CREDIT, what, None, None)
    if wanted is not None and currency is not None and currency != wanted.currency:
        anew = f"{padded(wanted.amount, wanted.currency)} {wanted.currency}"
        return Difference(REBILL, what, f"{padded(billed, str(currency))} {currency}", anew, wanted.amount)
    amount = (wanted.amount if wanted else Decimal(0)) - billed
    if not amount:
        return None
    known = wanted.currency if wanted else str(currency or "")
    said = _plain(wanted.amount, known) if wanted else None
    return Difference(CREDIT if amount < 0 else REBILL, what, _plain(billed, known), said, amount)


def _otherwise_priced(held: Found, wanted: Rate, what: str) -> Difference | None:
    """Of the hours that were invoiced, where the ERP says how many they are and at which prices."""
    if not held.invoiced_hours or held.invoiced is None or held.fields.get("currency") != wanted.currency:
        return None
    billed, due = (rounded(one, wanted.currency) for one in (held.invoiced, wanted.rate * held.invoiced_hours))
    if due == billed:
        return None
    said = _plain(billed, wanted.currency), _plain(due, wanted.currency)
    return Difference(CREDIT if due < billed else REBILL, what, *said, due - billed)


def _plain(amount: Decimal, currency: str) -> str:
    return padded(amount, currency) if currency else str(plain(amount))


def told(difference: Difference, currency: str) -> str:
    """In a sentence: what is to be done about it."""
    match difference.kind:
        case kind if kind == WITHDRAW:
            return f"{difference.what} was invoiced and is no longer in the contract; {_BY_HAND}"
        case _ if difference.held is None:
            return f"{difference.what} was invoiced and is no longer in the contract; credit it"
        case _ if " " in difference.held:
            return f"{difference.what} was invoiced with {difference.held}; credit it and bill {difference.wanted}"
    held = written(Decimal(difference.held), currency)
    gone = difference.wanted is None
    says = "is no longer in the contract" if gone else f"is {written(Decimal(difference.wanted or 0), currency)} now"
    do = f"{difference.kind} {written(abs(difference.amount), currency)}"
    return f"{difference.what} was invoiced with {held} and {says}; {do}"
