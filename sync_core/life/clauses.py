"""Clauses that the policy wants approved before a contract is provisioned: which of them are not. Pure."""

from collections.abc import Iterator

from sync_core.contract import ClauseStatus, Contract
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Estate
from sync_core.findings import Finding

_FINE = frozenset({ClauseStatus.STANDARD, ClauseStatus.APPROVED})


def unapproved(contract: Contract, estate: Estate) -> list[str]:
    """In the rule's order; also those of which the CLM never said anything."""
    rule = estate.clauses_for(contract.terms) if contract.terms is not None else None
    known = dict(contract.clauses)
    return [name for name in rule.clauses if known.get(name) not in _FINE] if rule else []


def clause_findings(contract: Contract, estate: Estate) -> Iterator[Finding]:
    """What the CLM rejected is a finding of its own, whatever the policy says."""
    known = dict(contract.clauses)
    left = [name for name in unapproved(contract, estate) if known.get(name) is not ClauseStatus.REJECTED]
    rule = estate.clauses_for(contract.terms) if contract.terms is not None and left else None
    if rule is not None:
        told = ", ".join(f"{name} ({known[name].value if name in known else 'never reported'})" for name in left)
        words = f"not approved: {told}; the policy's rule “{rule.name}” asks for it before anything is provisioned"
        yield Finding(ErrorClass.POLICY_DENIED, "clause_not_approved", Function.LEGAL, words)
