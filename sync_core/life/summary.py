"""What a contract's row shows and sorts by, taken from its terms. Pure.

Intake writes it when an event arrives, so that a contract can be found and queued at once; the reconciler
writes it again from the fold, which has the last word.
"""

import calendar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from sync_core.contract import BillingKind, Terms
from sync_core.errors import InvalidMoney
from sync_core.estate.estate import Estate
from sync_core.money import exponent, worth

DRAFT_PRIORITY: Final = -1.0  # a look at a draft waits for every contract that was signed


@dataclass(frozen=True, slots=True)
class Summary:
    title: str
    customer_code: str
    customer_name: str
    legal_entity: str
    service_line: str
    geography: str
    billing: str
    currency: str
    value: Decimal
    value_reporting: Decimal | None  # in the group's reporting currency; None: no rate for the currency
    bill_on: date | None  # next bill date, or the last one when all are past
    lane: str  # "" while no ERP is known for the legal entity
    priority: float
    test: bool


def summarise(terms: Terms, estate: Estate, *, on: date) -> Summary:
    """The row's columns as of the day `on`."""
    converted = estate.to_reporting(terms.value, terms.currency, on) if _is_currency(terms.currency) else None
    reporting = worth(converted, estate.group.reporting_currency)
    bill_on = next_bill_date(terms, on)
    return Summary(
        title=terms.title,
        customer_code=terms.customer.code,
        customer_name=terms.customer.name,
        legal_entity=terms.legal_entity,
        service_line=terms.service_line,
        geography=terms.geography,
        billing=terms.billing.kind.value,
        currency=terms.currency,
        value=terms.value,
        value_reporting=reporting,
        bill_on=bill_on,
        lane=estate.lane_of(terms) or "",
        priority=priority(reporting, bill_on, on),
        test=terms.test,
    )


def _is_currency(code: str) -> bool:
    try:
        exponent(code)
    except InvalidMoney:
        return False
    return True


def next_bill_date(terms: Terms, on: date) -> date:
    """The first milestone not before `on` (else the last one); for T&M the end of the month that bills next."""
    if terms.billing.kind is BillingKind.MILESTONES and terms.milestones:
        dates = sorted(milestone.due_on for milestone in terms.milestones)
        return next((due for due in dates if due >= on), dates[-1])
    month = max(on, terms.starts_on)
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def priority(value_reporting: Decimal | None, bill_on: date | None, on: date) -> float:
    """Money per day that is left until it should be billed; more is more urgent. Unknown money goes last."""
    if value_reporting is None:
        return 0.0
    days = (bill_on - on).days if bill_on else 365
    return float(value_reporting) / max(days, 1)
