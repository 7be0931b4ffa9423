"""What an amendment or a correction says of the terms, as its sender writes it."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sync_core.contract import BillingTerms, ContractLine, LabourRate, Milestone, Party, Renewal, TaxAttributes


def _absent() -> Any:
    """Stands where nothing was sent; readers ask `model_fields_set` first."""
    return None


class Changes(BaseModel):
    """New absolute values (never deltas) of what changed; what is absent stays. Parts are replaced by key."""

    model_config = ConfigDict(extra="allow", frozen=True)

    # Absent is not null: only an end date and a purchase order can be taken away.
    title: str = Field(default_factory=_absent)
    customer: Party = Field(default_factory=_absent)
    legal_entity: str = Field(default_factory=_absent)
    service_line: str = Field(default_factory=_absent)
    geography: str = Field(default_factory=_absent)
    currency: str = Field(default_factory=_absent)
    value: Decimal = Field(default_factory=_absent)
    starts_on: date = Field(default_factory=_absent)
    ends_on: date | None = None
    billing: BillingTerms = Field(default_factory=_absent)
    po_number: str | None = None
    tax: TaxAttributes = Field(default_factory=_absent)
    renewal: Renewal = Field(default_factory=_absent)
    test: bool = Field(default_factory=_absent)
    lines: tuple[ContractLine, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    rates: tuple[LabourRate, ...] = ()
    remove_lines: tuple[str, ...] = ()
    remove_milestones: tuple[str, ...] = ()
    remove_rates: tuple[str, ...] = ()


class AmendmentDay(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    number: Annotated[int, Field(ge=1)]
    effective_on: date | None  # null, at once, is said and never guessed
