"""A contract's events as a history: what each one changed, found by folding the events known so far again and again.

Events stand in the order in which they were recorded, so a late one shows what changed on the day it came, which is
what people saw then. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sync_core.contract import Contract
from sync_core.events import PREFIX, WORKFLOW, Event, SchemaUnknown, understand
from sync_core.fold import fold
from sync_core.life.agreements import DayAt
from sync_core.life.contract_words import Change as Change
from sync_core.life.contract_words import changes_between as changes_between
from sync_core.life.contract_words import flat as flat

# Beyond so many events each further prefix costs more than anyone reads; older events are listed without their changes.
EXPLAINED = 100


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of core.event."""

    seq: int
    source: str
    id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    received_by: str
    correlation_id: str
    data: str  # JSON


@dataclass(frozen=True, slots=True)
class Moment:
    """One event and what it changed. `problem` says why it could not be read."""

    event: StoredEvent
    what: str  # "signed", "amended"
    changes: tuple[Change, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Oldest first by record. `contract` is folded from all events that can be read; None if none can."""

    moments: tuple[Moment, ...]
    contract: Contract | None


def history(stored: Sequence[StoredEvent], day_at: DayAt) -> History:
    """`stored` is one contract's, in the order recorded."""
    known: list[Event] = []
    moments: list[Moment] = []
    before: dict[str, str] = {}
    silent = len(stored) - EXPLAINED
    for at, event in enumerate(stored):
        what, problem, changes = _what(event.type), None, []
        try:
            known.append(
                Event(event.source, event.id, event.type, event.occurred_at, understand(event.type, event.data))
            )
        except SchemaUnknown as wrong:
            problem = wrong.message
        if known and problem is None and at >= silent - 1:
            after = flat(fold(known, day_at=day_at))
            changes = changes_between(before, after) if at >= silent else []
            before = after
        moments.append(Moment(event, what, tuple(changes), problem))
    return History(tuple(moments), fold(known, day_at=day_at) if known else None)


def _what(event_type: str) -> str:
    return event_type.removeprefix(PREFIX).removeprefix(WORKFLOW).rpartition(".v")[0] or event_type
