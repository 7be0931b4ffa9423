"""Policies: which was in force when, what people proposed, and the rules that are in force now.

What a proposal says and changes is of the whole firm, so it is for those whose reach is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.estate.estate import Estate
from sync_core.money import Money
from sync_core.policy.table import R, Table, Tables
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot

_MOST: Final = 50
_HISTORY: Final = sa.text("""
    SELECT p.policy_id, p.version, p.activated_at, p.activated_by, p.woken_at, p.proposal_id,
           CASE WHEN :whole THEN q.reason END AS reason, q.proposed_by
    FROM core.policy AS p LEFT JOIN core.policy_proposal AS q USING (proposal_id)
    ORDER BY p.policy_id DESC LIMIT :most
""")
_PROPOSALS: Final = sa.text("""
    SELECT proposal_id, version, before, reason, proposed_by, proposed_at, tested_since, tested, unreadable,
           cardinality(changed) AS changed, effects, money, second_person, state, decided_by, decided_at,
           decided_reason, row_version, body
    FROM core.policy_proposal ORDER BY proposal_id DESC LIMIT :most
""")
_PENDING: Final = sa.text("""
    SELECT proposal_id, version, proposed_by, proposed_at, row_version
    FROM core.policy_proposal WHERE state = 'proposed' ORDER BY proposal_id DESC LIMIT 1
""")
_TOTALS: Final = sa.text("""
    SELECT (SELECT count(*) FROM core.policy),
           (SELECT count(*) FROM core.policy_proposal WHERE state = 'refused' AND :whole)
""")


@dataclass(frozen=True, slots=True)
class Activation:
    """One version that came into force. Without a proposal it is of the file that a worker was started with."""

    policy_id: int
    version: str
    activated_at: datetime
    activated_by: str
    woken_at: datetime | None  # when a worker began under it
    proposal_id: int | None
    reason: str | None  # None also where the reader's reach has a limit
    proposed_by: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody proposed, with its back-test. `money` None: a rate was missing."""

    proposal_id: int
    version: str
    before: str
    reason: str
    proposed_by: str
    proposed_at: datetime
    tested_since: datetime
    tested: int
    unreadable: int
    changed: int
    effects: Mapping[str, int]
    money: Money | None
    second_person: str
    state: str  # proposed, activated, refused
    decided_by: str | None
    decided_at: datetime | None
    decided_reason: str | None
    row_version: int
    body: str


@dataclass(frozen=True, slots=True)
class Pending:
    """That somebody proposed another policy, and no more: for everybody who sees contracts."""

    proposal_id: int
    version: str
    proposed_by: str
    proposed_at: datetime
    row_version: int


@dataclass(frozen=True, slots=True)
class Policies:
    """The newest 50 of each, newest first. `proposals` is empty where the reader's reach has a limit."""

    history: tuple[Activation, ...]
    proposals: tuple[Proposal, ...]
    pending: Pending | None = None
    activated: int = 0  # how many there are, beyond the newest
    refused: int = 0  # likewise; none where the reader's reach has a limit

    @property
    def in_force(self) -> Activation | None:
        """None: no worker has started yet."""
        return self.history[0] if self.history else None

    @property
    def waiting(self) -> Proposal | None:
        return next((one for one in self.proposals if one.state == "proposed"), None)


class PolicyReads:
    """Mixed into Reads, whose attributes it uses."""

    _engine: sa.Engine
    _reporting: str
    estate: Estate
    reach: Callable[[Permission], Entities]

    def policies(self) -> Policies:
        whole = self.reach(Permission.CONTRACTS_READ) is None
        bind = {"most": _MOST, "whole": whole}
        with snapshot(self._engine) as conn:
            history = tuple(Activation(*row) for row in conn.execute(_HISTORY, bind))
            proposals = tuple(self._proposal(row) for row in conn.execute(_PROPOSALS, bind)) if whole else ()
            pending = conn.execute(_PENDING).one_or_none()
            activated, refused = conn.execute(_TOTALS, bind).one()
        return Policies(history, proposals, Pending(*pending) if pending else None, activated, refused)

    def _proposal(self, row: sa.Row[Any]) -> Proposal:
        money = None if row.money is None else Money(row.money, self._reporting)
        return Proposal(**(row._asdict() | {"money": money}))

    def rules(self) -> Tables:
        """The tables in force, without rules that are for legal entities out of reach alone."""
        entities, tables = self.reach(Permission.CONTRACTS_READ), self.estate.tables
        if entities is None:
            return tables
        return Tables(**{one.name: _within(getattr(tables, one.name), entities) for one in fields(Tables)})


def _within(table: Table[R], entities: frozenset[str]) -> Table[R]:
    def seen(rules: tuple[R, ...]) -> tuple[R, ...]:
        return tuple(rule for rule in rules if not rule.legal_entity or entities.intersection(rule.legal_entity))

    return replace(table, rules=seen(table.rules), defaults=seen(table.defaults))
