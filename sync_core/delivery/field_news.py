"""Fields that came in and that nobody here knows: announced once each, to integration, until somebody has looked."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.delivery.announce import LOCK
from sync_core.delivery.announce_sql import insertion
from sync_core.estate.delivery import PREFIX

# The subject is the version, so that a message to people tells of one once, however many fields are new in it.
_FIELDS = insertion(
    """
    SELECT 'schema.drifted.v1' AS kind, concat_ws('|', d.drift_id, extract(epoch FROM d.first_seen_at)) AS key,
           'schema/' || d.type AS subject, CAST(NULL AS bigint) AS contract_id, '*' AS legal_entity,
           'integration' AS function, 'medium' AS severity, d.first_seen_at AS occurred_at, d.first_seen_at AS at,
           jsonb_build_object('schema', jsonb_build_object('type', d.type, 'source', d.source), 'path', d.path,
                              'shape', d.shape, 'first_seen_at', d.first_seen_at, 'links', jsonb_build_object(
                                  'page', CAST(:base AS text) || '/governance?section=fields')) AS data
    FROM core.schema_drift AS d WHERE d.acknowledged_at IS NULL
    """,
    PREFIX,
)


@dataclass(frozen=True, slots=True)
class FieldNews:
    """`values`: of the announcer, for links."""

    engine: AsyncEngine
    values: dict[str, object]

    async def look(self, now: datetime) -> int:
        """How many were announced that had not been."""
        every = {**self.values, "now": now}
        async with self.engine.begin() as conn:
            await conn.execute(LOCK)
            bound = {name: every[name] for name in _FIELDS.compile().params}
            return (await conn.execute(_FIELDS, bound)).rowcount
