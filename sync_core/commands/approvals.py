"""Approvals: the exception that asks for one is the task, its decision is an event of the contract.

Who corrected what the contract says now may not approve it; somebody else has to look.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Forbidden, Permission
from sync_core.cases.approvals import NEEDED, Request, refusal, request, standing
from sync_core.cases.rules import Deed
from sync_core.commands import words
from sync_core.commands.cases import close
from sync_core.commands.chosen import Needs, Row, choose, remember
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk
from sync_core.commands.own_events import own_event, store
from sync_core.contract import Contract
from sync_core.events import DECIDED
from sync_core.fold import fold
from sync_core.intake.contract_events import correctors, events_of

COMMANDS: Final[Mapping[str, Permission]] = {"decide": Permission.APPROVALS_DECIDE}

_APPROVED = sa.text("""
    UPDATE core.case SET decided_by = :actor, decided_reason = :reason, version = version + 1
    WHERE case_id = :case_id
""")


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    case_id: int
    approved: bool
    rule: str
    amount: Decimal
    currency: str
    event_id: str
    correlation_id: str


class Approvals:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def decide(
        self, actor: Actor, case_id: int, approve: bool, reason: str, *, version: int | None = None
    ) -> ApprovalDecided:
        """Approve or refuse what exception `case_id` asks for; a refusal closes it, an approval frees the contract.

        Raises Forbidden (also for whoever corrected the contract), NotFound, Changed when the contract says something
        else by now, CommandRefused for what asks for no approval, InvalidInput.
        """
        return self._desk.run(
            actor, COMMANDS["decide"], lambda act: decide(act, case_id, approve, reason, version=version)
        )


def decide(act: Act, case_id: int, approve: bool, reason: str, *, version: int | None = None) -> ApprovalDecided:
    why = words.reason(reason)
    needs = Needs(Deed.APPROVE if approve else Deed.REFUSE, contracts=True)
    row = choose(act, needs, [case_id], version=version).rows[0]
    contract = fold(events_of(act.conn, row.source, row.external_id), day_at=act.estate.day_at)
    asked = _asked(act, row, contract)
    ids = [row.contract_id]
    if act.actor.name in correctors(act.conn, ids, standing=ids if contract.repaired else ()).get(row.contract_id, ()):
        why_not = "you corrected this contract yourself, so another approver must decide; ask one"
        raise Forbidden(COMMANDS["decide"], why_not)
    data = {
        "contract_id": row.external_id, "revision": contract.revision, "subject": "provisioning",
        "rule": asked.rule.name, "decision": "approved" if approve else "refused", "amount": asked.amount,
        "currency": asked.currency, "by": act.actor.name, "reason": why,
    }  # fmt: skip
    event = own_event(act, DECIDED, row.source, data)
    attributes = {"author": act.actor.name, "reason": why, "function": row.function}
    correlation_id = store(act, event, data, received_by="approval", attributes=attributes)
    _settle(act, row, approve, why)
    detail = {"event": event.id, "rule": asked.rule.name, "amount": asked.amount, "currency": asked.currency,
              "asked": row.message}  # fmt: skip
    action = "approval.approve" if approve else "approval.refuse"
    act.note(Entry(action, f"exception {case_id}", why, row.contract_id, row.legal_entity, correlation_id, detail))
    return ApprovalDecided(case_id, approve, asked.rule.name, asked.amount, asked.currency, event.id, correlation_id)


def _asked(act: Act, row: Row, contract: Contract) -> Request:
    """What would be decided on, if that is still what the exception says. Raises Changed, CommandRefused."""
    asked = request(contract, act.estate)
    decision = standing(contract, asked) if asked else None
    if asked is None or (decision is not None and decision.approved):
        who = f"{decision.by} approved it" if decision else "no rule asks for an approval of it any more"
        raise CommandRefused(f"nothing is to be decided on exception {row.case_id}: {who}")
    if row.message != (refusal(decision, asked) if decision else asked.words):
        raise Changed(f"the contract changed since: {asked.words}; wait for its next run, then decide")
    return asked


def _settle(act: Act, row: Row, approve: bool, why: str) -> None:
    """An approval stays open until a run found it given, but is nobody's task any more; a refusal is the end of it."""
    if approve:
        act.conn.execute(_APPROVED, {"case_id": row.case_id, "actor": act.actor.name, "reason": why})
        remember(act, "approved", [row], note=why)
    elif row.cause == NEEDED:
        close(act, [row], "refused", why)
