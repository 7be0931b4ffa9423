"""Brings snapshots to folders, object storage and people. A target that does not take one gets it later, never twice.

In a folder the manifest is written last: a snapshot without one is not whole yet. A file that is there with the same
bytes is left alone, so a repeat after a crash writes only what is missing.
"""

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import sqlalchemy as sa

from metrics import weeks
from metrics.snapshot.making import MAIL, files_of
from metrics.snapshot.package import BOARD_PACK, MANIFEST
from sync_core.clock import Clock
from sync_core.delivery.channel import Channel, NotSent
from sync_core.delivery.wording import Text
from sync_core.estate.estate import Estate
from sync_core.estate.snapshot import HOME

log = logging.getLogger(__name__)

# Storage of objects: a folder is part of a name, and to make one would make the bucket that an estate misspells.
_WITHOUT_FOLDERS: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
_ADDRESS: Final = re.compile(r"https?://[^\s@/]+(/[^\s@?]*)?")
_LEASE_S: Final = 300.0
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)

# Skip what another worker holds; a lapsed lease is a dead worker's. The content is what counts: of two snapshots that
# say the same, either may bring it.
_CLAIM = sa.text("""
    WITH picked AS (
        SELECT target, content_id FROM metrics.snapshot_delivery
        WHERE delivered_at IS NULL AND next_at <= :now AND (lease_until IS NULL OR lease_until < now())
              AND target = ANY(CAST(:targets AS text[]))
        ORDER BY next_at, target LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE metrics.snapshot_delivery AS d
    SET lease_until = now() + make_interval(secs => :lease_s), lease_token = d.lease_token + 1,
        attempts = d.attempts + 1
    FROM picked, metrics.snapshot AS s
    WHERE d.target = picked.target AND d.content_id = picked.content_id AND s.snapshot_id = d.snapshot_id
    RETURNING d.target, d.content_id, d.snapshot_id, d.attempts, d.lease_token, s.week, s.as_of,
              s.restated_since IS NOT NULL AS restated
""")
_DONE = sa.text("""
    UPDATE metrics.snapshot_delivery
    SET delivered_at = :now, next_at = NULL, lease_until = NULL, error = NULL, location = :location
    WHERE target = :target AND content_id = :content_id AND lease_token = :token
""")
_FAILED = sa.text("""
    UPDATE metrics.snapshot_delivery SET next_at = :next_at, lease_until = NULL, error = :words
    WHERE target = :target AND content_id = :content_id AND lease_token = :token
""")


