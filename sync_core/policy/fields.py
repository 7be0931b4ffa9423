"""The fields that a [[mandatory]] rule may ask for, and which of them a contract lacks. Pure.

What no contract can do without (customer, amounts, rates, tax) is checked for all of them, policy or not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sync_core.contract import Terms


@dataclass(frozen=True, slots=True)
class Field:
    label: str
    held: Callable[[Terms], object]


FIELDS: Final[Mapping[str, Field]] = {
    "po_number": Field("purchase order", lambda terms: terms.po_number),
    "ends_on": Field("end date", lambda terms: terms.ends_on),
    "customer.tax_id": Field("customer's tax number", lambda terms: terms.customer.tax_id),
    "customer.country": Field("customer's country", lambda terms: terms.customer.country),
    "billing.not_to_exceed": Field("cap of time and materials", lambda terms: terms.billing.not_to_exceed),
    "renewal.renews_on": Field("renewal date", lambda terms: terms.renewal.renews_on),
    "renewal.notice_by": Field("notice date", lambda terms: terms.renewal.notice_by),
}


def lacking(terms: Terms, fields: tuple[str, ...]) -> list[str]:
    """Those of `fields` that the contract does not state, in their order."""
    return [name for name in fields if FIELDS[name].held(terms) in (None, "")]
