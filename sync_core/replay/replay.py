"""Replay in words and rules: states, limits, and whether a plan still is the one that was confirmed. Pure.

An item's plan is kept as plain JSON, one object per operation. It is compared effect by effect, never by a digest
alone, so that what changed can be told.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import orjson

from sync_core.desired import Fields, Kind
from sync_core.plan import Action, Operation, Plan

MOST_ITEMS: Final = 50_000
DEADLINE: Final = timedelta(minutes=15)  # of the clock, from an item's dispatch to its end
MOST_TRIES: Final = 20
PREVIEW_TRIES: Final = 5  # failed reads of the ERP, with its lane open
_WRITES: Final = frozenset({Action.CREATE, Action.UPDATE, Action.ACTIVATE, Action.CLOSE, Action.ADOPT})
_NAMED: Final = 3  # changes told in words


class Origin(StrEnum):
    """What is folded."""

    CURRENT = "current"  # the events as they stand
    ORIGINAL = "original"  # what quarantine holds of the contract is released first, then all stored bodies are parsed


class ReplayState(StrEnum):
    PREVIEWING = "previewing"
    PREVIEWED = "previewed"  # every item has its preview, or the words why not
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    REFUSED = "refused"

    @property
    def over(self) -> bool:
        return self in (ReplayState.CANCELLED, ReplayState.FINISHED, ReplayState.REFUSED)


class Eligibility(StrEnum):
    """What was known of a contract when its replay was made."""

    ELIGIBLE = "eligible"
    ALREADY_CONFIRMED = "already_confirmed"  # previewed all the same: its ERP may have lost it
    SUPERSEDED = "superseded"
    BLOCKED = "blocked"


class PreviewState(StrEnum):
    NONE = "none"  # not eligible
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class ItemState(StrEnum):
    """How an item ended. `pending` is all that has not ended, dispatched or not."""

    PENDING = "pending"
    VERIFIED = "verified"  # carried out, and the ERP read back as confirmed
    MISMATCH = "mismatch"  # the ERP took it and holds something else
    FAILED = "failed"
    UNVERIFIABLE = "unverifiable"  # something was sent, and no read-back came in time
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Skip(StrEnum):
    """Why nothing was done for an item."""

    NOT_ELIGIBLE = "not_eligible"
    NOT_CHOSEN = "not_chosen"
    NOT_PREVIEWED = "not_previewed"
    STOPPED = "stopped"  # its preview found what stops it before any write
    SUPERSEDED = "superseded"
    CHANGED = "changed"  # its plan is not the confirmed one any more


@dataclass(frozen=True, slots=True)
class Effect:
    """One operation of a previewed plan."""

    action: Action
    kind: Kind
    key: str
    ref: str | None
    before: Fields | None
    after: Fields | None
    words: str = ""
    system: str = ""  # the ERP, of a move, which has to do with two

    @classmethod
    def of(cls, operation: Operation) -> "Effect":
        o = operation
        return cls(o.action, o.kind, o.key, o.ref, o.before, o.after, o.words)

    @classmethod
    def parse(cls, stored: Mapping[str, object]) -> "Effect":
        """The inverse of `stored`."""
        ref, before, after = stored["ref"], stored["before"], stored["after"]
        return cls(
            Action(str(stored["action"])),
            Kind(str(stored["kind"])),
            str(stored["key"]),
            None if ref is None else str(ref),
            before if isinstance(before, dict) else None,
            after if isinstance(after, dict) else None,
            str(stored["words"]),
            str(stored.get("system", "")),
        )

    @property
    def stored(self) -> dict[str, object]:
        names = ("action", "kind", "key", "ref", "before", "after", "words", *(("system",) if self.system else ()))
        return {name: getattr(self, name) for name in names}

    @property
    def writes(self) -> bool:
        return self.action in _WRITES

    @property
    def shared_create(self) -> bool:
        return self.kind.shared and self.action is Action.CREATE

    @property
    def whole(self) -> bytes:
        """What it does, to the field."""
        where = [self.system] if self.system else []
        return _canonical([self.action, self.kind, self.key, self.ref, self.before, self.after, *where])

    @property
    def outcome(self) -> bytes:
        """What stands afterwards, whatever stood before."""
        return _canonical([self.action, self.kind, self.key, self.after, *([self.system] if self.system else [])])

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.key}".replace("_", " ")


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def effects_of(plan: Plan) -> tuple[Effect, ...]:
    return tuple(Effect.of(operation) for operation in plan.operations)


def digest_of(lane: str, effects: Iterable[Effect]) -> str:
    """Names what would be done, and in which ERP: equal for equal effects."""
    parts = hashlib.sha256(_canonical(lane))
    for effect in effects:
        parts.update(effect.whole)
    return parts.hexdigest()


def departures(
    confirmed: Sequence[Effect], now: Sequence[Effect], *, lanes: tuple[str, str], touched: bool
) -> list[str]:
    """How a fresh plan departs from the confirmed one, in words; none: it may be carried out.

    `lanes`: the ERP then and now. `touched`: an earlier try of this item may have written, so that what is left must
    be part of what was confirmed. Else both must be equal, but for one thing: a shared object that was to be created
    may have come into being for another contract.
    """
    was, new = lanes
    if was != new:
        return [f"it now belongs to the ERP {new or 'none'}, not {was or 'none'}"]
    if touched:
        allowed = {effect.outcome for effect in confirmed if effect.writes}
        beyond = [effect for effect in now if effect.writes and effect.outcome not in allowed]
        return [f"not confirmed: {effect}" for effect in beyond]
    return [*_beyond_shared(confirmed, now), *_differing(confirmed, now)]


def _beyond_shared(confirmed: Sequence[Effect], now: Sequence[Effect]) -> list[str]:
    allowed = {effect.outcome for effect in confirmed if effect.shared_create}
    return [f"now needed: {effect}" for effect in now if effect.shared_create and effect.outcome not in allowed]


def _differing(confirmed: Sequence[Effect], now: Sequence[Effect]) -> list[str]:
    was = {effect.whole: effect for effect in confirmed if not effect.kind.shared}
    new = {effect.whole: effect for effect in now if not effect.kind.shared}
    gone = [effect for at, effect in was.items() if at not in new]
    come = [effect for at, effect in new.items() if at not in was]
    return [f"now: {effect}{_fields(effect)}" for effect in come] + [
        f"no longer: {effect}{_fields(effect)}" for effect in gone
    ]


def _fields(effect: Effect) -> str:
    changed = effect.action is Action.UPDATE and effect.after
    return f" ({', '.join(changed)})" if changed else ""


def told(departed: Sequence[str]) -> str:
    """The words of an item that was skipped because its plan changed."""
    more = len(departed) - _NAMED
    return f"changed: {'; '.join(departed[:_NAMED])}" + (f"; and {more} more" if more > 0 else "")
