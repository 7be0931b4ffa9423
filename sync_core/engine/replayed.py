"""How a replay's item ends with the run of its contract. Pure: the group commit writes it.

An item without an end stays pending: its contract goes on by itself, and the item with it, until its time is up
(sync_core/engine/dispatch.py).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.items import ItemEnd, ReplayItem
from sync_core.engine.outcome import Done, Outcome
from sync_core.errors import ErrorClass, ReadBackMismatch, WorkersLost
from sync_core.plan import Plan
from sync_core.replay.replay import Effect, ItemState, departures, digest_of, effects_of, told

_TAMPERED: Final = "the stored plan is not the one whose digest was confirmed"


def departed(item: ReplayItem, plan: Plan | None, lane: str) -> list[str]:
    """How what would be done now departs from what was confirmed; empty: do it."""
    if digest_of(item.lane, item.effects) != item.digest:
        return [_TAMPERED]
    if item.moves:
        return []  # it was compared before anything was closed; half-way there is no staying
    now = effects_of(plan) if plan else ()
    return departures(item.effects, now, lanes=(item.lane, lane), touched=item.touched)


def departed_move(item: ReplayItem, now: Sequence[Effect], lane: str) -> list[str]:
    """As `departed`, of a move that is about to begin: `now` is what it would do in both ERPs.

    Half-way there is no staying: what its old ERP billed while it was being closed is not made in the new one, and
    that is no other move than the one that was confirmed.
    """
    if digest_of(item.lane, item.effects) != item.digest:
        return [_TAMPERED]
    ahead = [effect for effect in now if not item.touched or effect.system != lane]
    return departures(item.effects, ahead, lanes=(item.lane, lane), touched=item.touched)


def depart(how: Sequence[str], claimed: Claimed, loaded: Loaded, outcome: Outcome, now: datetime) -> bool:
    """Whether the run ends here, because a replay confirmed something else than would be done now."""
    if claimed.replay is None or not how:
        return False
    outcome.state, outcome.read_back = None, False
    skip(outcome, claimed.replay, how, loaded, now)
    return True


def skip(outcome: Outcome, item: ReplayItem, why: Sequence[str], loaded: Loaded, now: datetime) -> None:
    """Nothing is written; the contract goes on as if it had not been replayed.

    Two things differ from before: news that came meanwhile are due, and what an earlier try left half-done is finished
    by the usual rules, as after any run that stopped.
    """
    outcome.name, outcome.refund = "skipped", True
    outcome.end = ItemEnd(ItemState.SKIPPED, told(why))
    outcome.seen_rev = outcome.claimed.done_rev  # not converged: what is not done yet stays to be done
    if item.touched or loaded.wanted_rev != item.was.rev:
        outcome.next_due = now
        return
    outcome.state, outcome.since, outcome.next_due = item.was.state, item.was.since, item.was.due_at


def conclude(outcome: Outcome, wrong: Exception | None) -> None:
    """Call it when all else of the outcome is decided. `wrong` is what ended the run, if anything did."""
    item = outcome.claimed.replay
    if item is None:
        return
    # What an earlier try may have sent stays sent, also where this one only waits for its answer.
    outcome.sent = outcome.sent or item.touched or any(_sent(done) for done in outcome.operations)
    if outcome.end is None:
        outcome.end = _end(outcome, item, wrong)


def _end(outcome: Outcome, item: ReplayItem, wrong: Exception | None) -> ItemEnd | None:
    words = outcome.reason or ""
    if outcome.onward:
        return None
    if isinstance(wrong, ReadBackMismatch):
        return ItemEnd(ItemState.MISMATCH, words)
    if wrong is None and outcome.read_back:
        return ItemEnd(ItemState.VERIFIED, words)
    if outcome.name == "waiting":
        return None  # for the window or the answer of an ERP with batches
    if outcome.state in ("blocked", "set_aside"):
        return ItemEnd(_failed_or_unknown(outcome, item, wrong), words)
    if wrong is None:
        return ItemEnd(ItemState.FAILED, "its ERP is not in the estate any more, so nothing could be read back")
    return None


def _failed_or_unknown(outcome: Outcome, item: ReplayItem, wrong: Exception | None) -> ItemState:
    """Set aside without an answer to a write: nobody knows what the ERP holds."""
    lost = isinstance(wrong, WorkersLost) and item.touched
    unanswered = outcome.state == "set_aside" and outcome.error_class == ErrorClass.AMBIGUOUS
    return ItemState.UNVERIFIABLE if lost or unanswered else ItemState.FAILED


def _sent(done: Done) -> bool:
    """Whether the ERP may have got it: a write that worked, or one that failed other than before it was sent."""
    wrote = done.action in ("create", "update", "activate", "close", "adopt")
    return wrote and (done.status == "done" or done.error_class != ErrorClass.TRANSIENT)
