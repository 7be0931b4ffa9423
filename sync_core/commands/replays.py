"""Replay as people and programs ask for it: preview, confirm, approve, pause, cancel. Workers do what is asked.

Nothing here needs a worker: the rows say what is wanted, and the workers find it. Each function is one command within
the caller's transaction (`desk.run_once` for programs); `Replays` runs them for people.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sync_core.audit.audit import Entry, clean
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk, reason_of
from sync_core.commands.replay_deciding import approve, confirm, rate_of, refuse
from sync_core.commands.replay_making import offer_again, preview
from sync_core.commands.replay_row import ReplayConfirmed, ReplayMade, ReplayMoved, ReplayRow, end, opened
from sync_core.replay import sql
from sync_core.replay.replay import Origin, ReplayState
from sync_core.replay.selection import Missed, Selection, StuckFilter

COMMANDS: Final[Mapping[str, Permission]] = {
    "preview": Permission.REPLAY_PREVIEW,
    "confirm": Permission.REPLAY_EXECUTE,
    "approve": Permission.REPLAY_APPROVE,
    "refuse": Permission.REPLAY_APPROVE,
    "pause": Permission.REPLAY_EXECUTE,
    "resume": Permission.REPLAY_EXECUTE,
    "cancel": Permission.REPLAY_EXECUTE,
    "set_rate": Permission.REPLAY_EXECUTE,
    "offer_again": Permission.REPLAY_PREVIEW,
}

__all__ = [
    "Missed", "Origin", "ReplayConfirmed", "ReplayMade", "ReplayMoved", "Replays", "Selection", "StuckFilter",
    "approve", "cancel", "confirm", "offer_again", "pause", "preview", "refuse", "resume", "set_rate",
]  # fmt: skip


def cancel(act: Act, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
    """What has not begun is not done; what a worker has in hand is finished."""
    row = opened(act, replay_id, Permission.REPLAY_EXECUTE, version)
    why = clean(reason_of(reason))
    return end(act, row, ReplayState.CANCELLED, why, f"cancelled by {act.actor.name}: {why}", "replay.cancel")


def pause(act: Act, replay_id: int, *, version: int | None = None) -> ReplayMoved:
    """Nothing more is dispatched; what was is finished."""
    row = opened(act, replay_id, Permission.REPLAY_EXECUTE, version, ReplayState.RUNNING)
    return _move(act, row, ReplayState.PAUSED, row.per_minute, "replay.pause")


def resume(act: Act, replay_id: int, *, version: int | None = None) -> ReplayMoved:
    row = opened(act, replay_id, Permission.REPLAY_EXECUTE, version, ReplayState.PAUSED)
    return _move(act, row, ReplayState.RUNNING, row.per_minute, "replay.resume")


def set_rate(act: Act, replay_id: int, per_minute: int, *, version: int | None = None) -> ReplayMoved:
    """Items dispatched a minute, over all workers."""
    row = opened(act, replay_id, Permission.REPLAY_EXECUTE, version, ReplayState.RUNNING, ReplayState.PAUSED)
    return _move(act, row, row.state, rate_of(per_minute), "replay.set_rate")


def _move(act: Act, row: ReplayRow, state: ReplayState, per_minute: int, action: str) -> ReplayMoved:
    bound = {"replay_id": row.replay_id, "state": state.value, "per_minute": per_minute, "now": act.now}
    version = int(act.conn.execute(sql.MOVE, bound).scalar_one())
    act.wakes = state is ReplayState.RUNNING
    before = {"state": row.state, "per_minute": row.per_minute}
    detail = {"before": before, "after": {"state": state, "per_minute": per_minute}}
    act.note(Entry(action, row.subject, detail=detail))
    return ReplayMoved(row.replay_id, state, version)


class Replays:
    """For people. `version` is that of the replay as the caller saw it; None does not ask.

    All raise Forbidden, NotFound (no such replay, or nothing of it within reach), Changed and CommandRefused.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def preview(
        self, actor: Actor, selection: Selection, *, origin: Origin = Origin.CURRENT, title: str = ""
    ) -> ReplayMade:
        """Freeze the contracts within reach that meet the selection; workers preview them. Raises InvalidInput."""
        return self._desk.run(
            actor, Permission.REPLAY_PREVIEW, lambda act: preview(act, selection, origin=origin, title=title)
        )

    def confirm(
        self,
        actor: Actor,
        replay_id: int,
        *,
        reason: str,
        ticket: str = "",
        per_minute: int | None = None,
        only: Sequence[int] | None = None,
        version: int | None = None,
    ) -> ReplayConfirmed:
        """Carry out what was previewed, for all items or `only` these contracts. Without `per_minute` the estate's.

        Raises InvalidInput without a reason, and without a ticket where the estate asks for one.
        """
        return self._desk.run(
            actor,
            Permission.REPLAY_EXECUTE,
            lambda act: confirm(
                act, replay_id, reason=reason, ticket=ticket, per_minute=per_minute, only=only, version=version
            ),
        )

    def approve(self, actor: Actor, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
        """By a person who neither made nor confirmed it, for all legal entities in it."""
        return self._desk.run(
            actor, Permission.REPLAY_APPROVE, lambda act: approve(act, replay_id, reason=reason, version=version)
        )

    def refuse(self, actor: Actor, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
        return self._desk.run(
            actor, Permission.REPLAY_APPROVE, lambda act: refuse(act, replay_id, reason=reason, version=version)
        )

    def pause(self, actor: Actor, replay_id: int, *, version: int | None = None) -> ReplayMoved:
        """Nothing more is dispatched; what was is finished."""
        return self._desk.run(actor, Permission.REPLAY_EXECUTE, lambda act: pause(act, replay_id, version=version))

    def resume(self, actor: Actor, replay_id: int, *, version: int | None = None) -> ReplayMoved:
        return self._desk.run(actor, Permission.REPLAY_EXECUTE, lambda act: resume(act, replay_id, version=version))

    def cancel(self, actor: Actor, replay_id: int, *, reason: str, version: int | None = None) -> ReplayMoved:
        """At any time before it is over. What a worker has in hand is finished."""
        return self._desk.run(
            actor, Permission.REPLAY_EXECUTE, lambda act: cancel(act, replay_id, reason=reason, version=version)
        )

    def set_rate(self, actor: Actor, replay_id: int, per_minute: int, *, version: int | None = None) -> ReplayMoved:
        """Items dispatched a minute, over all workers."""
        return self._desk.run(
            actor, Permission.REPLAY_EXECUTE, lambda act: set_rate(act, replay_id, per_minute, version=version)
        )

    def offer_again(self, actor: Actor, replay_id: int) -> ReplayMade:
        """A new replay of what changed, failed, mismatched, could not be verified or was cancelled in this one."""
        return self._desk.run(actor, Permission.REPLAY_PREVIEW, lambda act: offer_again(act, replay_id))
