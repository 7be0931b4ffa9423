"""What stands between a contract and its ERP besides exceptions: it was moved, or its ERP is only observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay.replay import Effect


@dataclass(frozen=True, slots=True)
class Moved:
    """Where it belongs since a move. Times are UTC."""

    move_id: int
    lane: str
    leaving: str | None  # the ERP that has not been read back as closed
    left_at: datetime | None
    billed: Mapping[str, Money]  # by ERP that it left: what was invoiced there and stays


@dataclass(frozen=True, slots=True)
class OnlyObserved:
    """What would be done in its ERP, which is not written to. Times are UTC."""

    lane: str
    words: str
    effects: tuple[Effect, ...]
    findings: tuple[str, ...]  # what would stop it
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Elsewhere:
    moved: Moved | None = None
    observed: OnlyObserved | None = None


_ONE = sa.text(f"""
    SELECT c.currency, p.replay_id, p.lane AS moved_to, p.leaving, p.left_at, p.behind,
           o.lane, o.words, o.plan, o.findings, o.observed_at
    FROM core.contract AS c LEFT JOIN core.placement AS p USING (contract_id)
         LEFT JOIN core.observed AS o USING (contract_id)
    WHERE c.contract_id = :contract AND {OF_CONTRACT}
""")


def elsewhere(conn: sa.Connection, contract_id: int, *, entities: Entities) -> Elsewhere:
    """Of a contract within reach; empty for any other."""
    row = conn.execute(_ONE, {"contract": contract_id, **bound(entities)}).one_or_none()
    if row is None:
        return Elsewhere()
    moved = observed = None
    if row.moved_to is not None:
        told = {lane: one["billed"] for lane, one in row.behind.items() if lane != row.moved_to}
        billed = {lane: Money.of(amount, row.currency) for lane, amount in told.items() if amount is not None}
        moved = Moved(row.replay_id, row.moved_to, row.leaving, row.left_at, billed)
    if row.lane is not None:
        effects = tuple(Effect.parse(effect) for effect in row.plan)
        observed = OnlyObserved(row.lane, row.words, effects, tuple(row.findings), row.observed_at)
    return Elsewhere(moved, observed)
