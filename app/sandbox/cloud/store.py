"""The state of the ERP: records in memory, each request one line of an append-only journal.

A line is handed to the operating system before the request is answered, so a killed process loses nothing that it
acknowledged; a torn last line was never acknowledged and is dropped. Opening the file rewrites it without history.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

from app.sandbox.cloud.records import Doc

Change = tuple[str, str, Doc | None]  # kind, id, what it was before


class Store:
    """Records by kind and id. Changes are undone unless `commit` follows them."""

    def __init__(self, path: Path | None = None) -> None:
        self._docs: dict[str, dict[str, Doc]] = {}
        self._keys: dict[tuple[str, str], dict[str, None]] = {}
        self._children: dict[tuple[str, str], dict[str, None]] = {}
        self._counters: dict[str, int] = {}
        self._changes: list[Change] = []
        self._journal: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None
        if path is not None:
            self._open(path)

    def get(self, kind: str, ident: str) -> Doc | None:
        return self._docs.get(kind, {}).get(ident)

    def all(self, kind: str) -> Iterator[Doc]:
        yield from self._docs.get(kind, {}).values()

    def count(self, kind: str) -> int:
        return len(self._docs.get(kind, ()))

    def by_key(self, kind: str, key: str) -> list[Doc]:
        """All records with this external id, oldest first."""
        return [self._docs[kind][ident] for ident in self._keys.get((kind, key), ())]

    def parts(self, kind: str, project_id: str) -> list[Doc]:
        return [self._docs[kind][ident] for ident in self._children.get((kind, project_id), ())]

    def next_id(self, prefix: str) -> str:
        self._counters[prefix] = self._counters.get(prefix, 0) + 1
        return f"{prefix}-{self._counters[prefix]:06d}"

    def put(self, kind: str, doc: Doc) -> Doc:
        ident = str(doc["id"])
        self._changes.append((kind, ident, self.get(kind, ident)))
        self._set(kind, ident, doc)
        return doc

    def drop(self, kind: str, ident: str) -> None:
        self._changes.append((kind, ident, self.get(kind, ident)))
        self._set(kind, ident, None)

    def commit(self) -> list[Change]:
        """Make the changes since the last commit permanent, all or none. Returns what they replaced."""
        changes, self._changes = self._changes, []
        if changes and self._journal:
            self._append([(kind, ident, self.get(kind, ident)) for kind, ident, _ in changes])
        return changes

    def rollback(self) -> None:
        for kind, ident, before in reversed(self._changes):
            self._set(kind, ident, before)
        self._changes = []

    def close(self) -> None:
        for handle in (self._journal, self._lock):
            if handle:
                handle.close()
        self._journal = self._lock = None

    def _set(self, kind: str, ident: str, doc: Doc | None) -> None:
        docs = self._docs.setdefault(kind, {})
        old = docs.get(ident)
        for held, there in ((old, False), (doc, True)):
            if held is None:
                continue
            for index, name in ((self._keys, "external_id"), (self._children, "project_id")):
                value = held.get(name)
                if value is None:
                    continue
                bucket = index.setdefault((kind, str(value)), {})
                if there:
                    bucket[ident] = None
                else:
                    bucket.pop(ident, None)
        if doc is None:
            docs.pop(ident, None)
        else:
            docs[ident] = doc

    def _append(self, lines: list[tuple[str, str, Doc | None]]) -> None:
        if self._journal is None:
            return
        line = memoryview(orjson.dumps(lines) + b"\n")
        while line:
            line = line[self._journal.write(line) :]

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_suffix(".lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise RuntimeError(f"{path} is in use by another sandbox; stop that one or choose another file") from error
        if path.exists():
            self._replay(path)
        fresh = path.with_suffix(".new")
        self._journal = fresh.open("wb", buffering=0)
        for kind, docs in self._docs.items():
            for ident, doc in docs.items():
                self._append([(kind, ident, doc)])
        # Numbers are never given twice, not even those of records that are gone.
        self._append([("counter", name, {"id": name, "last": last}) for name, last in self._counters.items()])
        os.fsync(self._journal.fileno())
        fresh.replace(path)

    def _replay(self, path: Path) -> None:
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                for kind, ident, doc in orjson.loads(line):
                    self._see(ident, doc["last"] if kind == "counter" else None)
                    if kind != "counter":
                        self._set(kind, ident, doc)

    def _see(self, ident: str, last: int | None) -> None:
        prefix, _, digits = ident.rpartition("-")
        if last is not None:
            prefix, digits = ident, str(last)
        if prefix and digits.isdigit():
            self._counters[prefix] = max(self._counters.get(prefix, 0), int(digits))
