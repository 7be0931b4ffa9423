"""What each CLM and Tieline still owe each other: events not read yet or not understood, and reports not sent."""

from datetime import datetime

import orjson
import sqlalchemy as sa

from collectors.samples import INTO
from metrics.clm_backlog import ClmSample
from sync_core.estate.estate import Estate
from sync_core.intake.polling import WATERMARKS

# A feed is read when a poll comes to its end; what a poll found new, no webhook had brought.
_SAMPLE = sa.text(
    INTO.format(
        found=f"""
    SELECT s.name, c.name, '', s.value
    FROM jsonb_to_recordset(CAST(:clms AS jsonb)) AS c(name text, source text)
    CROSS JOIN LATERAL (
        SELECT count(*) AS due, extract(epoch FROM :now - min(writeback_at)) AS oldest_s
        FROM core.contract WHERE source = c.source AND writeback_at <= :now
    ) AS told
    CROSS JOIN LATERAL (VALUES
        ('{ClmSample.FEED_AGE_S}', (SELECT CAST(extract(epoch FROM :now - w.updated_at) AS float8)
                                    FROM core.watermark AS w WHERE w.name = '{WATERMARKS}' || c.name)),
        ('{ClmSample.FOUND_BY_POLL}', (SELECT CAST(count(*) AS float8) FROM core.event AS e
                                       WHERE e.recorded_at > :now - interval '1 day' AND e.recorded_at <= :now
                                         AND e.source = c.source AND e.received_by = 'poll:' || c.name)),
        ('{ClmSample.NOT_UNDERSTOOD}', (SELECT CAST(count(*) AS float8) FROM core.quarantine AS q
                                        WHERE q.source = c.source AND q.released_at IS NULL
                                          AND q.dismissed_at IS NULL)),
        ('{ClmSample.REPORTS_DUE}', CAST(told.due AS float8)),
        ('{ClmSample.REPORTS_OLDEST_S}', CAST(told.oldest_s AS float8))
    ) AS s(name, value)
    """
    )
)


def sample(conn: sa.Connection, *, at: datetime, now: datetime, estate: Estate) -> int:
    """How many samples were made of the minute `at`. The caller commits."""
    clms = orjson.dumps([{"name": clm.name, "source": clm.source} for clm in estate.clm]).decode()
    return conn.execute(_SAMPLE, {"at": at, "now": now, "clms": clms}).rowcount
