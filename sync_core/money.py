"""Money: exact amounts in major units with the number of decimals that ISO 4217 gives the currency.

Source of the exponents: ISO 4217 list one. Babel's CLDR digits differ from it (ALL, AFN: 0 there, 2 in ISO),
and contracts follow ISO.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from typing import Final

from babel.numbers import list_currencies

from sync_core.errors import InvalidMoney

MOST_DIGITS: Final = 18  # before the point: far above any contract, within Decimal's exact range
# Sums and products of what came in may have more than the 28 digits that Decimal else keeps: they are rounded all the
# same, as every amount that is there can be shown.
EXACT: Final = Context(prec=400, rounding=ROUND_HALF_EVEN)
_NO_MINOR_UNIT = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
_FOUR_DECIMALS = frozenset(["CLF", "UYW"])


@cache
def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit: USD 2, JPY 0, KWD 3. Raises InvalidMoney for no currency."""
    if currency not in list_currencies():
        raise InvalidMoney(f"{currency!r} is no ISO 4217 currency code; use three capital letters such as EUR")
    if currency in _NO_MINOR_UNIT:
        return 0
    if currency in _THREE_DECIMALS:
        return 3
    return 4 if currency in _FOUR_DECIMALS else 2


def quantum(currency: str) -> Decimal:
    """The smallest amount of the currency: 0.01 for USD, 1 for PYG."""
    return Decimal(1).scaleb(-exponent(currency))


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount. Arithmetic across currencies raises InvalidMoney."""

    amount: Decimal  # major units: 12.50, never 1250
    currency: str  # ISO 4217

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> "Money":
        """Refuses an amount finer than the currency's minor unit: rounding a contract would change it."""
        value = Decimal(amount)
        if not value.is_finite():
            raise InvalidMoney(f"{amount} is not an amount of money; send a plain decimal")
        if value.adjusted() >= MOST_DIGITS:
            raise InvalidMoney(f"{value} is more money than there is; check the amount")
        exact = value.quantize(quantum(currency), rounding=ROUND_HALF_EVEN)
        if exact != value:
            raise InvalidMoney(
                f"{value} {currency} has more than {exponent(currency)} decimals; send a whole number of minor units"
            )
        return cls(exact, currency)

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise InvalidMoney(f"{self.currency} and {other.currency} cannot be added; convert with a dated rate first")


def storable(value: Decimal) -> bool:
    """Within what the database's numeric and a float priority hold; the currency's own decimals are another matter."""
    return -MOST_DIGITS <= value.adjusted() < MOST_DIGITS and len(value.as_tuple().digits) <= 2 * MOST_DIGITS


def padded(amount: Decimal, currency: str) -> str:
    """As programs get it: plain digits with at least the currency's decimals, "970000.00"; nothing is rounded away.

    What was converted may be finer; of that, zeros at the end are left out. A currency that is none keeps its digits.
    """
    try:
        decimals = exponent(currency)
    except InvalidMoney:
        return format(amount, "f")
    whole, _, rest = format(amount, "f").partition(".")
    rest = rest.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{rest}" if rest else whole


def written(amount: Decimal, currency: str) -> str:
    """As people read it: "1,250.500 KWD", "1,250 JPY". A currency that is none keeps its digits."""
    try:
        return f"{amount:,.{exponent(currency)}f} {currency}"
    except InvalidMoney:
        return f"{amount:,f} {currency}"


def worth(amount: Decimal | None, reporting: str) -> Decimal | None:
    """What was converted, as the KPIs have it: to the minor unit, row by row, so that rows add up to their sum."""
    return None if amount is None else rounded(amount, reporting)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Half-even to the minor unit: for results of multiplication, never for what a contract states."""
    return amount.quantize(quantum(currency), context=EXACT)
