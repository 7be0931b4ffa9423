"""Whether the audit is whole, and if not, which row is the first bad one. Pure; one pass, constant memory.

Three things speak against an edit: a row's content and its hash, the next row's memory of that hash, and checkpoints
that lie outside the database. Each catches what the one before it cannot: a change, a change whose hash was recomputed,
a change after which all later hashes and the head were recomputed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sync_core.audit.audit import GENESIS, Row, link
from sync_core.audit.checkpoint import Checkpoint
from sync_core.audit.diagnosis import Finding, Flaw, Head, Place, content, diagnose, ending, rewritten

__all__ = ["Finding", "Flaw", "Head", "Verdict", "verify"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rows` were read until the end or the finding; `last` and `hash` are of the last good row."""

    finding: Finding | None
    rows: int
    last: int
    hash: bytes
    checkpoints: int  # those whose row was met and agreed

    @property
    def whole(self) -> bool:
        return self.finding is None


def verify(rows: Iterable[Row], head: Head | None, checkpoints: Iterable[Checkpoint] = ()) -> Verdict:
    """`rows` are all rows in the order of ids. The signatures of the checkpoints were checked when they were read."""
    return _Pass(iter(rows), head, checkpoints).run()


class _Pass:
    """One reading of the chain, up to its end or to the first bad row."""

    def __init__(self, rows: Iterator[Row], head: Head | None, checkpoints: Iterable[Checkpoint]) -> None:
        self._rows, self._head = rows, head
        self._seen: dict[int, list[Checkpoint]] = {}
        for one in checkpoints:
            self._seen.setdefault(one.id, []).append(one)
        self._count = self._agreed = self._last = self._sure = 0
        self._hash = self._before = GENESIS

    def run(self) -> Verdict:
        finding = self._read() or ending(self._place(), seen=max(self._seen, default=0))
        return Verdict(finding, self._count, self._last, self._hash, self._agreed)

    def _read(self) -> Finding | None:
        seen = self._seen
        for row in self._rows:
            self._count += 1
            fits = row.id == self._last + 1 and row.previous == self._hash
            if not fits or link(row.previous, content(row)) != row.hash:
                return diagnose(self._place(), row, list(islice(self._rows, 1)))
            self._before, self._last, self._hash = self._hash, row.id, row.hash
            if row.id in seen and (finding := self._compare(row)):
                return finding
        return None

    def _compare(self, row: Row) -> Finding | None:
        for one in self._seen[row.id]:
            if bytes.fromhex(one.hash) != row.hash:
                return rewritten(row, sure=self._sure, seen=f"{one.occurred_at:%Y-%m-%d %H:%M} UTC")
            self._agreed += 1
        self._sure = row.id
        return None

    def _place(self) -> Place:
        return Place(self._last, self._hash, self._before, self._sure, self._head)
