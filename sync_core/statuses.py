"""What the status of an invoice, a payment or a posting of revenue means, in the words of the ERPs.

A draft is not issued. What was voided, or came back, never counts; all of them are treated alike. One list for the
measures, the pages and what the CLM is told.
"""

from typing import Final

DRAFT: Final = ("draft",)
VOID: Final = ("void", "voided", "cancelled", "canceled", "failed", "returned", "reversed", "bounced")
PAID: Final = ("paid",)


def stands(status: str) -> bool:
    """Whether an invoice was issued and stands, a payment came and stayed; `counts` for rows at hand."""
    return status.strip().lower() not in DRAFT + VOID


def paid(status: str) -> bool:
    """`is_paid` for rows at hand."""
    return status.strip().lower() in PAID


def _among(status: str, words: tuple[str, ...]) -> str:
    return f"lower(btrim({status})) IN ({', '.join(repr(word) for word in words)})"


def is_draft(status: str) -> str:
    """SQL: whether the status (an SQL expression) is one of what was not issued yet."""
    return _among(status, DRAFT)


def is_void(status: str) -> str:
    return _among(status, VOID)


def is_paid(status: str) -> str:
    """Of an invoice; it counts as paid in full when its ERP reports no payment."""
    return _among(status, PAID)


def counts(status: str) -> str:
    """SQL: whether an invoice was issued and stands, a payment came and stayed."""
    return f"NOT {_among(status, DRAFT + VOID)}"
