"""What a policy may not say: refused when it is loaded, with the rule and what to put there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sync_core.cases.ownership import CAUSES
from sync_core.errors import InvalidEstate, InvalidMoney
from sync_core.money import exponent
from sync_core.policy.fields import FIELDS
from sync_core.policy.rule import BillCalendar, Ownership, Rule, Threshold, ties

if TYPE_CHECKING:
    from sync_core.estate.estate import Estate

# Whose these are is said by the rule that asks for the approval.
APPROVALS: Final = frozenset({"approval_needed", "approval_refused"})


def check(estate: "Estate") -> None:
    """Raises InvalidEstate."""
    policy = estate.policy
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
        _names(table, rules)
        for rule in rules:
            _conditions(table, rule, estate)
        for one, other in ties(rules):
            raise InvalidEstate(
                f"policy file: [[{table}]] {one.name!r} and {other.name!r} are equally specific ({one.where}; "
                f"{other.where}) and fit the same contracts; make one of them more specific, or take it out"
            )
    _own_keys(estate)
    _names_known(estate)


def _own_keys(estate: "Estate") -> None:
    policy = estate.policy
    for calendar in policy.bill_calendar:
        _calendar(calendar)
    for approval in policy.approval:
        _approval(approval)
    for owner in policy.owner:
        _owner(owner, estate)
    for clause in policy.clause:
        if not all(name.strip() for name in clause.clauses):
            raise _refused("clause", clause, "a clause has no name; name each as the CLM does")


def _names(table: str, rules: Sequence[Rule]) -> None:
    for name, times in Counter(rule.name for rule in rules).items():
        if times > 1 or not name.strip():
            raise InvalidEstate(f"policy file: [[{table}]] name {name!r} must be given and unique in its table")


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


def _names_known(estate: "Estate") -> None:
    policy = estate.policy
    for route in policy.route:
        if route.erp not in estate.erps:
            raise _refused("route", route, f"erp {route.erp!r} is not in the estate's [[erp]]; add it there")
    for tax in policy.tax:
        if not tax.tax_code.strip():
            raise _refused("tax", tax, "tax_code is empty; name the code as the ERP knows it")
    for mandatory in policy.mandatory:
        unknown = sorted(set(mandatory.fields) - set(FIELDS))
        if unknown:
            words = f"fields {', '.join(unknown)} are unknown; use {', '.join(FIELDS)}"
            raise _refused("mandatory", mandatory, words)


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


def _refused(table: str, rule: Rule, words: str) -> InvalidEstate:
    return InvalidEstate(f"policy file: [[{table}]] {rule.name!r}: {words}")
