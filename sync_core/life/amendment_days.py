"""From which day a numbered amendment holds, where it was said more than once: by its number again, or corrected. Pure.

The day that its number said first stands. Another one under the same number is kept beside it, as other terms are, and
is never applied by itself. A correction that stands behind the amendment moves the day: the amendment then folds as if
it had said the new one at once, so what waits for its day waits for that one, and what held already since the old one
waits again. The CLM may go on publishing the number as it did before. A correction that moves nothing although nothing
newer was said is kept beside the agreed day too: one that stands before the amendment, or behind which another stands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sync_core.contract import Contract, SilentDay
from sync_core.events import Amended, Changes, Corrected, Event
from sync_core.life import changed


@dataclass(frozen=True, slots=True)
class Days:
    """What the events of one agreement say of its amendments' days."""

    moved: Mapping[int, date | None]  # by number, to which it was moved last
    sent: frozenset[int]  # the amendments, those that wait too
    differ: bool  # whether any day may be said twice


@dataclass(frozen=True, slots=True)
class _Word:
    revision: int
    number: int
    day: date | None
    corrects: bool
    event_id: str


def of(events: Sequence[Event], waiting: Sequence[bool]) -> Days:
    """`events`: of one agreement, in the order of the fold."""
    sent = [event.payload.amendment.number for event in events if isinstance(event.payload, Amended)]
    moved: dict[int, date | None] = {}
    known: set[int] = set()
    corrects = False
    for event, waits in zip(events, waiting, strict=True):
        if isinstance(event.payload, Amended) and not waits:
            known.add(event.payload.amendment.number)
        elif isinstance(event.payload, Corrected) and not waits:
            moved |= {one.number: one.effective_on for one in event.payload.amendment_days if one.number in known}
            corrects = corrects or bool(event.payload.amendment_days)
    return Days(moved, frozenset(sent), corrects or len(set(sent)) < len(sent))


def as_agreed(event: Event, moved: Mapping[int, date | None]) -> Event:
    """An amendment with the day to which it was moved."""
    payload = event.payload
    if not isinstance(payload, Amended) or payload.amendment.number not in moved:
        return event
    header = payload.amendment.model_copy(update={"effective_on": moved[payload.amendment.number]})
    return replace(event, payload=payload.model_copy(update={"amendment": header}))


def seen(contract: Contract, days: Days, heard: Sequence[Event], applied: Iterable[Event]) -> Contract:
    """With the days beside it that are the last word and not agreed. `heard`: the events so far that do not wait;
    `applied`: of them the amendments that stand.

    A later amendment that says all of the same terms and holds before either day leaves nothing to decide.
    """
    if not days.differ or contract.signed_at is None:
        return contract
    standing = {one.payload.amendment.number: as_agreed(one, days.moved)
                for one in applied if isinstance(one.payload, Amended)}  # fmt: skip
    found = {day: said_by for day, said_by in _differing(contract, days, heard).items() if not _settled(day, standing)}
    listed = tuple(sorted(found, key=lambda one: one.number))
    since = (contract.silent_since or found[listed[0]]) if listed else contract.silent_since
    return replace(contract, silent_days=listed, silent_since=since if listed or contract.silent else None)


def stated(contract: Contract) -> Contract:
    """With the days that were published last, agreed or not."""
    days = {one.number: one.stated for one in contract.silent_days}
    listed = (replace(a, effective_on=days.get(a.number, a.effective_on)) for a in contract.amendments)
    return replace(contract, amendments=tuple(listed))


def of_none(contract: Contract) -> tuple[SilentDay, ...]:
    """Days of amendments that were never sent."""
    there = {amendment.number for amendment in contract.amendments}
    return tuple(one for one in contract.silent_days if one.number not in there)


def accepting(contract: Contract) -> list[dict[str, object]]:
    """The `amendment_days` of the correction that accepts all days that were published silently, of what was sent."""
    left = of_none(contract)
    return [{"number": one.number, "effective_on": one.stated} for one in contract.silent_days if one not in left]


def _differing(contract: Contract, days: Days, heard: Sequence[Event]) -> dict[SilentDay, str]:
    """By day, the id of the event that said it. Of an amendment that is missing or still waits the gap is told."""
    agreed = {one.number: one.effective_on for one in contract.amendments}
    missing = contract.missing_amendment
    by_number: dict[int, list[_Word]] = {}
    for word in _words(heard):
        by_number.setdefault(word.number, []).append(word)
    found: dict[SilentDay, str] = {}
    for number, words in by_number.items():
        there = number in agreed
        if not there and (number in days.sent or (missing is not None and number >= missing)):
            continue
        last = _last(sorted(words, key=lambda word: word.revision), agreed.get(number))
        if last is not None:
            found[SilentDay(number, agreed.get(number), last.day)] = last.event_id
    return found


def _words(heard: Sequence[Event]) -> Iterator[_Word]:
    for event in heard:
        payload = event.payload
        if isinstance(payload, Amended):
            number, day = payload.amendment.number, payload.amendment.effective_on
            yield _Word(payload.revision, number, day, corrects=False, event_id=event.id)
        elif isinstance(payload, Corrected):
            for one in payload.amendment_days:
                yield _Word(payload.revision, one.number, one.effective_on, corrects=True, event_id=event.id)


def _last(words: Sequence[_Word], agreed: date | None) -> _Word | None:
    """The word that differs from what is agreed, if it is the last one; what the number says as before is none."""
    published: _Word | None = None
    last: _Word | None = None
    for word in words:
        if word.day == agreed:
            last = None
        elif word.corrects or (published is not None and word.day != published.day):
            last = word
        if not word.corrects:
            published = word
    return last


def _settled(one: SilentDay, standing: Mapping[int, Event]) -> bool:
    amended = standing[one.number].payload if one.number in standing else None
    return isinstance(amended, Amended) and any(
        _says_all_of(amended.changes, later.payload.changes)
        for number, later in standing.items()
        if number > one.number and isinstance(later.payload, Amended) and _before(later.payload, one)
    )


def _before(later: Amended, one: SilentDay) -> bool:
    since = later.amendment.effective_on
    return since is None or all(day is not None and since <= day for day in (one.agreed, one.stated))


def _says_all_of(said: Changes, says: Changes) -> bool:
    terms = changed.touched(said)
    return bool(terms) and terms <= changed.touched(says)
