"""Policies: which was in force when, and what people proposed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.estate import Estate
from sync_core.reads.policy import BackTest, compared
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot

_MOST: Final = 50
_HISTORY: Final = sa.text("""
    SELECT p.policy_id, p.version, p.activated_at, p.activated_by, p.woken_at, p.proposal_id, q.reason, q.proposed_by
    FROM core.policy AS p LEFT JOIN core.policy_proposal AS q USING (proposal_id)
    ORDER BY p.policy_id DESC LIMIT :most
""")
_PROPOSALS: Final = sa.text("""
    SELECT proposal_id, version, before, reason, proposed_by, proposed_at, tested_since, tested, unreadable,
           cardinality(changed) AS changed, effects, money, second_person, state, decided_by, decided_at,
           decided_reason, row_version, body
    FROM core.policy_proposal ORDER BY proposal_id DESC LIMIT :most
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
    reason: str | None
    proposed_by: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody proposed, with its back-test. `money` in the reporting currency; None: a rate was missing."""

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
    money: Decimal | None
    second_person: str
    state: str  # proposed, activated, refused
    decided_by: str | None
    decided_at: datetime | None
    decided_reason: str | None
    row_version: int
    body: str


@dataclass(frozen=True, slots=True)
class Policies:
    """The newest 50 of each, newest first."""

    history: tuple[Activation, ...]
    proposals: tuple[Proposal, ...]

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
    _clock: Clock
    estate: Estate
    reach: Callable[[Permission], Entities]

    def policies(self) -> Policies:
        self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            history = tuple(Activation(*row) for row in conn.execute(_HISTORY, {"most": _MOST}))
            proposals = tuple(Proposal(*row) for row in conn.execute(_PROPOSALS, {"most": _MOST}))
        return Policies(history, proposals)

    def back_test(self, after: Estate) -> BackTest:
        """What another policy would change for the contracts within reach that were signed in the last quarter."""
        entities = self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            return compared(conn, self.estate, after, now=self._clock.now(), entities=entities)
