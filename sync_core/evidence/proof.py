"""The proof that a contract's audit rows stand in the chain: links from each up to the next signed checkpoint. Pure.

A row's hash is made of the hash before it and the hash of its content, so the rows between, which are about others, are
shown by the hashes of their contents alone: they can be followed and not read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sync_core.audit.audit import Row, content_of, link
from sync_core.audit.checkpoint import Checkpoint
from sync_core.audit.diagnosis import Head
from sync_core.errors import TielineError

CHECKPOINT: Final = "checkpoint"
MANIFEST: Final = "manifest"


class NotWhole(TielineError):
    """The audit's rows do not follow each other, so nothing can be proved with them; run `tieline audit verify`."""

    code = "evidence.audit_not_whole"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows `first` to `last`, and who vouches for the hash of the last one."""

    first: int
    last: int
    vouched_by: str  # CHECKPOINT or MANIFEST
    hash: str


def stretches(ids: Sequence[int], checkpoints: Sequence[Checkpoint], head: Head) -> list[Stretch]:
    """As few as lead every id (ascending) to the next checkpoint at or after it, or to the head."""
    marks = {one.id: one.hash for one in checkpoints if one.id <= head.id}
    found: list[Stretch] = []
    for one in ids:
        if found and one <= found[-1].last:
            continue
        last = min((mark for mark in marks if mark >= one), default=None)
        if last is None:
            found.append(Stretch(one, head.id, MANIFEST, head.hash.hex()))
        else:
            found.append(Stretch(one, last, CHECKPOINT, marks[last]))
    return found


def linked(stretch: Stretch, rows: Iterable[Row]) -> Mapping[str, Any]:
    """A stretch as the proof has it; `rows` are its rows in order. Raises NotWhole."""
    contents: list[str] = []
    previous = current = b""
    for row in rows:
        content = content_of(row)
        if not contents:
            previous = current = row.previous
        current = link(current, content)
        contents.append(content.hex())
    if len(contents) != stretch.last - stretch.first + 1 or current.hex() != stretch.hash:
        raise NotWhole(
            f"audit rows {stretch.first} to {stretch.last} do not lead to the {stretch.vouched_by}'s hash; "
            "run `tieline audit verify` to see why"
        )
    return {
        "first": stretch.first,
        "last": stretch.last,
        "vouched_by": stretch.vouched_by,
        "previous": previous.hex(),
        "contents": contents,
        "hash": stretch.hash,
    }
