"""What finance may state: the numbers of a baseline, the assumptions that money is worked out with, why invoices are
disputed. Closed sets, so that a misspelt name is refused and not forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

IMPORT: Final = "import"  # the system of financial facts that people imported


class Stated(StrEnum):
    """The two kinds of stated numbers; core of the commands' names and of metrics.stated_value."""

    BASELINE = "baseline"
    ASSUMPTION = "assumption"


MOST: Final = Decimal(10**9)  # of a stated number or a rate: a larger one is a slip


@dataclass(frozen=True, slots=True)
class Number:
    """One number that can be stated."""

    name: str
    says: str  # what it is, with its unit
    most: Decimal = MOST


def _by_name(*numbers: Number) -> Mapping[str, Number]:
    return {number.name: number for number in numbers}


_SHARE: Final = Decimal(1)
BASELINE: Final = _by_name(
    Number("setup_hours", "working hours from the last signature until the contract can be billed, mean"),
    Number("touches_per_contract", "manual touches (entries, corrections, look-ups) per contract set up"),
    Number("dispute_rate", "share of the invoices that were disputed, 0 to 1", _SHARE),
    Number("findings_per_contract", "audit findings about contract and billing data per contract set up"),
    Number("sync_dispute_rate", "share of the invoices disputed because contract and ERP differed, 0 to 1", _SHARE),
    Number("amendment_hours", "working hours from an amendment's execution until the ERP has it, mean"),
    Number("forecast_error", "mean error of the monthly billing forecast as a share of what was billed", Decimal(100)),
)
ASSUMPTIONS: Final = _by_name(
    Number("cost_of_setup_hour", "what an hour costs by which a contract can be billed later, reporting currency"),
    Number("hours_of_touch", "hours of work that one manual touch takes"),
    Number("cost_of_hour", "cost of an hour of work, reporting currency"),
    Number("cost_of_dispute", "cost of handling one billing dispute, reporting currency"),
    Number("cost_of_finding", "cost of one audit finding, reporting currency"),
    Number("cost_of_amendment_hour", "what an hour costs by which an amendment reaches the ERP later"),
    Number("cost_of_forecast_point", "what one percentage point of forecast error costs in a month"),
)
NUMBERS: Final[Mapping[Stated, Mapping[str, Number]]] = {Stated.BASELINE: BASELINE, Stated.ASSUMPTION: ASSUMPTIONS}

# The first six can be a mismatch of contract and ERP; metrics/facts/invoice.py looks whether one is on record.
DISPUTE_CAUSES: Final = (
    "rate", "milestone", "po", "tax", "entity", "amendment", "quality", "quantity", "duplicate", "other",
)  # fmt: skip
DISPUTE_STATES: Final = ("raised", "open", "withdrawn", "upheld", "settled")
