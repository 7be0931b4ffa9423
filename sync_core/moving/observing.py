"""ERPs that Tieline only observes: in the first days on a running firm it says what it would do, and does nothing.

An ERP may be observed as a whole, or only for contracts that were signed before its cut-over date: those are adopted
where the ERP holds a project of theirs, and never created. What would be done is kept, shown and counted. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sync_core.desired import Kind
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Erp, ErpMode
from sync_core.findings import Finding
from sync_core.plan import Action, Operation, Plan

CAUSE = "erp_observed"  # of a preview alone


@dataclass(frozen=True, slots=True)
class Observed:
    """What would be done for a contract, and why it is not."""

    lane: str
    why: str
    operations: tuple[Operation, ...]
    findings: tuple[Finding, ...]  # what would stop it

    @property
    def words(self) -> str:
        """observed: would create 4, activate 1"""
        counted = {action: sum(o.action is action for o in self.operations) for action in Action}
        done = ", ".join(f"{action} {n}" for action, n in counted.items() if n)
        stopped = "; ".join(finding.message for finding in self.findings)
        return f"{self.why}; would {f'stop: {stopped}' if stopped else done}"


@dataclass(frozen=True, slots=True)
class Came:
    """How a contract came to its ERP. The cut-over is for those of which the ERP may hold a project under no key of
    ours; one that was moved there has none, whenever it was signed.
    """

    signed_on: date | None
    moved: bool


def withheld(erp: Erp | None, plan: Plan, came: Came) -> str:
    """Why this plan is only observed; empty: it may be carried out."""
    if erp is None or not plan.writes:
        return ""
    if erp.mode is ErpMode.OBSERVE:
        return f"{erp.name} is only observed"
    creates = any(o.action is Action.CREATE and o.kind is Kind.PROJECT for o in plan.writes)
    early = erp.cut_over is not None and (came.signed_on is None or came.signed_on < erp.cut_over)
    if creates and early and not came.moved:
        return f"signed before the cut-over of {erp.name} on {erp.cut_over}: it is adopted there, not created"
    return ""


def observed(erp: Erp | None, plan: Plan, findings: Sequence[Finding], came: Came) -> Observed | None:
    """What is kept instead of being done; None: go on. What the ERP lacks is told, and raised once it is written to."""
    why = withheld(erp, plan, came)
    if not why and erp is not None and erp.mode is ErpMode.OBSERVE and findings:
        why = f"{erp.name} is only observed"
    return Observed(erp.name, why, plan.writes, tuple(findings)) if erp is not None and why else None


def stops(erp: Erp | None, plan: Plan, came: Came) -> tuple[Finding, ...]:
    """What the preview of a replay says of it: nothing of it could be carried out."""
    why = withheld(erp, plan, came)
    return (Finding(ErrorClass.POLICY_DENIED, CAUSE, Function.INTEGRATION, why),) if why else ()
