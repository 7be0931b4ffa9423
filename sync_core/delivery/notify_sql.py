"""Statements on notification rules. Whoever has the lease sends; each write is fenced by its token."""

from typing import Final

import sqlalchemy as sa

DECLARE: Final = sa.text("""
    INSERT INTO core.notice (name, digest_seq, urgent_seq)
    SELECT name, head.seq, head.seq FROM unnest(CAST(:names AS text[])) AS name,
           (SELECT coalesce(max(seq), 0) AS seq FROM core.outgoing) AS head
    ON CONFLICT (name) DO NOTHING
""")
CLAIM: Final = sa.text("""
    WITH picked AS (
        SELECT name FROM core.notice
        WHERE name = ANY(CAST(:names AS text[])) AND (next_at IS NULL OR next_at <= :now)
          AND (lease_until IS NULL OR lease_until < now())
          AND least(urgent_seq, digest_seq) < (SELECT coalesce(max(seq), 0) FROM core.outgoing)
        ORDER BY name FOR UPDATE SKIP LOCKED
    )
    UPDATE core.notice AS n
    SET lease_until = now() + make_interval(secs => :lease_s), lease_token = n.lease_token + 1
    FROM picked WHERE n.name = picked.name
    RETURNING n.name, n.urgent_seq, n.digest_seq, n.urgent_at, n.failures, n.lease_token
""")
# What cannot wait: an ERP that stops or answers again, and a signature that was not understood.
_URGENT: Final = """(starts_with(type, 'com.tieline.lane.')
    OR starts_with(type, 'com.tieline.event.quarantined.') AND data -> 'signature' = 'true')"""
_RELEVANT: Final = """addressee IS NULL AND type = ANY(CAST(:types AS text[])) AND (CAST(:entities AS text[]) IS NULL
    OR legal_entity = '*' OR legal_entity = ANY(CAST(:entities AS text[])))"""
# Asked every few seconds of all that came since the last digest, so it is told the types that are a reason to write.
WAITING: Final = sa.text(f"""
    SELECT (SELECT coalesce(max(seq), 0) FROM core.outgoing) AS head,
           coalesce(bool_or(urgent) FILTER (WHERE seq > :urgent_seq), false) AS urgent,
           min(recorded_at) FILTER (WHERE NOT urgent AND seq > :digest_seq) AS digest_since
    FROM (
        SELECT seq, recorded_at, {_URGENT} AS urgent FROM core.outgoing
        WHERE seq > least(CAST(:urgent_seq AS bigint), CAST(:digest_seq AS bigint)) AND {_RELEVANT}
    ) AS o
""")
READ: Final = sa.text(f"""
    SELECT seq, type, subject, severity, function, occurred_at, data FROM core.outgoing
    WHERE seq > :after AND seq <= :head AND {_URGENT} = :urgent AND {_RELEVANT}
    ORDER BY seq LIMIT :most
""")
TOLD: Final = sa.text("""
    SELECT about, type, severity, told_at FROM core.notice_told
    WHERE name = :name AND about = ANY(CAST(:abouts AS text[]))
""")
REMEMBER: Final = sa.text("""
    INSERT INTO core.notice_told (name, about, type, severity, told_at)
    SELECT :name, r.about, r.type, r.severity, :now
    FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS r(about text, type text, severity text)
    ON CONFLICT (name, about) DO UPDATE
    SET type = excluded.type, severity = excluded.severity, told_at = excluded.told_at
""")
MOVE: Final = sa.text("""
    UPDATE core.notice
    SET urgent_seq = coalesce(:urgent_seq, urgent_seq), digest_seq = coalesce(:digest_seq, digest_seq),
        urgent_at = coalesce(:urgent_at, urgent_at), last_ok_at = coalesce(:ok_at, last_ok_at),
        failures = CASE WHEN CAST(:ok_at AS timestamptz) IS NULL THEN failures ELSE 0 END,
        lease_until = now() + make_interval(secs => :lease_s)
    WHERE name = :name AND lease_token = :token
""")
FAILED: Final = sa.text("""
    UPDATE core.notice
    SET failures = failures + 1, next_at = :next_at, last_error = :words, lease_until = NULL
    WHERE name = :name AND lease_token = :token
""")
GIVE_BACK: Final = sa.text("""
    UPDATE core.notice SET lease_until = NULL WHERE name = :name AND lease_token = :token
""")
