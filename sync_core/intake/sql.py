"""The statements of intake, apart because they are long.

Every statement takes its rows as one JSON array. Locks are taken in one order everywhere: events by (source, id),
then contracts by (source, external_id), which is the order of the workers' group commit too.
"""

import sqlalchemy as sa

_SUMMARY = (
    "title", "customer_code", "customer_name", "legal_entity", "service_line", "geography", "billing", "currency",
    "value", "value_reporting", "bill_on", "lane", "priority", "test", "signed_at", "revision",
)  # fmt: skip

# Executed terms stand above every draft; among equals the higher revision does, as in the fold.
_NEWER = """excluded.billing <> '' AND CASE WHEN (excluded.signed_at IS NULL) = (c.signed_at IS NULL)
    THEN excluded.revision >= c.revision ELSE excluded.signed_at IS NOT NULL END"""
_REFRESHED = ",\n        ".join(
    f"{name} = CASE WHEN {_NEWER} THEN excluded.{name} ELSE c.{name} END" for name in _SUMMARY
)

# Whoever inserts an event first wins its unique key; the others wait for that commit, insert nothing, and count
# nothing. So wanted_rev rises by what was really new. The sort before `queued` reads all of `stored` first.
STORE = sa.text(f"""
WITH r AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        source text, id text, type text, external_id text, occurred_at timestamptz, received_at timestamptz,
        received_by text, correlation_id text, traceparent text, data jsonb, attributes jsonb, executed boolean,
        sent_type text, sent jsonb,
        title text, customer_code text, customer_name text, legal_entity text, service_line text,
        geography text, billing text, currency text, value numeric, value_reporting numeric, bill_on date, lane text,
        priority double precision, test boolean, signed_at timestamptz, revision bigint)
),
stored AS (
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id,
                            traceparent, data, attributes, sent_type, sent)
    SELECT source, id, type, external_id, occurred_at, :now, received_by, correlation_id, traceparent, data, attributes,
           sent_type, sent
    FROM r
    WHERE :releasing OR NOT EXISTS (
        SELECT 1 FROM core.quarantine AS q WHERE q.source = r.source AND q.event_id = r.id)
    ORDER BY source, id
    ON CONFLICT (source, id) DO NOTHING
    RETURNING source, id
),
fresh AS MATERIALIZED (SELECT r.* FROM r JOIN stored USING (source, id)),
wanted AS (
    SELECT source, external_id, count(*) AS events, bool_or(executed) AS executed,
           min(received_at) AS received_at
    FROM fresh GROUP BY source, external_id
),
newest AS (
    SELECT DISTINCT ON (source, external_id) * FROM fresh WHERE billing IS NOT NULL
    ORDER BY source, external_id, executed DESC, revision DESC, occurred_at DESC, id DESC
),
queued AS (
    INSERT INTO core.contract AS c (source, external_id, state, state_since, due_at, wanted_rev, received_at,
        updated_at, title, customer_code, customer_name, legal_entity, service_line, geography, billing, currency,
        value, value_reporting, bill_on, lane, priority, test, signed_at, revision)
    SELECT source, external_id, CASE WHEN w.executed THEN 'waiting' ELSE 'draft' END, :now,
        CAST(:now AS timestamptz), w.events, w.received_at, :now,
        coalesce(n.title, ''), coalesce(n.customer_code, ''), coalesce(n.customer_name, ''),
        coalesce(n.legal_entity, ''), coalesce(n.service_line, ''), coalesce(n.geography, ''),
        coalesce(n.billing, ''), coalesce(n.currency, ''), coalesce(n.value, 0), n.value_reporting, n.bill_on,
        coalesce(n.lane, ''), coalesce(n.priority, 0), coalesce(n.test, false), n.signed_at, coalesce(n.revision, 0)
    FROM wanted AS w LEFT JOIN newest AS n USING (source, external_id)
    ORDER BY source, external_id
    ON CONFLICT (source, external_id) DO UPDATE SET
        wanted_rev = c.wanted_rev + excluded.wanted_rev,
        -- A signed contract waits since its signature came, not since a draft did.
        due_at = CASE WHEN c.state = 'draft' THEN excluded.updated_at ELSE least(c.due_at, excluded.updated_at) END,
        -- What was tried without it counts no more; a contract that was set aside would never be tried again.
        attempt = 0,
        state = CASE WHEN c.state IN ('active', 'suspended', 'ended', 'blocked') THEN 'waiting'
                     WHEN c.state = 'draft' THEN excluded.state ELSE c.state END,
        state_since = CASE WHEN c.state IN ('active', 'suspended', 'ended', 'blocked')
                             OR (c.state = 'draft' AND excluded.state <> 'draft') THEN excluded.updated_at
                           ELSE c.state_since END,
        received_at = least(c.received_at, excluded.received_at),
        updated_at = excluded.updated_at,
        {_REFRESHED}
)
SELECT source, id FROM stored
""")

