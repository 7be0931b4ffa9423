"""What a CLM is told of a contract's money."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class RevenueStatus(StrEnum):
    """How much of a contract's value its ERP has recognised as revenue."""

    NOT_REPORTED = "not_reported"  # an ERP that bills it reports no revenue
    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Billing:
    """What an ERP billed and recognised of a contract, in its currency, without tax."""

    currency: str
    billed: Decimal
    paid: Decimal
    disputed: Decimal  # by disputes that are open
    next_bill_on: date | None = None
    recognised: Decimal | None = None  # postings less reversals; None: not reported
    revenue: RevenueStatus = RevenueStatus.NOT_REPORTED

    @property
    def stored(self) -> dict[str, str | None]:
        """As plain JSON; amounts as texts."""
        day = self.next_bill_on.isoformat() if self.next_bill_on else None
        recognised = None if self.recognised is None else str(self.recognised)
        return {"currency": self.currency, "billed": str(self.billed), "paid": str(self.paid),
                "disputed": str(self.disputed), "next_bill_on": day, "recognised": recognised,
                "revenue": self.revenue.value}  # fmt: skip


def revenue_status(recognised: Decimal | None, value: Decimal | None) -> RevenueStatus:
    """`value`: of the contract, in the same currency."""
    if recognised is None:
        return RevenueStatus.NOT_REPORTED
    if not recognised:
        return RevenueStatus.NONE
    return RevenueStatus.FULL if value is not None and recognised >= value > 0 else RevenueStatus.PARTIAL
