"""What a draft would be stopped by if it were signed as it stands: told to legal beforehand. Pure, and no ERP is asked.

The checks are those of the signature (sync_core/checks.py). What only follows a signature is left out: an approval that
is asked in Tieline is asked when there is something to approve.
"""

from decimal import Decimal
from typing import Final

from sync_core.cases.approvals import NEEDED, REFUSED
from sync_core.checks import contract_findings
from sync_core.contract import Approval, Contract, Stage, Terms
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Estate
from sync_core.findings import Finding

_LATER: Final = frozenset({NEEDED, REFUSED})
_MOST: Final = 2000


def defects(contract: Contract, estate: Estate) -> list[Finding]:
    """What the signature of this draft would be stopped by."""
    if contract.stage is not Stage.DRAFT or not _is_written(contract):
        return []
    return [finding for finding in contract_findings(contract, estate) if finding.cause not in _LATER]


def warning(contract: Contract, estate: Estate) -> Finding | None:
    """One for all that is wrong; no money waits for a draft."""
    found = defects(contract, estate)
    if not found:
        return None
    words = f"signed as it stands, it would not be provisioned: {'; '.join(finding.message for finding in found)}"
    return Finding(
        ErrorClass.MISSING_DATA, "draft_would_not_provision", Function.LEGAL, words[:_MOST], money=Decimal(0)
    )


def _is_written(contract: Contract) -> bool:
    """A draft without any part is still being written, unless its CLM approved it so."""
    terms = contract.terms
    return terms is not None and (contract.approval is Approval.APPROVED or _has_parts(terms))


def _has_parts(terms: Terms) -> bool:
    return bool(terms.lines or terms.milestones or terms.rates)
