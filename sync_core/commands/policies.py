"""Policies: proposed with a back-test, activated by a second person where it changes much, else at once.

Running processes see within seconds that another policy is in force, and begin anew under it; the first worker that
does so makes the contracts due that are decided on differently, and all that are blocked.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, ActorKind, Forbidden, Permission
from sync_core.commands import words
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput, NotFound
from sync_core.errors import InvalidEstate
from sync_core.estate import estate as estates
from sync_core.estate.estate import Estate
from sync_core.locks import Lock
from sync_core.money import Money
from sync_core.policy.activation import guards_differ, why_second
from sync_core.reads.policy import BackTest, compared

COMMANDS: Final[Mapping[str, Permission]] = {
    "look_ahead": Permission.POLICY_WRITE,
    "propose": Permission.POLICY_WRITE,
    "approve": Permission.POLICY_APPROVE,
    "refuse": Permission.POLICY_APPROVE,
    "withdraw": Permission.POLICY_WRITE,
}
LONGEST: Final = 200_000  # characters of a policy file

# One change of the policy at a time, by people and by workers that note their file's.
_ONE_AT_A_TIME = sa.text(f"SELECT pg_advisory_xact_lock({Lock.POLICY}, 1)")
_IN_FORCE = sa.text("""
    SELECT p.version, p.body, e.body AS estate_body, p.estate FROM core.policy AS p
    JOIN core.estate_version AS e ON e.digest = p.estate ORDER BY p.policy_id DESC LIMIT 1
""")
_PROPOSE = sa.text("""
    INSERT INTO core.policy_proposal (version, body, before, reason, proposed_by, proposed_at, tested_since, tested,
                                      unreadable, changed, effects, money, second_person, state)
    VALUES (:version, :body, :before, :reason, :by, :now, :since, :tested, :unreadable, :changed,
            CAST(:effects AS jsonb), :money, :second, 'proposed') RETURNING proposal_id
""")
_OPEN = sa.text("SELECT proposal_id, proposed_by FROM core.policy_proposal WHERE state = 'proposed'")
_FIND = sa.text("SELECT * FROM core.policy_proposal WHERE proposal_id = :id FOR UPDATE")
_DECIDE = sa.text("""
    UPDATE core.policy_proposal
    SET state = :state, decided_by = :by, decided_at = :now, decided_reason = :reason, row_version = row_version + 1
    WHERE proposal_id = :id
""")
_ACTIVATE = sa.text("""
    INSERT INTO core.policy (version, body, estate, activated_at, activated_by, proposal_id)
    SELECT version, body, :estate, :now, :by, proposal_id FROM core.policy_proposal WHERE proposal_id = :id
""")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a policy would change if it was proposed now. `money` None: a rate is missing."""

    version: str
    before: str
    second_person: str  # why one must approve; empty: it would be in force at once
    tested: int
    changed: tuple[int, ...]  # contracts
    unreadable: int
    effects: Mapping[str, int]
    money: Money | None


@dataclass(frozen=True, slots=True)
class Proposed:
    """`second_person`: why one must approve; empty: it is in force."""

    proposal_id: int
    version: str
    before: str
    state: str
    second_person: str
    tested: int
    changed: int
    unreadable: int
    effects: Mapping[str, int]
    money: Money | None  # None: a rate is missing


class Policies:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def look_ahead(self, actor: Actor, body: str) -> Ahead:
        """The back-test that `propose` would make; nothing but the audit is written. Raises as `propose`."""
        return self._desk.run(actor, COMMANDS["propose"], lambda act: look_ahead(act, body))

    def propose(self, actor: Actor, body: str, reason: str) -> Proposed:
        """Back-test a policy over what stands and the last quarter; activate it, or ask a second person.

        Raises Forbidden, InvalidInput for what is no policy of this estate, CommandRefused where one waits already or
        this one is in force.
        """
        return self._desk.run(actor, COMMANDS["propose"], lambda act: propose(act, body, reason))

    def approve(self, actor: Actor, proposal_id: int, reason: str, *, version: int | None = None) -> Proposed:
        """Activate it. Raises Forbidden, also for whoever proposed it; NotFound, Changed, CommandRefused."""
        return self._desk.run(
            actor, COMMANDS["approve"], lambda act: decide(act, proposal_id, True, reason, version=version)
        )

    def refuse(self, actor: Actor, proposal_id: int, reason: str, *, version: int | None = None) -> Proposed:
        """Raises as `approve`."""
        return self._desk.run(
            actor, COMMANDS["refuse"], lambda act: decide(act, proposal_id, False, reason, version=version)
        )

    def withdraw(self, actor: Actor, proposal_id: int, reason: str, *, version: int | None = None) -> Proposed:
        """By whoever proposed it. Raises as `approve`."""
        return self._desk.run(
            actor, COMMANDS["withdraw"], lambda act: withdraw(act, proposal_id, reason, version=version)
        )


