"""`signed.v2`: as v1, but each amount says its own currency, and so the terms have none of their own.

In v1 a currency stood once, far from the amounts that it was of, and a part in another currency was read as one of the
contract's. In v2 it is refused. What is understood is brought to the form of v1, which is what the core folds; fields
that nobody knows yet stay where they are.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sync_core.contract import BillingKind, Party, Renewal, TaxAttributes


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Money(_Open):
    """An amount in major units, with its currency."""

    amount: Decimal
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217")]


class Line(_Open):
    key: str
    description: str
    amount: Money
    service_line: str | None = None


class DatedMilestone(_Open):
    key: str
    name: str
    amount: Money
    due_on: date
    line: str | None = None


class HourlyRate(_Open):
    category: str
    name: str
    rate: Annotated[Money, Field(description="Of an hour")]
    planned_hours: Decimal = Decimal(0)
    valid_from: date | None = None
    line: str | None = None


class Billing(_Open):
    kind: BillingKind
    payment_terms: str
    invoice_frequency: str = "monthly"
    not_to_exceed: Money | None = None


class TermsV2(_Open):
    title: str
    customer: Party
    legal_entity: str
    service_line: str
    geography: str
    value: Annotated[Money, Field(description="Its currency is the contract's: all other amounts are in it")]
    starts_on: date
    ends_on: date | None
    billing: Billing
    lines: tuple[Line, ...] = ()
    milestones: tuple[DatedMilestone, ...] = ()
    rates: tuple[HourlyRate, ...] = ()
    po_number: str | None = None
    tax: TaxAttributes = TaxAttributes()
    renewal: Renewal = Renewal()
    test: bool = False


class SignedV2(_Open):
    """Fully executed: the whole terms, as of the last signature; each amount with its currency."""

    contract_id: Annotated[str, Field(min_length=1, max_length=120)]
    revision: Annotated[int, Field(ge=0, description="Rises with every change of the contract in its CLM")]
    signed_at: AwareDatetime
    terms: TermsV2


_PARTS: Final = {"lines": "amount", "milestones": "amount", "rates": "rate"}  # each with its field of money
Json = dict[str, Any]


def upcast(data: Mapping[str, Any]) -> Json:
    """The same in the form of v1. Pure; of data that fits SignedV2. Raises ValueError that names a field."""
    terms = dict(data["terms"])
    if "currency" in terms:
        raise ValueError("terms.currency: v2 has none, each amount has its own; leave it out")
    currency = str(terms["value"]["currency"])

    def plain(money: Mapping[str, Any], path: str) -> object:
        if money["currency"] != currency:
            raise ValueError(f"{path}: {money['currency']} is not the currency of terms.value, {currency}; correct it")
        return money["amount"]

    terms |= {"value": plain(terms["value"], "terms.value"), "currency": currency}
    if isinstance(terms.get("billing"), Mapping) and terms["billing"].get("not_to_exceed") is not None:
        cap = plain(terms["billing"]["not_to_exceed"], "terms.billing.not_to_exceed")
        terms["billing"] = {**terms["billing"], "not_to_exceed": cap}
    for part, field in _PARTS.items():
        if part in terms:
            terms[part] = [_plain(one, field, f"terms.{part}.{at}", plain) for at, one in enumerate(terms[part])]
    return {**data, "terms": terms}


def _plain(one: Mapping[str, Any], field: str, path: str, plain: Callable[[Mapping[str, Any], str], object]) -> Json:
    return {**one, field: plain(one[field], f"{path}.{field}")}
