"""The history of releases: which version each system ran, and from when to when it was seen.

A version that went and came back is seen anew, so that a roll-back shows. While two versions run side by side, as in a
rolling upgrade, each goes on in its own row: one counts as gone when it was not seen for an hour and another was.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.locks import Lock

TIELINE: Final = "tieline"
POSTGRESQL: Final = "postgresql"
GONE_AFTER: Final = timedelta(hours=1)
_LONGEST: Final = 80  # characters of a version: it is the system's own word

# Locked, so that two workers that begin together note one release.
_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({Lock.RELEASES}, 1)")
_SEEN = sa.text("""
    WITH told AS (SELECT * FROM unnest(CAST(:systems AS text[]), CAST(:versions AS text[])) AS t(system, version)),
    known AS (
        SELECT t.system, t.version, r.release_id FROM told AS t CROSS JOIN LATERAL (
            SELECT r.release_id, r.last_seen_at FROM core.release AS r
            WHERE r.system = t.system AND r.version = t.version ORDER BY r.last_seen_at DESC LIMIT 1
        ) AS r
        WHERE r.last_seen_at > :gone OR NOT EXISTS (
            SELECT FROM core.release AS o WHERE o.system = t.system AND o.last_seen_at > r.last_seen_at)
    ), goes_on AS (
        UPDATE core.release AS r SET last_seen_at = greatest(r.last_seen_at, CAST(:now AS timestamptz))
        FROM known AS k WHERE r.release_id = k.release_id
    )
    INSERT INTO core.release (system, version, first_seen_at, last_seen_at)
    SELECT t.system, t.version, :now, :now FROM told AS t
    WHERE NOT EXISTS (SELECT FROM known AS k WHERE (k.system, k.version) = (t.system, t.version))
    ORDER BY t.system RETURNING system
""")
# What runs besides the one who asks: workers of another version, and the database.
_AROUND = sa.text("""
    SELECT DISTINCT 'tieline' AS system, version FROM core.worker WHERE beat_at > :alive
    UNION ALL SELECT 'postgresql', current_setting('server_version')
""")
_SILENCE: Final = timedelta(seconds=60)


def erp(name: str) -> str:
    return f"erp:{name}"


def clm(name: str) -> str:
    return f"clm:{name}"


async def seen(conn: AsyncConnection, versions: Mapping[str, str], *, now: datetime) -> tuple[str, ...]:
    """Note the version of each system; the systems of which it is a new release. The caller commits."""
    return await _note(conn, {(system, version) for system, version in versions.items()}, now)


async def seen_around(conn: AsyncConnection, versions: Mapping[str, str], *, now: datetime) -> tuple[str, ...]:
    """As `seen`, with the versions of all living workers and of the database besides."""
    around = (await conn.execute(_AROUND, {"alive": now - _SILENCE})).all()
    return await _note(conn, {*versions.items(), *((row.system, row.version) for row in around)}, now)


async def _note(conn: AsyncConnection, told: set[tuple[str, str]], now: datetime) -> tuple[str, ...]:
    rows = sorted({(system, " ".join(version.split())[:_LONGEST]) for system, version in told if version.strip()})
    await conn.execute(_ALONE)
    bound = {"systems": [system for system, _ in rows], "versions": [version for _, version in rows]}
    found = await conn.execute(_SEEN, {**bound, "now": now, "gone": now - GONE_AFTER})
    return tuple(found.scalars())