def look_ahead(act: Act, body: str) -> Ahead:
    ahead, _, _ = _tested(act, body)
    act.note(
        Entry("policy.test", f"policy {ahead.version}", detail={"before": ahead.before, "changed": len(ahead.changed)})
    )
    return ahead


def propose(act: Act, body: str, reason: str) -> Proposed:
    why = words.reason(reason)
    ahead, since, estate = _tested(act, body)
    _alone(act, ahead.before)
    proposal_id = _store(act, body, why, since, ahead)
    row = _row(act, proposal_id)
    act.note(Entry("policy.propose", f"policy {row.version}", why, detail=_detail(row)))
    if not row.second_person:
        _activate(act, row, estate, why)
    return _said(act, proposal_id)


def _tested(act: Act, body: str) -> tuple[Ahead, datetime, str]:
    """Against the policy in force, whichever this process runs under; since when, and the digest of the estate."""
    _everywhere(act, COMMANDS["propose"])
    if not body.strip() or len(body) > LONGEST:
        raise InvalidInput(f"policy: give the text of a policy file, of at most {LONGEST:,} characters")
    in_force = _in_force(act)
    try:
        after = estates.load(in_force.estate_body, body)
    except InvalidEstate as wrong:
        raise InvalidInput(f"policy: {wrong.message}") from wrong
    if after.rules_version == in_force.version:
        raise CommandRefused(f"policy {in_force.version} says the same and is in force; nothing is to be done")
    before = estates.load(in_force.estate_body, in_force.body or None)
    tested = compared(act.conn, before, after, now=act.now, standing=True)
    return _ahead(tested, before, after), tested.since, in_force.estate


def _ahead(tested: BackTest, before: Estate, after: Estate) -> Ahead:
    amounts, currency = [one.amount for one in tested.differences], after.group.reporting_currency
    money = None if None in amounts else sum((abs(one) for one in amounts if one is not None), Decimal(0))
    effects = Counter(change.effect.value for one in tested.differences for change in one.changes)
    second = why_second(
        after.policy_activation, changed=len(tested.differences), money=money, unreadable=tested.unreadable,
        currency=currency, guards=guards_differ(before.policy, after.policy),
    )  # fmt: skip
    return Ahead(
        after.rules_version, tested.before, second, tested.contracts,
        tuple(one.contract_id for one in tested.differences), tested.unreadable, dict(effects),
        None if money is None else Money(money, currency),
    )  # fmt: skip


def _alone(act: Act, tested_against: str) -> None:
    """The lock comes after the test, which may take long: workers that start take it as well."""
    act.conn.execute(_ONE_AT_A_TIME)
    waits = act.conn.execute(_OPEN).one_or_none()
    if waits is not None:
        raise CommandRefused(
            f"proposal {waits.proposal_id} of {waits.proposed_by} waits for a decision; have it decided or withdrawn"
        )
    if _in_force(act).version != tested_against:
        raise Changed("another policy came into force while this one was tested; propose it again")


def decide(act: Act, proposal_id: int, approve: bool, reason: str, *, version: int | None = None) -> Proposed:
    permission = COMMANDS["approve" if approve else "refuse"]
    _everywhere(act, permission)
    why = words.reason(reason)
    act.conn.execute(_ONE_AT_A_TIME)
    row = _waiting(act, proposal_id, version)
    if row.proposed_by.casefold() == act.actor.name.casefold():
        raise Forbidden(permission, "you proposed this policy yourself, so another approver must decide; ask one")
    if approve and act.actor.kind is not ActorKind.PERSON:
        raise Forbidden(permission, "a program may refuse a policy; its approval is a person's")
    if not approve:
        _close(act, row, "refused", why)
        act.note(Entry("policy.refuse", f"policy {row.version}", why, detail=_detail(row)))
        return _said(act, proposal_id)
    in_force = _in_force(act)
    if in_force.version != row.before:
        raise Changed(
            f"policy {in_force.version} came into force since this one was tested against {row.before}; "
            "refuse it and have it proposed again"
        )
    _activate(act, row, in_force.estate, why)
    return _said(act, proposal_id)


