"""The sandbox CLM's memory: one append-only file of JSON lines, read back when it starts.

A line is handed to the operating system before the call returns, so what was acknowledged survives kill -9
(not a power cut: there is no fsync). A line torn by a kill was never acknowledged and is cut off.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
from pydantic import JsonValue

Entry = Mapping[str, JsonValue]


class Journal:
    """Holds the file exclusively: a second process on the same file is refused."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._file)
            raise RuntimeError(f"{path} is in use by another sandbox CLM; stop that one or name another file") from held

    def entries(self) -> Iterator[Entry]:
        """All whole lines, oldest first. Call it before the first append."""
        whole = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield orjson.loads(line)
        os.ftruncate(self._file, whole)

    def append(self, entry: Mapping[str, object]) -> None:
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(f"{self._path}: only {written} of {len(line)} bytes were written; free space, then restart")

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
