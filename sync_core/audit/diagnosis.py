"""What was done to the audit at the first row that does not fit, as precisely as the chain allows. Pure.

A row that was moved still carries the hash of its old id, and a row whose hash was recomputed is not the one that the
next row remembers. That is enough to tell most single edits apart; where it is not, the words say what remains open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sync_core.audit.audit import Row, content_of, link

_FAR: Final = 100_000  # rows; under a second


class Flaw(StrEnum):
    """What was done to the audit."""

    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    MOVED = "moved"
    CUT_OFF = "cut_off"
    REWRITTEN = "rewritten"  # and all hashes after it recomputed, up to a checkpoint
    HEAD = "head"  # core.audit_head, or it and the last row together
    CHECKPOINT = "checkpoint"  # a checkpoint that cannot be trusted


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong, in one line. `row_id` None: it is about no row."""

    flaw: Flaw
    row_id: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Head:
    """What core.audit_head says of the last row; (0, GENESIS) before the first."""

    id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where the chain was good for the last time."""

    last: int  # id of the last row that fitted; 0 before the first
    hash: bytes  # its hash
    before: bytes  # the hash of the row before it
    sure: int  # the last row that a checkpoint vouches for
    head: Head | None


def diagnose(place: Place, row: Row, ahead: Sequence[Row]) -> Finding:
    """`row` is the first that does not fit behind `place`; `ahead` are the next ones, fewer at the end."""
    wanted = place.last + 1
    if row.id < wanted:
        return Finding(Flaw.ADDED, row.id, f"row {row.id} was added: the audit's rows are counted from 1")
    if row.id > wanted:
        return _gap(place, row)
    if link(row.previous, content(row)) == row.hash:
        return _broken_link(place, row, _remembered(place, row, ahead))
    return _unfit(place, row, ahead)


def content(row: Row) -> bytes:
    """The hash of its content; empty, which no hash is made of, when a value is not of its column's kind."""
    try:
        return content_of(row)
    except (AttributeError, TypeError, ValueError):
        return b""


def rewritten(row: Row, *, sure: int, seen: str) -> Finding:
    """All hashes fit, but a checkpoint saw another row here."""
    which = f"row {row.id}" if sure + 1 == row.id else f"a row from {sure + 1} to {row.id}"
    words = f"row {row.id} is not the one that the checkpoint of {seen} saw: {which} was changed, added or removed"
    return Finding(Flaw.REWRITTEN, row.id, f"{words}, and the hashes after it were recomputed")


def ending(place: Place, *, seen: int) -> Finding | None:
    """All rows fit; `seen` is the highest row that a checkpoint saw."""
    last, head = place.last, place.head
    told = max(seen, head.id if head else 0)
    if told > last:
        who = "a signed checkpoint" if seen == told else "core.audit_head"
        return Finding(Flaw.CUT_OFF, last, f"the tail was cut off after row {last}: {who} saw row {told}")
    if head is None:
        return Finding(Flaw.HEAD, None, f"core.audit_head has no row; the last row is {last}")
    if head.id < last:
        more = f"row {last} was" if head.id + 1 == last else f"rows {head.id + 1} to {last} were"
        if place.sure > head.id:
            return Finding(Flaw.HEAD, None, f"core.audit_head was changed: it says row {head.id}, the last is {last}")
        words = f"{more} added behind the audit's head, which says row {head.id}, or the head was set back"
        return Finding(Flaw.ADDED, head.id + 1, words)
    if head.hash != place.hash:
        if place.sure == last:
            return Finding(Flaw.HEAD, None, f"core.audit_head was changed: its hash is not that of row {last}")
        words = f"row {last} was changed and its hash recomputed, or core.audit_head was: they do not agree"
        return Finding(Flaw.HEAD, last, words)
    return None


def _gap(place: Place, row: Row) -> Finding:
    wanted = place.last + 1
    if row.previous == place.hash and _was(row, wanted):
        return Finding(Flaw.MOVED, row.id, f"row {row.id} was moved: it is row {wanted}")
    which = f"row {wanted} is" if row.id == wanted + 1 else f"rows {wanted} to {row.id - 1} are"
    return Finding(Flaw.MISSING, wanted, f"{which} missing before row {row.id}")


def _broken_link(place: Place, row: Row, remembered: bytes | None) -> Finding:
    """The row's hash is that of its content, but it follows another row than the one before it."""
    if place.last == place.sure or remembered not in (None, row.hash):
        behind = f"row {place.last}" if place.last else "the beginning"
        words = f"row {row.id} was changed and its hash recomputed: it does not follow {behind}"
        return Finding(Flaw.CHANGED, row.id, words)
    since = "" if place.sure + 1 == place.last else f"; rows from {place.sure + 1} on may have been too"
    words = f"row {place.last} was changed and its hash recomputed: row {row.id} remembers another{since}"
    return Finding(Flaw.CHANGED, place.last, words)


def _unfit(place: Place, row: Row, ahead: Sequence[Row]) -> Finding:
    """The row's hash is not that of its content behind the row that it names."""
    held = content(row)
    if row.previous == place.hash and _remembered(place, row, ahead) == link(row.previous, held):
        return Finding(Flaw.CHANGED, row.id, f"row {row.id} was changed: its hash is not the one of its content")
    if link(place.hash, held) == row.hash:
        words = f"row {row.id} was changed: its previous is not the hash of the row before it"
        return Finding(Flaw.CHANGED, row.id, words)
    if row.previous != place.hash and (old := _old_id(place, row)):
        return _moved(place, row, ahead, old)
    if ahead and ahead[0].previous == place.hash and _was(ahead[0], row.id):
        return Finding(Flaw.ADDED, row.id, f"row {row.id} was added: row {ahead[0].id} was row {row.id} before")
    return Finding(Flaw.CHANGED, row.id, f"row {row.id} was changed: its content is not what its hash was made of")


def _moved(place: Place, row: Row, ahead: Sequence[Row], old: int) -> Finding:
    if old == place.last and row.previous == place.before:
        return Finding(Flaw.ADDED, place.last, f"row {place.last} was added: row {row.id} was row {old} before")
    by = old - row.id
    if by > 0 and ahead and _was(ahead[0], ahead[0].id + by):
        which = f"row {row.id}" if by == 1 else f"rows {row.id} to {old - 1}"
        verb = "is" if by == 1 else "are"
        words = f"{which} {verb} missing: the rows after were numbered anew, row {row.id} was row {old}"
        return Finding(Flaw.MISSING, row.id, words)
    return Finding(Flaw.MOVED, row.id, f"row {row.id} was moved: it is row {old}")


def _remembered(place: Place, row: Row, ahead: Sequence[Row]) -> bytes | None:
    """The row's hash as what comes after it remembers it; None when nothing does."""
    if ahead:
        return ahead[0].previous
    return place.head.hash if place.head is not None and place.head.id == row.id else None


def _was(row: Row, old: int) -> bool:
    return link(row.previous, content(row._replace(id=old))) == row.hash


def _old_id(place: Place, row: Row) -> int | None:
    """The id that its hash was made with, if only that was changed: the neighbours first, then others up to the head.

    Not further than _FAR: the head may have been changed too, and naming the row must come to an end.
    """
    near = [place.last, row.id + 1]
    first, last = max(1, row.id - _FAR), min(max(place.head.id if place.head else 0, row.id), row.id + _FAR)
    return next((old for old in (*near, *range(first, last + 1)) if old > 0 and _was(row, old)), None)
