"""Values of contracts and ERP objects as a reader wants them: days and times in words, amounts with their currency.

They come as texts (see sync_core/desired.py: plain): what is one of those is told from its form and its field's name.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from pages.kit import format as fmt
from sync_core.money import Money
from sync_core.money_words import NUMBER, is_amount

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_COUNTS: Final = ("hours", "quantity")


def shown(field: str, value: str, currency: str | None = None) -> str:
    """66382.2 of a contract in USD is $66,382.20; an ISO time is "2 Mar 2026 10:00 UTC"; all else as it is."""
    if _MOMENT.fullmatch(value):
        return fmt.moment(datetime.fromisoformat(value))
    if _DAY.fullmatch(value):
        return day(value)
    name = field.lower().replace("_", " ")
    if is_amount(field, value):
        return amount(Decimal(value), currency)
    if NUMBER.fullmatch(value) and name.endswith(_COUNTS):
        return f"{Decimal(value):,f}"
    return value


def amount(value: Decimal, currency: str | None) -> str:
    """With its currency; with separators alone where that is not known."""
    return f"{value:,.2f}" if not currency else fmt.money_exact(Money(value, currency))


def day(value: str | date) -> str:
    """29 May 2026; what is no date stays as it is."""
    try:
        on = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return f"{on.day} {on:%b %Y}"
