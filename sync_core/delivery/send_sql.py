"""Statements on subscribers. Whoever has the lease sends; each write is fenced by its token."""

from typing import Final

import sqlalchemy as sa

# A subscriber that is new to the estate begins with what comes next.
DECLARE: Final = sa.text("""
    INSERT INTO core.subscriber (name, sent_seq)
    SELECT name, (SELECT coalesce(max(seq), 0) FROM core.outgoing) FROM unnest(CAST(:names AS text[])) AS name
    ON CONFLICT (name) DO NOTHING
""")
# Skip what another worker holds; a lapsed lease is a dead worker's.
CLAIM: Final = sa.text("""
    WITH picked AS (
        SELECT name FROM core.subscriber
        WHERE name = ANY(CAST(:names AS text[])) AND paused_at IS NULL AND (next_at IS NULL OR next_at <= :now)
          AND (lease_until IS NULL OR lease_until < now())
          AND sent_seq < (SELECT coalesce(max(seq), 0) FROM core.outgoing)
        ORDER BY name FOR UPDATE SKIP LOCKED
    )
    UPDATE core.subscriber AS s
    SET lease_until = now() + make_interval(secs => :lease_s), lease_token = s.lease_token + 1
    FROM picked WHERE s.name = picked.name RETURNING s.name, s.sent_seq, s.failures, s.lease_token
""")
# One row without an event when nothing is for this subscriber up to the head.
NEXT: Final = sa.text("""
    SELECT head.seq AS head, o.* FROM (SELECT coalesce(max(seq), 0) AS seq FROM core.outgoing) AS head
    LEFT JOIN LATERAL (
        SELECT seq, id, type, subject, occurred_at, recorded_at, CAST(data AS text) AS data
        FROM core.outgoing
        WHERE seq > :after AND seq <= head.seq AND (addressee = :name OR addressee IS NULL
              AND (CAST(:entities AS text[]) IS NULL OR legal_entity = '*'
                   OR legal_entity = ANY(CAST(:entities AS text[])))
              AND EXISTS (SELECT FROM unnest(CAST(:prefixes AS text[])) AS p WHERE starts_with(type, p)))
        ORDER BY seq LIMIT :most
    ) AS o ON true
    ORDER BY o.seq
""")
ADVANCE: Final = sa.text("""
    UPDATE core.subscriber
    SET sent_seq = :seq, failures = 0, next_at = NULL, last_ok_at = coalesce(:ok_at, last_ok_at),
        lease_until = now() + make_interval(secs => :lease_s)
    WHERE name = :name AND lease_token = :token
""")
FAILED: Final = sa.text("""
    UPDATE core.subscriber
    SET failures = failures + 1, next_at = :next_at, last_error = :words, last_error_at = :now, lease_until = NULL
    WHERE name = :name AND lease_token = :token
""")
GONE: Final = sa.text("""
    UPDATE core.subscriber
    SET failures = failures + 1, last_error = :words, last_error_at = :now, lease_until = NULL,
        paused_by = 'tieline', paused_at = :now, pause_reason = :words, version = version + 1
    WHERE name = :name AND lease_token = :token
""")
GIVE_BACK: Final = sa.text("""
    UPDATE core.subscriber SET lease_until = NULL WHERE name = :name AND lease_token = :token
""")
