"""The estate's `[[approval]]` rules: which signed contracts need an approval in Tieline.

They are the lowest tier of the policy's table of approvals, and evaluated there (sync_core/policy/decide.py).
"""

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
