"""A reason why a contract may not be provisioned yet, or a task that stands beside it: what an exception is made of."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from sync_core.errors import ErrorClass, Function


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which two sides do not agree. `amount`: by how much money the right one is more, less below zero."""

    kind: str  # "credit", "re-bill", "withdraw"; "changed" of terms
    what: str  # "milestone design", "value"
    held: str | None  # what was invoiced, or agreed
    wanted: str | None  # what the contract says, or was published; None: nothing of it
    amount: Decimal = Decimal(0)

    @property
    def stored(self) -> dict[str, str | None]:
        """As plain JSON, in the exception's `detail`."""
        return {"kind": self.kind, "what": self.what, "held": self.held, "wanted": self.wanted,
                "amount": str(self.amount)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """`money`: what it is about, in the contract's currency; None: all that waits for the contract."""

    error_class: ErrorClass
    cause: str
    function: Function
    message: str
    money: Decimal | None = None
    differences: tuple[Difference, ...] = ()


def together(findings: Iterable[Finding]) -> list[Finding]:
    """One of each cause: a contract has one exception for it, which says all that was found and counts its money."""
    found: dict[str, Finding] = {}
    for one in findings:
        first = found.get(one.cause)
        if first is None:
            found[one.cause] = one
            continue
        money = None if first.money is None or one.money is None else first.money + one.money
        parts, words = (*first.differences, *one.differences), f"{first.message}; {one.message}"
        found[one.cause] = replace(first, message=words, money=money, differences=parts)
    return list(found.values())
