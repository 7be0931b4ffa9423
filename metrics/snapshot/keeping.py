"""Snapshots in the database: which are asked for, what was made of them, and what is delivered where.

Whoever works on a row has its lease; each write is fenced by the lease's token, so that of two workers who take one
after the other, because the first stood still, only the second is heard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from metrics.snapshot.content import Content
from metrics.snapshot.package import MANIFEST, Package, headlines
from sync_core.delivery.announce import LOCK
from sync_core.estate.delivery import PREFIX

LEASE_S: Final = 900.0  # renewed while the work goes on (metrics/snapshot/lease.py)
EVENT: Final = f"{PREFIX}snapshot.made.v1"

# Skip what another worker holds; a lapsed lease is a dead worker's.
_CLAIM = sa.text("""
    WITH picked AS (
        SELECT snapshot_id FROM metrics.snapshot
        WHERE state = 'asked' AND (next_at IS NULL OR next_at <= :now) AND (lease_until IS NULL OR lease_until < now())
        ORDER BY asked_at, snapshot_id LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE metrics.snapshot AS s
    SET lease_until = now() + make_interval(secs => :lease_s), lease_token = s.lease_token + 1, location = NULL,
        attempts = s.attempts + 1
    FROM picked WHERE s.snapshot_id = picked.snapshot_id
    RETURNING s.snapshot_id, s.week, s.wanted_as_of, s.lease_token, s.attempts
""")
_ASKED = sa.text("""
    SELECT snapshot_id, week, wanted_as_of, lease_token, attempts FROM metrics.snapshot WHERE snapshot_id = :snapshot_id
""")
_FIRST = sa.text("""
    SELECT as_of, headlines FROM metrics.snapshot
    WHERE week = :week AND state = 'made' AND as_of <= :as_of AND as_of >= :over_at
    ORDER BY made_at, snapshot_id LIMIT 1
""")
_MADE = sa.text("""
    UPDATE metrics.snapshot
    SET state = 'made', as_of = :as_of, data_as_of = :data_as_of, restated_since = :since, made_at = :now,
        release = :release, manifest = CAST(:manifest AS jsonb), content_id = :content_id,
        headlines = CAST(:headlines AS jsonb), error = NULL, lease_until = NULL, next_at = NULL
    WHERE snapshot_id = :snapshot_id AND lease_token = :token AND state = 'asked' RETURNING location
""")
_FAILED = sa.text("""
    UPDATE metrics.snapshot
    SET error = :words, lease_until = NULL, next_at = :next_at,
        state = CASE WHEN CAST(:next_at AS timestamptz) IS NULL THEN 'failed' ELSE state END
    WHERE snapshot_id = :snapshot_id AND lease_token = :token AND state = 'asked'
""")
_BODY = sa.text("INSERT INTO metrics.snapshot_body (sha256, body) VALUES (:sha256, :body) ON CONFLICT DO NOTHING")
_FILE = sa.text("""
    INSERT INTO metrics.snapshot_file (snapshot_id, name, sha256, bytes) VALUES (:snapshot_id, :name, :sha256, :bytes)
""")
_DELIVER = sa.text("""
    INSERT INTO metrics.snapshot_delivery (target, content_id, snapshot_id, next_at)
    SELECT target, :content_id, :snapshot_id, :now FROM unnest(CAST(:targets AS text[])) AS target
    ON CONFLICT (target, content_id) DO NOTHING
""")
# Of several entities: only those without a limit are told. The same content has the same id, and is told once.
_TELL = sa.text("""
    INSERT INTO core.outgoing (id, type, subject, severity, occurred_at, recorded_at, data)
    VALUES (substr(:content_id, 1, 32), :type, :subject, 'low', :now, :now, CAST(:data AS jsonb))
    ON CONFLICT (id) DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class Asked:
    """One snapshot under our lease."""

    snapshot_id: int
    week: date
    wanted_as_of: datetime | None
    token: int
    attempts: int


def claim(engine: sa.Engine, *, now: datetime, lease_s: float = LEASE_S) -> Asked | None:
    """The one that waits longest; None when none does."""
    with engine.begin() as conn:
        row = conn.execute(_CLAIM, {"now": now, "lease_s": lease_s}).one_or_none()
    return None if row is None else Asked(*row)


def asked(engine: sa.Engine, snapshot_id: int) -> Asked:
    """One that its caller makes itself."""
    with engine.connect() as conn:
        return Asked(*conn.execute(_ASKED, {"snapshot_id": snapshot_id}).one())


@dataclass(frozen=True, slots=True)
class First:
    as_of: datetime
    versions: Mapping[str, int]  # of the definitions that it was made by


def first_made(engine: sa.Engine, week: date, *, as_of: datetime, over_at: datetime) -> First | None:
    """The first snapshot of the week since it ended, of those that know no more than `as_of`.

    One of a running week has the numbers so far, which nobody restates.
    """
    with engine.connect() as conn:
        row = conn.execute(_FIRST, {"week": week, "as_of": as_of, "over_at": over_at}).one_or_none()
    return None if row is None else First(row.as_of, {one["slug"]: one["version"] for one in row.headlines})


def keep(
    conn: sa.Connection, one: Asked, content: Content, package: Package, *, targets: Sequence[str], base_url: str,
    now: datetime,
) -> bool:  # fmt: skip
    """Files, history, deliveries and the event, or nothing of it when the lease was lost. The caller commits."""
    manifest, content_id = package.manifest, package.content_id
    bound = {
        "snapshot_id": one.snapshot_id, "token": one.token, "as_of": content.as_of, "data_as_of": content.data_as_of,
        "since": content.restatement.since, "now": now, "release": manifest["release"],
        "manifest": orjson.dumps(manifest).decode(), "content_id": content_id,
        "headlines": orjson.dumps(headlines(content)).decode(),
    }  # fmt: skip
    row = conn.execute(_MADE, bound).one_or_none()
    if row is None:
        return False
    files = _files(package)
    conn.execute(_BODY, [{"sha256": one["sha256"], "body": package.files[one["name"]]} for one in files])
    conn.execute(_FILE, [{"snapshot_id": one.snapshot_id, **file} for file in files])
    if row.location is None:
        where = {"snapshot_id": one.snapshot_id, "content_id": content_id, "now": now}
        conn.execute(_DELIVER, {**where, "targets": list(targets)})
        conn.execute(LOCK)
        told = {"type": EVENT, "subject": f"snapshot/{one.snapshot_id}", "content_id": content_id, "now": now}
        conn.execute(_TELL, {**told, "data": orjson.dumps(_message(one, package, files, base_url)).decode()})
    return True


def failed(engine: sa.Engine, one: Asked, words: str, *, again_at: datetime | None) -> None:
    """Tried again at a moment, or never."""
    bound = {"snapshot_id": one.snapshot_id, "token": one.token, "words": words[:500], "next_at": again_at}
    with engine.begin() as conn:
        conn.execute(_FAILED, bound)


def _files(package: Package) -> list[dict[str, Any]]:
    """In the order of their hashes, so that two workers never wait for each other."""
    listed = [*package.manifest["files"], {"name": MANIFEST, "bytes": len(package.files[MANIFEST]),
                                           "sha256": package.content_id}]  # fmt: skip
    return sorted(listed, key=lambda one: (one["sha256"], one["name"]))


def _message(one: Asked, package: Package, files: Sequence[dict[str, Any]], base_url: str) -> dict[str, Any]:
    """sync_core/delivery/messages.py has its model."""
    manifest = package.manifest
    told = {name: manifest[name] for name in ("week", "as_of", "restated_since", "release", "policy_version")}
    page = f"{base_url}/snapshots?snapshot={one.snapshot_id}"
    return {
        **told, "snapshot_id": one.snapshot_id, "content_id": package.content_id, "files": list(files),
        "links": {"page": page},
    }  # fmt: skip
