"""What of the outgoing events a notification rule tells: of its matters, what is news, and each subject once. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sync_core.cases.approvals import NEEDED
from sync_core.estate.delivery import PREFIX, Notify, Severity, Word

AGAIN_AFTER: Final = timedelta(hours=24)  # one subject once per rule, unless its severity rose

WORDS: Final[Mapping[str, Word]] = {
    f"{PREFIX}exception.opened.v1": Word.EXCEPTION,
    f"{PREFIX}exception.reopened.v1": Word.EXCEPTION,
    f"{PREFIX}exception.handed_over.v1": Word.EXCEPTION,
    f"{PREFIX}exception.overdue.v1": Word.OVERDUE,
    f"{PREFIX}event.quarantined.v1": Word.QUARANTINE,
    f"{PREFIX}lane.stopped.v1": Word.LANE,
    f"{PREFIX}lane.restored.v1": Word.LANE,
    f"{PREFIX}renewal.due.v1": Word.RENEWAL,
    f"{PREFIX}amendment.late.v1": Word.AMENDMENT_LATE,
    f"{PREFIX}project.activated.v1": Word.ACTIVATED,
    f"{PREFIX}approval.requested.v1": Word.APPROVAL,
    f"{PREFIX}approval.decided.v1": Word.APPROVAL,
    f"{PREFIX}replay.finished.v1": Word.REPLAY,
    f"{PREFIX}objective.broken.v1": Word.SLO,
    f"{PREFIX}schema.drifted.v1": Word.SCHEMA,
}
CLOSING: Final = frozenset({f"{PREFIX}exception.resolved.v1", f"{PREFIX}exception.decided.v1"})
RESTORED: Final = f"{PREFIX}lane.restored.v1"


@dataclass(frozen=True, slots=True)
class Note:
    """An outgoing event that a rule may tell of."""

    seq: int
    type: str
    subject: str
    severity: Severity
    function: str | None
    occurred_at: datetime
    data: Mapping[str, Any]

    @property
    def word(self) -> Word:
        return WORDS[self.type]

    @property
    def about(self) -> str:
        return f"{self.word} {self.subject}"

    @property
    def contract(self) -> Mapping[str, Any]:
        return self.data.get("contract") or {}

    @property
    def exception(self) -> Mapping[str, Any]:
        return self.data.get("exception") or {}


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule said last about something."""

    type: str
    severity: Severity
    told_at: datetime


def types_of(rule: Notify) -> list[str]:
    """What the rule must read: what it tells, and what makes that pointless."""
    told = [name for name, word in WORDS.items() if word in rule.on]
    return told + (sorted(CLOSING) if {Word.EXCEPTION, Word.OVERDUE} & set(rule.on) else [])


def select(notes: Sequence[Note], rule: Notify, told: Mapping[str, Told], *, now: datetime) -> list[Note]:
    """What is worth telling of `notes` (rising by seq): the last of each subject, unless it is over or was told."""
    last: dict[str, Note] = {}
    for note in notes:
        if note.type in CLOSING:
            for word in (Word.EXCEPTION, Word.OVERDUE):
                last.pop(f"{word} {note.subject}", None)
        else:
            last.pop(note.about, None)  # the newest decides on the order too
            last[note.about] = note
    return [note for about, note in last.items() if _wanted(note, rule) and _is_news(note, told.get(about), now)]


def _wanted(note: Note, rule: Notify) -> bool:
    if note.word not in rule.on or note.severity.rank < rule.min_severity.rank:
        return False
    if rule.function is not None and note.function not in (None, rule.function.value):
        return False
    if note.word is Word.EXCEPTION and note.exception.get("cause") == NEEDED:
        return False  # an approval is a word of its own
    return not note.contract.get("test")


def _is_news(note: Note, before: Told | None, now: datetime) -> bool:
    if note.word is Word.LANE:
        # That it works again is news to whoever heard that it does not, however long ago.
        return note.type != (before.type if before else RESTORED)
    if before is None or (note.word is Word.APPROVAL and note.type != before.type):
        return True  # asked, decided, and asked anew are three matters
    return now - before.told_at >= AGAIN_AFTER or note.severity.rank > before.severity.rank
