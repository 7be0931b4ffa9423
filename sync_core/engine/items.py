"""A replay's item in the hands of the worker that claimed its contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.desired import Kind
from sync_core.keys import ContractId
from sync_core.plan import Action
from sync_core.replay.replay import Effect, ItemState


@dataclass(frozen=True, slots=True)
class Was:
    """What the contract's row said before its item was dispatched."""

    state: str
    since: datetime
    due_at: datetime | None
    rev: int  # its wanted_rev
    error: str | None
    error_class: str | None


@dataclass(frozen=True, slots=True)
class ReplayItem:
    """What was confirmed for a contract, and whether an earlier try may have written some of it."""

    replay_id: int
    lane: str
    effects: tuple[Effect, ...]
    digest: str | None
    touched: bool
    was: Was
    moves: bool = False  # it takes the contract to another ERP
    undoes: bool = False  # a move back, of what is not billed since

    @property
    def adopted(self) -> frozenset[tuple[Kind, str, str | None]]:
        """What gets our keys by it; then that is all that it does."""
        return frozenset((one.kind, one.key, one.ref) for one in self.effects if one.action is Action.ADOPT)


@dataclass(frozen=True, slots=True)
class ItemEnd:
    state: ItemState
    words: str


# The claim is the durable intent: should its worker die now, the next one knows that something may have been sent.
_TAKE = sa.text("""
    UPDATE core.replay_item AS i SET tries = i.tries + 1, touched = i.in_hand OR i.sent, in_hand = true
    FROM unnest(CAST(:replays AS bigint[]), CAST(:ids AS bigint[])) AS mine(replay_id, contract_id)
    WHERE i.replay_id = mine.replay_id AND i.contract_id = mine.contract_id AND i.finished_at IS NULL
    RETURNING i.contract_id, i.replay_id, i.lane, i.plan, i.digest, i.touched, i.was,
              (SELECT r.move_to IS NOT NULL FROM core.replay AS r WHERE r.replay_id = i.replay_id) AS moves,
              (SELECT r.undoes IS NOT NULL FROM core.replay AS r WHERE r.replay_id = i.replay_id) AS undoes
""")


async def take(conn: AsyncConnection, marked: Mapping[ContractId, int]) -> dict[ContractId, ReplayItem]:
    """Items of the contracts just claimed and the replays that marked them, in the transaction of the claim."""
    bound = {"ids": list(marked), "replays": list(marked.values())}
    return {
        ContractId(row.contract_id): ReplayItem(
            row.replay_id,
            row.lane,
            tuple(Effect.parse(effect) for effect in row.plan or ()),
            row.digest,
            row.touched,
            _was(row.was),
            row.moves,
            row.undoes,
        )
        for row in await conn.execute(_TAKE, bound)
    }


def _was(stored: dict[str, str | int | None]) -> Was:
    due_at = stored["due_at"]
    return Was(
        str(stored["state"]),
        datetime.fromisoformat(str(stored["since"])),
        None if due_at is None else datetime.fromisoformat(str(due_at)),
        int(stored["rev"] or 0),
        None if stored["error"] is None else str(stored["error"]),
        None if stored["error_class"] is None else str(stored["error_class"]),
    )
