"""From where on a policy needs a second person before it comes into force: `[policy_activation]` of the estate."""

from dataclasses import dataclass
from decimal import Decimal

from sync_core.errors import InvalidEstate


@dataclass(frozen=True)
class Activation:
    """Over the contracts that the back-test says would be decided on differently."""

    second_person_from_count: int = 10  # contracts
    second_person_from_money: Decimal = Decimal(1_000_000)  # their value, in the reporting currency


def check(rules: Activation) -> None:
    """Raises InvalidEstate."""
    if rules.second_person_from_count < 1 or rules.second_person_from_money < 0:
        raise InvalidEstate("[policy_activation]: second_person_from_count is at least 1, the money at least 0")


def why_second(rules: Activation, *, changed: int, money: Decimal | None, unreadable: int, currency: str) -> str:
    """Why a second person must approve; empty: nobody need."""
    if changed >= rules.second_person_from_count:
        return f"{changed:,} contracts would be decided on differently, {rules.second_person_from_count:,} or more"
    if changed and money is None:
        return "the value of what would be decided on differently is not known: a currency has no exchange rate"
    if money is not None and money >= rules.second_person_from_money and changed:
        return f"contracts over {money:,.0f} {currency} would be decided on differently"
    return f"of {unreadable:,} contracts nothing can be said" if unreadable else ""
