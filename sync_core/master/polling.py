"""The scheduled poll of a master-data system, as that of a CLM (sync_core/intake/polling.py).

A page's records and the watermark behind it are committed together; the watermark moves only from where its reader saw
it, so a slower poll stores nothing behind a faster one.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.master import store
from sync_core.master.records import MdmConnector, MdmError
from sync_core.master.store import Kept

_READ = sa.text("SELECT value FROM core.watermark WHERE name = :name")
# First, so that a second poll waits here and then finds that it is behind.
_MOVE = sa.text("""
    INSERT INTO core.watermark AS w (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
    WHERE w.value IS NOT DISTINCT FROM CAST(:seen AS text)
    RETURNING name
""")


def watermark_name(mdm: str) -> str:
    return f"mdm:{mdm}"


async def poll(engine: AsyncEngine, mdm: MdmConnector, *, clock: Clock) -> Kept:
    """Read all pages behind the watermark. Commits per page. Raises MdmError."""
    name, changed, woken = watermark_name(mdm.name), 0, 0
    async with engine.connect() as conn:
        seen: str | None = await conn.scalar(_READ, {"name": name})
    while True:
        page = await mdm.changes(seen)
        if page.more and page.watermark == seen:
            raise MdmError(mdm.name, f"it says there is more but stays at {seen!r}; its paging is broken")
        now = clock.now()
        async with engine.begin() as conn:
            where = {"name": name, "value": page.watermark, "seen": seen, "now": now}
            if (await conn.execute(_MOVE, where)).first() is None:
                return Kept(changed, woken)
            kept = await store.keep(conn, mdm.name, page.customers, page.entities, now=now)
        changed, woken = changed + kept.changed, woken + kept.woken
        if not page.more:
            return Kept(changed, woken)
        seen = page.watermark
