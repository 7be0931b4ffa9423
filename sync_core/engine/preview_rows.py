"""Where previews are queued and kept: a replay's item that waits for its preview is the place in the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.checks import Finding
from sync_core.journal.journal import document
from sync_core.keys import ContractId
from sync_core.moving.moving import Placement
from sync_core.plan import Action
from sync_core.replay.replay import Effect, Origin, PreviewState, digest_of


@dataclass(frozen=True, slots=True)
class Ticket:
    """An item that is ours to preview until its lease ends."""

    replay_id: int
    contract_id: ContractId
    lane: str
    token: int
    tries: int
    origin: Origin
    move: Placement | None = None  # it is of a move: where to, and which ERP it leaves
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What became of it. `pending`: it is tried again at `due_at`."""

    ticket: Ticket
    state: PreviewState
    why: str = ""
    due_at: datetime | None = None
    tries: int = 0
    lane: str = ""
    effects: tuple[Effect, ...] = ()
    findings: tuple[Finding, ...] = ()
    money: Decimal = Decimal(0)
    currency: str = ""
    money_reporting: Decimal | None = None
    bill_on: date | None = None
    billed: Decimal | None = None  # of a move: invoiced in the ERP that it leaves
    to_bill: Decimal | None = None  # and what is then to be billed in the other


# SKIP LOCKED: what another worker is claiming is its own. A lapsed lease is a stalled worker's; a dead one's are given
# back with its contracts. The token fences what the last holder still wants to write.
_CLAIM = sa.text("""
    WITH want AS (SELECT lane, places FROM jsonb_to_recordset(CAST(:room AS jsonb)) AS w(lane text, places int)),
    picked AS (
        SELECT due.replay_id, due.contract_id FROM want CROSS JOIN LATERAL (
            SELECT i.replay_id, i.contract_id FROM core.replay_item AS i
            WHERE i.preview = 'pending' AND i.state = 'pending' AND i.preview_due_at <= :now
              AND (i.preview_until IS NULL OR i.preview_until < now())
              AND CASE WHEN i.lane = ANY(:known) THEN i.lane ELSE '' END = want.lane
            ORDER BY i.replay_id, i.position LIMIT want.places
            FOR UPDATE SKIP LOCKED
        ) AS due
    )
    UPDATE core.replay_item AS i
    SET preview_worker = :worker, preview_token = i.preview_token + 1,
        preview_until = now() + make_interval(secs => :lease_s)
    FROM picked JOIN core.replay AS r USING (replay_id)
    WHERE i.replay_id = picked.replay_id AND i.contract_id = picked.contract_id
    RETURNING i.replay_id, i.contract_id, i.lane, i.preview_token, i.preview_tries, r.origin,
              r.move_from, r.move_to, r.undoes IS NOT NULL AS undo
""")
_KEEP = sa.text("""
    UPDATE core.replay_item AS i
    SET preview = p.preview, preview_why = p.why, preview_tries = p.tries, preview_worker = NULL, preview_until = NULL,
        preview_token = i.preview_token + 1,
        preview_due_at = coalesce(p.due_at, i.preview_due_at),
        previewed_at = CASE WHEN p.preview <> 'pending' THEN CAST(:now AS timestamptz) END,
        lane = coalesce(p.lane, i.lane), plan = p.plan, findings = p.findings, digest = p.digest,
        creates = p.creates, updates = p.updates, activates = p.activates, closes = p.closes, no_ops = p.no_ops,
        conflicts = p.conflicts, money = coalesce(p.money, i.money), currency = coalesce(p.currency, i.currency),
        money_reporting = CASE WHEN p.currency IS NULL THEN i.money_reporting ELSE p.money_reporting END,
        bill_on = coalesce(p.bill_on, i.bill_on), billed = p.billed, to_bill = p.to_bill
    FROM jsonb_to_recordset(CAST(:previews AS jsonb)) AS p(
        replay_id bigint, contract_id bigint, token bigint, preview text, why text, tries int, due_at timestamptz,
        lane text, plan jsonb, findings jsonb, digest text, creates int, updates int, activates int, closes int,
        no_ops int, conflicts int, money numeric, currency text, money_reporting numeric, bill_on date,
        billed numeric, to_bill numeric)
    WHERE i.replay_id = p.replay_id AND i.contract_id = p.contract_id AND i.preview_token = p.token
    RETURNING i.replay_id, i.contract_id
""")


async def claim(
    conn: AsyncConnection, room: Mapping[str, int], *, known: Sequence[str], worker: int, lease_s: float, now: datetime
) -> list[Ticket]:
    """Up to `room[lane]` items to preview per lane, oldest replay first; "" is all that are not `known`. The caller
    commits.
    """
    wanted = document([{"lane": lane, "places": places} for lane, places in room.items()])
    bound = {"room": wanted, "known": list(known), "worker": worker, "lease_s": lease_s, "now": now}
    return [
        Ticket(
            row.replay_id, ContractId(row.contract_id), row.lane, row.preview_token, row.preview_tries,
            Origin(row.origin), Placement(row.move_to, row.move_from) if row.move_to else None, row.undo,
        )
        for row in await conn.execute(_CLAIM, bound)
    ]  # fmt: skip


async def keep(conn: AsyncConnection, previews: Sequence[Preview], *, now: datetime) -> set[tuple[int, int]]:
    """(replay, contract) of those that still were ours. The caller commits."""
    text = document([_row(preview) for preview in previews])
    rows = await conn.execute(_KEEP, {"previews": text, "now": now})
    return {(row.replay_id, row.contract_id) for row in rows}


def _row(preview: Preview) -> dict[str, object]:
    p, ticket = preview, preview.ticket
    done = p.state is PreviewState.DONE
    return {
        "replay_id": ticket.replay_id,
        "contract_id": ticket.contract_id,
        "token": ticket.token,
        "preview": p.state,
        "why": p.why,
        "tries": p.tries,
        "due_at": p.due_at,
        "lane": p.lane if done else None,
        "plan": [effect.stored for effect in p.effects] if done else None,
        "findings": [
            {"error_class": f.error_class, "cause": f.cause, "function": f.function, "message": f.message}
            for f in p.findings
        ],
        "digest": digest_of(p.lane, p.effects) if done else None,
        **_counts(p.effects),
        "money": p.money if p.currency else None,
        "currency": p.currency or None,
        "money_reporting": p.money_reporting,
        "bill_on": p.bill_on,
        "billed": p.billed,
        "to_bill": p.to_bill,
    }


_COUNTED = {
    Action.CREATE: "creates",
    Action.UPDATE: "updates",
    Action.ACTIVATE: "activates",
    Action.CLOSE: "closes",
    Action.ADOPT: "updates",  # its key
    Action.NO_OP: "no_ops",
    Action.CONFLICT: "conflicts",
}


def _counts(effects: Sequence[Effect]) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTED.values(), 0)
    for effect in effects:
        if effect.action in _COUNTED:  # a task is none of the effects
            counts[_COUNTED[effect.action]] += 1
    return counts