@dataclass(frozen=True)
class Deliverer:
    """`home`: the folder of the target "home"; `secret`: the value of a variable. For many workers."""

    engine: sa.Engine
    clock: Clock
    estate: Estate
    home: Path
    secret: Callable[[str], str | None]
    targets: tuple[str, ...]
    base_url: str

    def deliver_next(self) -> bool:
        """One target of one snapshot; False when nothing is due."""
        bound = {"now": self.clock.now(), "targets": list(self.targets), "lease_s": _LEASE_S}
        with self.engine.begin() as conn:
            turn = conn.execute(_CLAIM, bound).one_or_none()
        if turn is None:
            return False
        fence = {"target": turn.target, "content_id": turn.content_id, "token": turn.lease_token}
        try:
            location = self._bring(turn)
        except Exception as wrong:
            # The boundary of one target: what a vendor's library raises has no common base.
            words = wrong.words if isinstance(wrong, NotSent) else f"{type(wrong).__name__}: {wrong}"
            self._failed(fence, words, turn.attempts)
            return True
        with self.engine.begin() as conn:
            conn.execute(_DONE, {**fence, "now": self.clock.now(), "location": location})
        log.info("snapshot %d is at %s", turn.snapshot_id, location)
        return True

    def _failed(self, fence: dict[str, Any], words: str, attempts: int) -> None:
        wait = min(_FIRST_WAIT * 2 ** min(attempts - 1, 12), _LONGEST_WAIT)
        log.warning("snapshot not delivered to %s: %s; again in %d s", fence["target"], words, wait.total_seconds())
        with self.engine.begin() as conn:
            conn.execute(_FAILED, {**fence, "next_at": self.clock.now() + wait, "words": words[:500]})

    def _bring(self, turn: sa.Row[Any]) -> str:
        """Where it is now."""
        with self.engine.connect() as conn:
            files = files_of(conn, turn.snapshot_id)
        if turn.target.startswith(MAIL):
            return self._mail(turn, files)
        root = self.home.as_uri() if turn.target == HOME else turn.target
        options = self._options(urlsplit(root).scheme)
        try:
            return write(f"{root.rstrip('/')}/{folder_name(turn.week, turn.as_of, turn.content_id)}", files,
                         options=options)  # fmt: skip
        except Exception as wrong:
            # A storage may name what it was given; the words are stored, logged and shown.
            raise NotSent(_without_secrets(f"{type(wrong).__name__}: {wrong}", options)) from wrong

    def _options(self, protocol: str) -> dict[str, Any]:
        """What the storage needs besides, from the variable that the estate names; told to nobody."""
        variable = self.estate.snapshot.secret_env.get(protocol)
        if variable is None:
            return {}
        given = self.secret(variable)
        if given is None:
            raise NotSent(f"{variable} is not set; give it the storage's options as a JSON object")
        found = _parsed(given)
        if found is None:
            raise NotSent(f"{variable} is no JSON object with the storage's options")
        return found

    def _mail(self, turn: sa.Row[Any], files: Mapping[str, bytes]) -> str:
        variable = turn.target.removeprefix(MAIL)
        week = weeks.week_name(turn.week)
        title = f"{self.estate.group.name}: week {week}" + (", restated" if turn.restated else "")
        body = (
            f"The board pack of week {week} is attached, as of {turn.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC.\n"
            f"Workbook and data: {self.base_url}/snapshots?snapshot={turn.snapshot_id}"
        )
        with tempfile.TemporaryDirectory() as folder:
            pack = Path(folder) / f"board-pack-{week}.pdf"
            pack.write_bytes(files[BOARD_PACK])
            Channel(variable, self.secret(variable)).send(Text(title, body), attach=pack)
        return str(turn.target)


def secrets_in(given: str) -> frozenset[str]:
    """The texts in a variable with a storage's options, but for addresses: any of them may be a secret."""
    return _secrets(_parsed(given) or {})


def _parsed(given: str) -> dict[str, Any] | None:
    try:
        found = json.loads(given)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _secrets(options: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(text for text in _texts(options) if len(text) > 3 and not _ADDRESS.fullmatch(text))


def _without_secrets(words: str, options: Mapping[str, Any]) -> str:
    given = _secrets(options)
    for text in sorted(given | {quote(text, safe="") for text in given}, key=len, reverse=True):
        words = words.replace(text, "***")
    return words


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def folder_name(week: date, as_of: datetime, content_id: str) -> str:
    """Sorts by week, then by what was known; the same content has the same name."""
    return f"{weeks.week_name(week)}/{as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}-{content_id[:8]}"


def write(url: str, files: Mapping[str, bytes], *, options: Mapping[str, Any]) -> str:
    """All files below a URL of fsspec, the manifest last; the URL. Raises what the storage raises."""
    from fsspec.core import url_to_fs  # looks through all protocols, which only a delivery pays for

    storage, path = url_to_fs(url, **options)
    if urlsplit(url).scheme not in _WITHOUT_FOLDERS:
        storage.makedirs(path, exist_ok=True)
    for name in (*sorted(files.keys() - {MANIFEST}), MANIFEST):
        place = f"{path}/{name}"
        if storage.exists(place) and storage.cat_file(place) == files[name]:
            continue
        storage.pipe_file(place, files[name])
    return url
