"""Deciding on a previewed replay: confirm it with a reason, and above a threshold let another person approve it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sync_core.audit.audit import Entry, clean
from sync_core.authority import ActorKind, Permission
from sync_core.commands.desk import Act, CommandRefused, InvalidInput, NotFound, reason_of, texts
from sync_core.commands.replay_row import ReplayConfirmed, ReplayMoved, end, opened, possible
from sync_core.estate.estate import Estate
from sync_core.money import written
from sync_core.moving.moving import NOTHING_LEFT
from sync_core.moving.placement_sql import PIN
from sync_core.replay import sql
from sync_core.replay.replay import MOST_ITEMS, ReplayState

MOST_PER_MINUTE: Final = 60_000
_NOTHING_LEFT: Final = {"nothing_left": f'[{{"cause": "{NOTHING_LEFT}"}}]'}
LONGEST_TICKET: Final = 60


def confirm(
    act: Act,
    replay_id: int,
    *,
    reason: str,
    ticket: str = "",
    per_minute: int | None = None,
    only: Sequence[int] | None = None,
    version: int | None = None,
) -> ReplayConfirmed:
    """Carry out what was previewed, for all items or for `only` these contracts; the digests are recorded."""
    act.conn.execute(sql.ONE_AT_A_TIME)
    row = opened(act, replay_id, Permission.REPLAY_EXECUTE, version, ReplayState.PREVIEWED)
    policy, why = act.estate.replay, clean(reason_of(reason))
    rate = rate_of(policy.per_minute if per_minute is None else per_minute)
    number = ticket_of(ticket, required=policy.ticket_required)
    _known(act, replay_id, only)
    bound = {"replay_id": replay_id, "some": only is not None, "chosen": list(only or ()), "now": act.now}
    skipped = sum(act.conn.execute(statement, bound).rowcount for statement in sql.LEAVE_OUT)
    chosen = sorted(act.conn.execute(sql.CHOOSE, bound).all(), key=lambda item: item.position)
    pinned = act.conn.execute(PIN, {**_NOTHING_LEFT, "replay_id": replay_id, "now": act.now}).rowcount
    if not chosen and not pinned:
        raise CommandRefused("no item is left to carry out: each is without a good preview, stopped, or not chosen")
    writing = [item for item in chosen if item.writes]
    money = sum((item.money_reporting for item in writing if item.money_reporting is not None), Decimal(0))
    unknown = sum(item.money_reporting is None for item in writing)
    approval_why = second_person(act.estate, len(chosen), money, unknown)
    state = ReplayState.AWAITING_APPROVAL if approval_why else ReplayState.RUNNING
    kept = {"state": state.value, "reason": why, "ticket": number, "per_minute": rate, "now": act.now,
            "actor": act.actor.name, "needs_approval": bool(approval_why), "why": approval_why}  # fmt: skip
    now_at = int(act.conn.execute(sql.CONFIRM, {**kept, "replay_id": replay_id}).scalar_one())
    act.wakes = state is ReplayState.RUNNING
    detail = {"ticket": kept["ticket"], "per_minute": rate, "items": len(chosen), "skipped": skipped,
              "writing": len(writing), "money": money, "without_rate": unknown, "approval": approval_why}  # fmt: skip
    confirmed = [{"contract_id": item.contract_id, "digest": item.digest} for item in chosen]
    act.note(Entry("replay.confirm", row.subject, reason=why, detail=detail, items=confirmed))
    return ReplayConfirmed(replay_id, state, now_at, len(chosen), skipped, money, unknown, approval_why)


def _known(act: Act, replay_id: int, only: Sequence[int] | None) -> None:
    if only is None:
        return
    texts(only, most=MOST_ITEMS, what="contracts")
    possible(only)
    unknown = act.conn.execute(sql.UNKNOWN_IDS, {"ids": list(only), "replay_id": replay_id}).scalars().all()
    if unknown:
        raise NotFound(f"contract {', '.join(map(str, unknown))} is not in replay {replay_id}")


def second_person(estate: Estate, count: int, money: Decimal, unknown: int) -> str:
    """Why a replay of `count` items needs an approval; empty: it needs none.

    `money`: of those that write, in the reporting currency; `unknown`: those that write and have no rate.
    """
    policy, currency = estate.replay, estate.group.reporting_currency
    reasons = []
    if money >= policy.second_person_from_money:
        limit = written(policy.second_person_from_money, currency)
        reasons.append(f"{written(money, currency)} is {limit} or more")
    if unknown:
        reasons.append(f"the money of {unknown:,} items is not known in {currency}")
    if count >= policy.second_person_from_count:
        reasons.append(f"{count:,} items are {policy.second_person_from_count:,} or more")
    return "; ".join(reasons)


def rate_of(per_minute: int) -> int:
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        raise InvalidInput(f"{per_minute} items a minute; choose from 1 to {MOST_PER_MINUTE:,}")
    return per_minute


def ticket_of(text: str, *, required: bool) -> str:
    """Raises InvalidInput for one that is too long, or missing where the estate asks for it."""
    ticket = clean(" ".join(text.split()))
    if required and not ticket:
        raise InvalidInput("name the ticket of this change, such as CHG-4711; the estate asks for one")
    if len(ticket) > LONGEST_TICKET:
        raise InvalidInput(f"the ticket is longer than {LONGEST_TICKET} characters; shorten it")
    return ticket


def approve(act: Act, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
    """The second person's yes. Refused to whoever made or confirmed it, and to programs."""
    row = opened(act, replay_id, Permission.REPLAY_APPROVE, version, ReplayState.AWAITING_APPROVAL)
    if act.actor.kind is not ActorKind.PERSON:
        raise CommandRefused("a replay is approved by a person; ask one who has the role approver")
    if act.actor.name.casefold() in (row.created_by.casefold(), (row.confirmed_by or "").casefold()):
        raise CommandRefused("you made or confirmed this replay; another person must approve it")
    why = clean(reason_of(reason))
    bound = {"replay_id": replay_id, "actor": act.actor.name, "reason": why, "now": act.now}
    version_now = int(act.conn.execute(sql.APPROVE, bound).scalar_one())
    act.wakes = True
    act.note(Entry("replay.approve", row.subject, reason=why, detail={"confirmed_by": row.confirmed_by}))
    return ReplayMoved(replay_id, ReplayState.RUNNING, version_now)


def refuse(act: Act, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
    """The second person's no: nothing of it is done."""
    row = opened(act, replay_id, Permission.REPLAY_APPROVE, version, ReplayState.AWAITING_APPROVAL)
    why = clean(reason_of(reason))
    return end(act, row, ReplayState.REFUSED, why, f"refused by {act.actor.name}: {why}", "replay.refuse")
