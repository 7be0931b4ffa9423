"""Legal holds: contracts whose records retention must leave alone until somebody says otherwise.

Placing a hold locks the contract's row, and retention locks it before it looks for holds: whichever comes first, a
contract that has a hold when retention's transaction ends still has its records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound, reason_of, texts

COMMANDS: Final[Mapping[str, Permission]] = {"place": Permission.HOLDS_WRITE, "release": Permission.HOLDS_WRITE}

MOST: Final = 1_000  # contracts or holds of one command

# FOR SHARE: retention, which takes FOR UPDATE and skips what is locked, must not delete a contract in this moment.
_CONTRACTS = sa.text("""
    SELECT contract_id, source, external_id, legal_entity FROM core.contract
    WHERE contract_id = ANY(:ids) ORDER BY contract_id FOR SHARE
""")
_PLACE = sa.text("""
    INSERT INTO core.legal_hold (contract_id, reason, placed_by, placed_at)
    SELECT one, :reason, :actor, :now FROM unnest(CAST(:ids AS bigint[])) AS one
    ON CONFLICT (contract_id) WHERE released_at IS NULL DO NOTHING
    RETURNING hold_id, contract_id
""")
_HELD = sa.text("""
    SELECT h.hold_id, h.contract_id, h.reason, h.released_at, c.source, c.external_id, c.legal_entity
    FROM core.legal_hold AS h JOIN core.contract AS c USING (contract_id)
    WHERE h.hold_id = ANY(:ids) ORDER BY h.hold_id FOR UPDATE OF h
""")
_RELEASE = sa.text("""
    UPDATE core.legal_hold SET released_by = :actor, released_at = :now WHERE hold_id = ANY(:ids)
""")


@dataclass(frozen=True, slots=True)
class Placed:
    """`held_before`: contracts that were under a hold already, which stays as it is."""

    hold_ids: tuple[int, ...]
    held_before: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Released:
    hold_ids: tuple[int, ...]


class Holds:
    """`desk` carries the commands out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def place(self, actor: Actor, contract_ids: Sequence[int], reason: str) -> Placed:
        """Raises Forbidden, NotFound for a contract that does not exist or is out of reach, InvalidInput."""
        return self._desk.run(actor, Permission.HOLDS_WRITE, lambda act: place(act, contract_ids, reason))

    def release(self, actor: Actor, hold_ids: Sequence[int], reason: str) -> Released:
        """Raises Forbidden, NotFound for a hold that does not exist or is out of reach, InvalidInput."""
        return self._desk.run(actor, Permission.HOLDS_WRITE, lambda act: release(act, hold_ids, reason))


def place(act: Act, contract_ids: Sequence[int], reason: str) -> Placed:
    """All or none; one audit row with a root over the contracts."""
    ids = sorted(set(texts(contract_ids, most=MOST, what="contracts")))
    why = reason_of(reason)
    rows = act.conn.execute(_CONTRACTS, {"ids": ids}).all()
    _require_all(act, ids, [row.contract_id for row in rows], rows, "contract")
    made = act.conn.execute(_PLACE, {"ids": ids, "reason": why, "actor": act.actor.name, "now": act.now}).all()
    held = {row.contract_id for row in made}
    placed = Placed(tuple(sorted(row.hold_id for row in made)), tuple(one for one in ids if one not in held))
    if not placed.hold_ids:
        raise InvalidInput("all of these contracts are under a legal hold already; nothing was changed")
    concerned = [row for row in rows if row.contract_id in held]
    act.note(_entry("hold.place", why, concerned, {"hold_ids": placed.hold_ids, "held_before": placed.held_before}))
    return placed


def release(act: Act, hold_ids: Sequence[int], reason: str) -> Released:
    """All or none; one audit row with a root over the contracts."""
    ids = sorted(set(texts(hold_ids, most=MOST, what="holds")))
    why = reason_of(reason)
    rows = act.conn.execute(_HELD, {"ids": ids}).all()
    _require_all(act, ids, [row.hold_id for row in rows], rows, "legal hold")
    over = [row.hold_id for row in rows if row.released_at is not None]
    if over:
        raise InvalidInput(f"legal hold {over[0]} was released before; nothing was changed")
    act.conn.execute(_RELEASE, {"ids": ids, "actor": act.actor.name, "now": act.now})
    placed_for = {str(row.hold_id): row.reason for row in rows[:20]}
    act.note(_entry("hold.release", why, rows, {"hold_ids": ids, "placed_for": placed_for}))
    return Released(tuple(ids))


def _require_all(act: Act, asked: Sequence[int], found: Sequence[int], rows: Sequence[sa.Row[Any]], noun: str) -> None:
    """Raises NotFound for the first that is not there or out of reach: the two are not told apart."""
    hidden = set(asked) - set(found)
    for number, row in zip(found, rows, strict=True):
        if not act.actor.may(Permission.HOLDS_WRITE, entity=row.legal_entity):
            hidden.add(number)
    if hidden:
        raise NotFound(f"there is no {noun} {min(hidden)}; nothing was changed")


def _entry(action: str, reason: str, rows: Sequence[sa.Row[Any]], detail: dict[str, object]) -> Entry:
    """Of one contract and one entity where there is but one, so that it is found with them."""
    entities = {row.legal_entity for row in rows}
    one = rows[0] if len(rows) == 1 else None
    return Entry(
        action,
        f"contract {one.external_id}" if one is not None else f"{len(rows)} contracts",
        reason,
        contract_id=None if one is None else one.contract_id,
        legal_entity=entities.pop() if len(entities) == 1 else None,
        detail={**detail, "contracts": [row.external_id for row in rows[:100]]},
        items=[[row.source, row.external_id] for row in rows],
    )