QUARANTINE = sa.text("""
INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,
                             correlation_id, occurred_at, recorded_at)
SELECT source, id, type, external_id, reason, signature, decode(body, 'base64'), :received_by, correlation_id,
       occurred_at, :now
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
    source text, id text, type text, external_id text, reason text, signature boolean, body text, correlation_id text,
    occurred_at timestamptz)
WHERE NOT EXISTS (SELECT 1 FROM core.event AS e WHERE e.source = r.source AND e.id = r.id)
ORDER BY source, id
ON CONFLICT (source, event_id) DO NOTHING
RETURNING source, event_id AS id
""")

# A second statement, because the first one's snapshot cannot see the row that another transaction was
# committing while it waited. The quarantine's receipt came first where an event has both.
FIRST_RECEIPTS = sa.text("""
SELECT r.source, r.id, coalesce(q.recorded_at, e.recorded_at) AS recorded_at,
       coalesce(q.correlation_id, e.correlation_id) AS correlation_id,
       coalesce(e.sent_type, e.type, q.type) AS type, CAST(coalesce(e.sent, e.data) AS text) AS data, q.body,
       CASE WHEN e.seq IS NULL THEN q.reason END AS reason
FROM jsonb_to_recordset(CAST(:keys AS jsonb)) AS r(source text, id text)
LEFT JOIN core.event AS e ON e.source = r.source AND e.id = r.id
LEFT JOIN core.quarantine AS q ON q.source = r.source AND q.event_id = r.id
WHERE e.seq IS NOT NULL OR q.quarantine_id IS NOT NULL
""")

# Two releases at once share the rows out instead of waiting for each other.
OPEN_QUARANTINE = sa.text("""
SELECT quarantine_id, source, event_id, body, received_by, correlation_id, occurred_at, recorded_at
FROM core.quarantine
WHERE released_at IS NULL AND dismissed_at IS NULL AND quarantine_id > :after
  AND type = ANY(:types) AND source = ANY(:sources)
ORDER BY quarantine_id LIMIT :most FOR UPDATE SKIP LOCKED
""")
RELEASED = sa.text("""
UPDATE core.quarantine SET released_at = :now, ended_xid = pg_current_xact_id() WHERE quarantine_id = ANY(:ids)
""")
# The same, because somebody asked for it: people's work on the contract, which the measures count.
RELEASED_BY = sa.text("""
UPDATE core.quarantine SET released_at = :now, released_by = :by, ended_xid = pg_current_xact_id()
WHERE quarantine_id = ANY(:ids)
""")

# Of versions that this release does not know: asked for only when an event of such a one came in, or waits.
REGISTERED = sa.text("""
SELECT type, CAST(body AS text) AS body, reads_as, CAST(renames AS text) AS renames FROM core.schema_registration
WHERE withdrawn_at IS NULL AND (CAST(:types AS text[]) IS NULL OR type = ANY(:types))
""")
