"""The estate's `[[approval]]` rules: which signed contracts need an approval in Tieline."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sync_core.errors import Function, InvalidEstate


@dataclass(frozen=True)
class ApprovalRule:
    """From which value on a contract needs an approval; the most specific rule wins ("*" matches all)."""

    name: str
    from_amount: Decimal  # in the reporting currency
    legal_entity: str = "*"
    service_line: str = "*"
    function: Function = Function.FINANCE_OPERATIONS  # has the exception

    @property
    def specificity(self) -> int:
        return (self.legal_entity != "*") * 2 + (self.service_line != "*")


def rule_for(
    rules: Sequence[ApprovalRule], amount: Decimal | None, *, service_line: str, legal_entity: str
) -> ApprovalRule | None:
    """The rule that a contract of so much meets (reporting currency; None: no rate, so it may be very much).

    Of the most specific rules that fit, the highest that the amount reaches.
    """
    fitting = [r for r in rules if r.service_line in ("*", service_line) and r.legal_entity in ("*", legal_entity)]
    closest = max((rule.specificity for rule in fitting), default=0)
    reached = [r for r in fitting if r.specificity == closest and (amount is None or amount >= r.from_amount)]
    return max(reached, key=lambda rule: rule.from_amount, default=None)


def check(rules: Sequence[ApprovalRule], entities: Collection[str]) -> None:
    """Raises InvalidEstate that names the rule and what to put there."""
    for rule in rules:
        if not rule.from_amount.is_finite() or rule.from_amount < 0:
            raise InvalidEstate(f"approval {rule.name!r}: from_amount must be an amount from 0 on; correct it")
        if rule.legal_entity not in ("*", *entities):
            raise InvalidEstate(f"approval {rule.name!r}: {rule.legal_entity!r} is not in [[entity]]; add it or use *")
    names = Counter(rule.name for rule in rules)
    places = Counter((rule.from_amount, rule.legal_entity, rule.service_line) for rule in rules)
    for rule in rules:
        if names[rule.name] > 1:
            raise InvalidEstate(f"approval.name must be unique in the estate file; given twice: {rule.name}")
        if places[rule.from_amount, rule.legal_entity, rule.service_line] > 1:
            raise InvalidEstate(f"approval rule {rule.name!r} is there twice for one amount, entity and service line")
