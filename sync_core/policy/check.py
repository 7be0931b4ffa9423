"""What a policy may not say: refused when it is loaded, with the rule and what to put there."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sync_core.cases.ownership import CAUSES
from sync_core.errors import InvalidEstate, InvalidMoney
from sync_core.estate.misread import listed
from sync_core.money import exponent
from sync_core.policy.fields import FIELDS
from sync_core.policy.rule import BillCalendar, Clauses, Mandatory, Ownership, Route, Rule, TaxRegime, Threshold, ties

if TYPE_CHECKING:
    from sync_core.estate.estate import Estate

# Whose these are is said by the rule that asks for the approval.
APPROVALS: Final = frozenset({"approval_needed", "approval_refused"})


def check(estate: "Estate") -> None:
    """Raises InvalidEstate with all that is wrong."""
    policy, wrong = estate.policy, _Wrong()
    every: Mapping[str, Sequence[Rule]] = {
        "route": policy.route,
        "tax": policy.tax,
        "bill_calendar": policy.bill_calendar,
        "approval": policy.approval,
        "owner": policy.owner,
        "mandatory": policy.mandatory,
        "clause": policy.clause,
    }
    for table, rules in every.items():
        _names(table, rules, wrong)
        for rule in rules:
            with wrong.noted():
                _conditions(table, rule, estate)
        for one, other in ties(rules):
            wrong.faults.append(
                f"[[{table}]] {one.name!r} and {other.name!r} are equally specific ({one.where}; "
                f"{other.where}) and fit the same contracts; make one of them more specific, or take it out"
            )
    _own_keys(estate, wrong)
    if wrong.faults:
        raise InvalidEstate(listed("policy file", wrong.faults))


class _Fault(Exception):
    """One thing that is wrong, in words."""


@dataclass
class _Wrong:
    """All of it: who mends a file wants to do so once."""

    faults: list[str] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        try:
            yield
        except _Fault as one:
            self.faults.append(str(one))


def _own_keys(estate: "Estate", wrong: _Wrong) -> None:
    policy = estate.policy
    for route in policy.route:
        with wrong.noted():
            _route(route, estate)
    for tax in policy.tax:
        with wrong.noted():
            _tax(tax)
    for calendar in policy.bill_calendar:
        with wrong.noted():
            _calendar(calendar)
    for approval in policy.approval:
        with wrong.noted():
            _approval(approval)
    for owner in policy.owner:
        with wrong.noted():
            _owner(owner, estate)
    for mandatory in policy.mandatory:
        with wrong.noted():
            _mandatory(mandatory)
    for clause in policy.clause:
        with wrong.noted():
            _clauses(clause)


def _names(table: str, rules: Sequence[Rule], wrong: _Wrong) -> None:
    for name, times in Counter(rule.name for rule in rules).items():
        if times > 1 or not name.strip():
            wrong.faults.append(f"[[{table}]] name {name!r} must be given and unique in its table")


def _conditions(table: str, rule: Rule, estate: "Estate") -> None:
    for code in rule.legal_entity:
        if code not in estate.entities:
            raise _refused(table, rule, f"legal_entity {code!r} is not in the estate's [[entity]]; correct it")
    for code in rule.currency:
        try:
            exponent(code)
        except InvalidMoney as wrong:
            raise _refused(table, rule, f"currency: {wrong.message}") from wrong
    if rule.from_value is None:
        return
    if len(rule.currency) != 1:
        raise _refused(table, rule, "from_value is in the contract's own currency; name that one in `currency`")
    if not rule.from_value.is_finite() or rule.from_value < 0:
        raise _refused(table, rule, "from_value must be an amount from 0 on; correct it")


def _route(rule: Route, estate: "Estate") -> None:
    if rule.erp not in estate.erps:
        raise _refused("route", rule, f"erp {rule.erp!r} is not in the estate's [[erp]]; add it there")


def _tax(rule: TaxRegime) -> None:
    if not rule.tax_code.strip():
        raise _refused("tax", rule, "tax_code is empty; name the code as the ERP knows it")


def _mandatory(rule: Mandatory) -> None:
    unknown = sorted(set(rule.fields) - set(FIELDS))
    if unknown:
        raise _refused("mandatory", rule, f"fields {', '.join(unknown)} are unknown; use {', '.join(FIELDS)}")


def _clauses(rule: Clauses) -> None:
    if not all(name.strip() for name in rule.clauses):
        raise _refused("clause", rule, "a clause has no name; name each as the CLM does")


def _calendar(rule: BillCalendar) -> None:
    if set(rule.named) - {"legal_entity"} or rule.from_value is not None:
        raise _refused("bill_calendar", rule, "a bill run is one of a legal entity; use no other condition")
    if not rule.bill_runs or not all(n and -28 <= n <= 31 for n in rule.bill_runs):
        raise _refused("bill_calendar", rule, "bill_runs are days of the month, -1 the last; name at least one")


def _approval(rule: Threshold) -> None:
    if not rule.from_amount.is_finite() or rule.from_amount < 0:
        raise _refused("approval", rule, "from_amount must be an amount from 0 on; correct it")
    if rule.from_value is not None:
        raise _refused("approval", rule, "use from_amount, in the reporting currency, instead of from_value")


def _owner(rule: Ownership, estate: "Estate") -> None:
    unknown = sorted(set(rule.cause) - set(CAUSES))
    if unknown:
        raise _refused("owner", rule, f"cause {', '.join(unknown)} is unknown; docs/exceptions.md lists them all")
    if APPROVALS & set(rule.cause):
        raise _refused("owner", rule, "its [[approval]] rule says whose an approval is; leave that cause out")
    if rule.function is None and rule.sla_working_hours is None:
        raise _refused("owner", rule, "give it a function, sla_working_hours, or both")
    if rule.sla_working_hours is not None and rule.sla_working_hours < 1:
        raise _refused("owner", rule, "sla_working_hours must be at least 1")
    if rule.function is not None and rule.function not in estate.owners and rule.sla_working_hours is None:
        raise _refused("owner", rule, f"nobody is [[owner]] of {rule.function} in the estate; add one, or an SLA here")


def _refused(table: str, rule: Rule, words: str) -> _Fault:
    return _Fault(f"[[{table}]] {rule.name!r}: {words}")
