"""What can be said of a correction before an ERP was asked: what was checked, and what nobody knows yet. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync_core.cases.ownership import CAUSES, Arises
from sync_core.contract import Terms
from sync_core.estate.estate import Estate
from sync_core.findings import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """`mends` None: only the ERP can tell. `unseen`: codes that it is not known to have."""

    mends: bool | None
    words: str
    unseen: tuple[str, ...] = ()


def judge(
    cause: str, remaining: Sequence[Finding], after: Terms, changes: Mapping[str, object], held: bool, estate: Estate
) -> Verdict:
    """`held`: whether the ERP is known to have the tax code of `after` for the legal entity of `after`."""
    still = next((finding for finding in remaining if finding.cause == cause), None)
    if still is not None:
        return Verdict(False, f"The exception would remain: {still.message}.")
    erp = estate.lane_of(after) or "the ERP"
    code = after.tax.tax_code if "tax" in changes and not after.tax.exempt else None
    if code and not held:
        words = f"whether {erp} knows the tax code “{code}” shows when the worker reads it"
        return Verdict(None, f"{_passes(remaining)}; {words}.", (code,))
    holds = f"{erp} holds the tax code “{code}” for {after.legal_entity} already" if code else ""
    if CAUSES[cause].arises is not Arises.CONTRACT:
        words = "; ".join(part for part in (_passes(remaining), holds) if part)
        return Verdict(None, f"{words}; whether it mends this exception shows when the worker reads {erp}.")
    checks = _passes(remaining)
    checks = f"{checks[0].lower()}{checks[1:]}"
    beside = f"{holds}, and {checks}" if holds else f"{checks}; {erp} is asked when it is carried out"
    return Verdict(True, f"Mends this exception: {beside}.")


def _passes(remaining: Sequence[Finding]) -> str:
    if not remaining:
        return "The contract's own checks pass"
    others = "one other finding" if len(remaining) == 1 else f"{len(remaining)} other findings"
    return f"This exception's own check passes, {others} would remain"
