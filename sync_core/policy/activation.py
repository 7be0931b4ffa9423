"""From where on a policy needs a second person before it comes into force: `[policy_activation]` of the estate."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sync_core.errors import InvalidEstate

if TYPE_CHECKING:
    from sync_core.policy.table import Policy

_GUARDS: Final = ("approval", "clause", "mandatory", "tax")


@dataclass(frozen=True)
class Activation:
    """Over the contracts that the back-test says would be decided on differently."""

    second_person_from_count: int = 10  # contracts
    second_person_from_money: Decimal = Decimal(1_000_000)  # their value, in the reporting currency


def check(rules: Activation) -> None:
    """Raises InvalidEstate."""
    if rules.second_person_from_count < 1 or rules.second_person_from_money < 0:
        raise InvalidEstate("[policy_activation]: second_person_from_count is at least 1, the money at least 0")


def guards_differ(before: "Policy", after: "Policy") -> tuple[str, ...]:
    """The tables that keep contracts from being provisioned and are not the same: a back-test cannot see the contracts
    that they will keep, or let through, tomorrow.
    """
    return tuple(name for name in _GUARDS if getattr(before, name) != getattr(after, name))


def why_second(
    rules: Activation, *, changed: int, money: Decimal | None, unreadable: int, currency: str,
    guards: Sequence[str] = (),
) -> str:  # fmt: skip
    """Why a second person must approve; empty: nobody need."""
    if guards:
        return f"what must be there before a contract is provisioned is decided otherwise ({', '.join(guards)})"
    if changed >= rules.second_person_from_count:
        return f"{changed:,} contracts would be decided on differently, {rules.second_person_from_count:,} or more"
    if changed and money is None:
        return "the value of what would be decided on differently is not known: a currency has no exchange rate"
    if money is not None and money >= rules.second_person_from_money and changed:
        return f"contracts over {money:,.0f} {currency} would be decided on differently"
    return f"of {unreadable:,} contracts nothing can be said" if unreadable else ""