def withdraw(act: Act, proposal_id: int, reason: str, *, version: int | None = None) -> Proposed:
    _everywhere(act, COMMANDS["withdraw"])
    why = words.reason(reason)
    act.conn.execute(_ONE_AT_A_TIME)
    row = _waiting(act, proposal_id, version)
    if row.proposed_by != act.actor.name:
        raise Forbidden(COMMANDS["withdraw"], f"{row.proposed_by} proposed it and may withdraw it; refuse it instead")
    _close(act, row, "refused", why)
    act.note(Entry("policy.withdraw", f"policy {row.version}", why, detail=_detail(row)))
    return _said(act, proposal_id)


def _everywhere(act: Act, permission: Permission) -> None:
    """A policy decides for every legal entity."""
    if act.actor.entities(permission) is not None:
        raise Forbidden(permission, "a policy is one of the whole firm: a role without a limit to legal entities may")


def _in_force(act: Act) -> sa.Row[Any]:
    row = act.conn.execute(_IN_FORCE).one_or_none()
    if row is None:
        raise CommandRefused("no worker has started yet, so nobody knows what is in force; start one")
    return row


def _store(act: Act, body: str, why: str, since: datetime, tested: Ahead) -> int:
    bound = {
        "version": tested.version, "body": body, "before": tested.before, "reason": why, "by": act.actor.name,
        "now": act.now, "since": since, "tested": tested.tested, "unreadable": tested.unreadable,
        "changed": list(tested.changed), "effects": orjson.dumps(dict(tested.effects)).decode(),
        "money": None if tested.money is None else tested.money.amount, "second": tested.second_person,
    }  # fmt: skip
    return int(act.conn.execute(_PROPOSE, bound).scalar_one())


def _waiting(act: Act, proposal_id: int, version: int | None) -> sa.Row[Any]:
    row = _row(act, proposal_id)
    if version is not None and row.row_version != version:
        raise Changed(f"proposal {proposal_id} was changed since you read it; read it again, then decide")
    if row.state != "proposed":
        raise CommandRefused(f"proposal {proposal_id} was {row.state} by {row.decided_by}; nothing is to be decided")
    return row


def _row(act: Act, proposal_id: int) -> sa.Row[Any]:
    row = act.conn.execute(_FIND, {"id": proposal_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}")
    return row


def _activate(act: Act, row: sa.Row[Any], estate: str, why: str) -> None:
    _close(act, row, "activated", why)
    act.conn.execute(_ACTIVATE, {"id": row.proposal_id, "estate": estate, "now": act.now, "by": act.actor.name})
    detail = {**_detail(row), "after": row.version, "estate": estate, "proposed_by": row.proposed_by}
    act.note(Entry("policy.activate", f"policy {row.version}", why, detail=detail))


def _close(act: Act, row: sa.Row[Any], state: str, why: str) -> None:
    act.conn.execute(
        _DECIDE, {"id": row.proposal_id, "state": state, "by": act.actor.name, "now": act.now, "reason": why}
    )


def _detail(row: sa.Row[Any]) -> dict[str, object]:
    return {
        "proposal": row.proposal_id, "before": row.before, "tested": row.tested, "changed": len(row.changed),
        "effects": row.effects, "money": None if row.money is None else str(row.money),
        "second_person": row.second_person,
    }  # fmt: skip


def _said(act: Act, proposal_id: int) -> Proposed:
    row = _row(act, proposal_id)
    money = None if row.money is None else Money(row.money, act.estate.group.reporting_currency)
    return Proposed(
        proposal_id, row.version, row.before, row.state, row.second_person if row.state == "proposed" else "",
        row.tested, len(row.changed), row.unreadable, row.effects, money,
    )  # fmt: skip
