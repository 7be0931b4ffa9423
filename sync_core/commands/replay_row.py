"""What the commands on a replay share: its row, locked and within reach, and what they answer with."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Permission
from sync_core.commands.desk import Act, Changed, CommandRefused, NotFound
from sync_core.moving.placement_sql import CANCELLED
from sync_core.replay import sql
from sync_core.replay.replay import Origin, ReplayState


@dataclass(frozen=True, slots=True)
class ReplayMade:
    replay_id: int
    items: int
    to_preview: int  # the others ended at once, each with its reason
    state: ReplayState


@dataclass(frozen=True, slots=True)
class ReplayConfirmed:
    replay_id: int
    state: ReplayState  # running, or awaiting_approval
    version: int
    items: int
    skipped: int
    money: Decimal  # reporting currency, of the items that write and have a rate
    without_rate: int  # items that write and whose money is not known in the reporting currency
    approval_why: str  # empty: nobody else is needed


@dataclass(frozen=True, slots=True)
class ReplayMoved:
    replay_id: int
    state: ReplayState
    version: int


@dataclass(frozen=True, slots=True)
class ReplayRow:
    replay_id: int
    created_by: str
    confirmed_by: str | None
    title: str
    origin: Origin
    state: ReplayState
    version: int
    entities: frozenset[str]
    per_minute: int
    move_from: str | None = None
    move_to: str | None = None

    @property
    def subject(self) -> str:
        return f"replay {self.replay_id}"


def possible(contracts: Sequence[int]) -> None:
    """Raises NotFound for what cannot be an id of ours."""
    if strange := [number for number in contracts if not 0 < number < 2**63]:
        raise NotFound(f"there is no contract {strange[0]}")


def end(act: Act, row: ReplayRow, state: ReplayState, why: str, words: str, action: str) -> ReplayMoved:
    at = {"replay_id": row.replay_id, "now": act.now}
    version = act.conn.execute(sql.END, {**at, "state": state.value, "actor": act.actor.name}).scalar_one()
    stopped = act.conn.execute(sql.CANCEL_UNDISPATCHED, {**at, "words": words}).rowcount
    act.conn.execute(CANCELLED, {"replay_id": row.replay_id})
    stopped += int(act.conn.scalar(sql.CANCEL_DISPATCHED, at) or 0)
    act.wakes = True
    act.note(Entry(action, row.subject, reason=why, detail={"before": row.state, "cancelled_items": stopped}))
    return ReplayMoved(row.replay_id, state, int(version))


def opened(act: Act, replay_id: int, permission: Permission, version: int | None, *states: ReplayState) -> ReplayRow:
    """The replay, locked, if the actor may do this to all that is left of it. Without `states`: any that is not over.

    Raises NotFound, Forbidden, Changed, CommandRefused.
    """
    row = visible(act, replay_id, permission)
    for entity in act.conn.execute(sql.ENTITIES, {"replay_id": replay_id}).scalars():
        act.actor.require(permission, entity=entity)
    if version is not None and version != row.version:
        raise Changed(f"replay {replay_id} changed since you read it; look at it again, then decide")
    if row.state in states or (not states and not row.state.over):
        return row
    wanted = f"; only one that is {' or '.join(map(said, states))} can be" if states else ""
    raise CommandRefused(f"replay {replay_id} is {said(row.state)}{wanted}")


def visible(act: Act, replay_id: int, permission: Permission) -> ReplayRow:
    """Raises NotFound when it does not exist, or when nothing in it is within the actor's reach."""
    found: sa.Row[Any] | None = act.conn.execute(sql.LOCK, {"replay_id": replay_id}).one_or_none()
    within = act.actor.entities(permission)
    if found is None or (within is not None and within.isdisjoint(found.entities)):
        raise NotFound(f"there is no replay {replay_id}, or nothing in it is within your reach")
    return ReplayRow(
        found.replay_id, found.created_by, found.confirmed_by, found.title, Origin(found.origin),
        ReplayState(found.state), found.version, frozenset(found.entities), found.per_minute,
        found.move_from, found.move_to,
    )  # fmt: skip


def said(state: ReplayState) -> str:
    return state.value.replace("_", " ")
