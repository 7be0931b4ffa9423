"""Approvals given in Tieline: which contracts need one, and which decision speaks for a contract. Pure.

The rules are the policy's and the estate's. An approval holds up to the amount that was approved, a refusal from the
amount refused on; so an amendment above what was approved asks again, and one that stays below what was refused does
too. Amounts are compared in the contract's currency; the threshold is met at the exchange rate of the last signature,
so that a rate that moves later asks nobody anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sync_core.contract import Contract, Decision
from sync_core.errors import ErrorClass, Function, InvalidMoney
from sync_core.estate.estate import Estate
from sync_core.findings import Finding
from sync_core.money import Money, written
from sync_core.policy.decide import decide
from sync_core.policy.rule import Threshold, subject_of

NEEDED, REFUSED = "approval_needed", "approval_refused"


@dataclass(frozen=True, slots=True)
class Request:
    """An approval that a contract needs under a rule, whether it has been given or not."""

    rule: Threshold
    amount: Decimal
    currency: str
    reporting: str  # currency of the rule's amount
    converted: Decimal | None  # in that currency at the rate of the last signature; None: there is no such rate

    @property
    def words(self) -> str:
        limit = f"over {self.rule.from_amount.normalize():,f} {self.reporting}"
        value = f"the contract is {self.amount:,} {self.currency}{self._compared}"
        return f"approval needed: {limit} ({self.rule.name}), {value}"

    @property
    def _compared(self) -> str:
        """The amount in the currency that the limit is in."""
        if self.currency == self.reporting:
            return ""
        if self.converted is None:
            return f", and no rate to {self.reporting} is known for the day of its signature"
        return f"; that is {written(self.converted, self.reporting)} at the rate of its signature"


def request(contract: Contract, estate: Estate) -> Request | None:
    """None: no rule asks for one, or the value is no amount of money yet."""
    terms = contract.terms
    if terms is None or not (estate.approval or estate.policy.approval):
        return None
    try:
        value = Money.of(terms.value, terms.currency)
    except InvalidMoney:
        return None
    reporting = reporting_amount(contract, value, estate)
    rule = decide(estate.tables.approval, subject_of(terms, amount=reporting))
    if rule is None:
        return None
    return Request(rule, value.amount, value.currency, estate.group.reporting_currency, reporting)


def reporting_amount(contract: Contract, value: Money, estate: Estate) -> Decimal | None:
    """At the rate of the last signature; None: there is no such rate."""
    signed_on = _signed_on(contract)
    return None if signed_on is None else estate.to_reporting(value.amount, value.currency, signed_on)


def _signed_on(contract: Contract) -> date | None:
    moments = [amendment.executed_at for amendment in contract.amendments]
    moments += [contract.signed_at] if contract.signed_at else []
    return max(moments).date() if moments else None


def standing(contract: Contract, asked: Request) -> Decision | None:
    """The last decision that speaks of so much money under this rule."""
    for decision in reversed(contract.decisions):
        if (decision.rule, decision.currency) != (asked.rule.name, asked.currency):
            continue
        if asked.amount <= decision.amount if decision.approved else asked.amount >= decision.amount:
            return decision
    return None


def approval_findings(contract: Contract, estate: Estate) -> Iterator[Finding]:
    """The approval that is missing, or was refused. The exception made of it is the approver's task."""
    asked = request(contract, estate)
    if asked is None:
        return
    decision = standing(contract, asked)
    if decision is None:
        yield Finding(ErrorClass.POLICY_DENIED, NEEDED, asked.rule.function, asked.words)
    elif not decision.approved:
        yield Finding(ErrorClass.POLICY_DENIED, REFUSED, Function.LEGAL, refusal(decision, asked))


def refusal(decision: Decision, asked: Request) -> str:
    """With the amount of today: an approval after all is one of so much."""
    amount = f"the contract is {asked.amount:,} {asked.currency}"
    return f"refused by {decision.by}: {decision.reason}; {amount}; renegotiate, cancel, or have it approved after all"
