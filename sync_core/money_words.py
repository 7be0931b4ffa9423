"""Values of contracts and ERP objects in messages: what is an amount has its currency beside it."""

import re
from decimal import Decimal
from typing import Final

from sync_core.money import padded

# They come as texts (see sync_core/desired.py: plain): what is an amount is told from its form and its field's name.
AMOUNTS: Final = ("value", "amount", "rate", "exceed", "price")
NUMBER: Final = re.compile(r"-?\d{1,24}(\.\d{1,8})?")


def is_amount(field: str, value: str) -> bool:
    return NUMBER.fullmatch(value) is not None and field.lower().replace("_", " ").endswith(AMOUNTS)


def said(field: str, value: str | None, currency: str | None) -> str:
    """66382.2 of a contract in USD is 66,382.20 USD; a price keeps all its digits; all else is as it is."""
    if value is None or not currency or not is_amount(field, value):
        return value or ""
    return f"{Decimal(padded(Decimal(value), currency)):,f} {currency}"
