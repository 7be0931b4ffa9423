"""The one statement of the group commit (see sync_core/journal.py), apart because it is long.

`doc` is a JSON object of arrays; every array is one set-based write. Rows carry the lease token, and `fenced`
holds the contracts whose token still matches: state, crosswalk, progress and cases are written for these only.
"""

import sqlalchemy as sa

STORE = sa.text("""
WITH doc AS MATERIALIZED (SELECT CAST(:doc AS jsonb) AS d),
c AS MATERIALIZED (
    SELECT r.* FROM doc, jsonb_to_recordset(d -> 'contracts') AS r(
        id bigint, token bigint, seen bigint, state text, next_due timestamptz, refund boolean, reset boolean,
        settled boolean, unclean boolean, billable boolean, project_ref text, error text, error_class text,
        signed_at timestamptz, revision bigint,
        read_back boolean, title text, customer_code text, customer_name text, legal_entity text, service_line text,
        geography text, billing text, currency text, value numeric, value_reporting numeric, bill_on date,
        lane text, priority double precision, test boolean)
),
fenced AS MATERIALIZED (
    SELECT k.contract_id AS id, k.state AS was, k.wanted_rev
    FROM core.contract AS k JOIN c ON c.id = k.contract_id AND c.token = k.lease_token
    WHERE k.lease_owner = :worker
    ORDER BY k.source, k.external_id FOR UPDATE OF k
),
moved AS (
    UPDATE core.contract AS k SET
        state = coalesce(c.state, k.state),
        state_since = CASE WHEN coalesce(c.state, k.state) = k.state THEN k.state_since ELSE :now END,
        due_at = CASE WHEN k.wanted_rev = c.seen THEN c.next_due ELSE least(coalesce(c.next_due, :now), :now) END,
        done_rev = c.seen,
        attempt = CASE WHEN c.reset THEN 0 WHEN c.refund THEN greatest(k.attempt - 1, 0) ELSE k.attempt END,
        lease_owner = NULL, lease_until = NULL,
        unclean_at = CASE WHEN c.unclean THEN :now WHEN c.settled THEN NULL ELSE k.unclean_at END,
        writeback_at = CASE WHEN (c.state IS NOT NULL AND c.state <> k.state)
                              OR (c.project_ref IS DISTINCT FROM k.project_ref AND c.project_ref IS NOT NULL)
                            THEN :now ELSE k.writeback_at END,
        project_ref = coalesce(c.project_ref, k.project_ref),
        last_error = c.error, last_error_class = c.error_class,
        first_active_at = CASE WHEN c.billable THEN coalesce(k.first_active_at, :now) ELSE k.first_active_at END,
        active_at = CASE WHEN c.state = 'active' AND k.state <> 'active' THEN :now ELSE k.active_at END,
        signed_at = coalesce(c.signed_at, k.signed_at), revision = coalesce(c.revision, k.revision),
        title = coalesce(c.title, k.title), customer_code = coalesce(c.customer_code, k.customer_code),
        customer_name = coalesce(c.customer_name, k.customer_name),
        legal_entity = coalesce(c.legal_entity, k.legal_entity),
        service_line = coalesce(c.service_line, k.service_line), geography = coalesce(c.geography, k.geography),
        billing = coalesce(c.billing, k.billing), currency = coalesce(c.currency, k.currency),
        value = coalesce(c.value, k.value),
        value_reporting = CASE WHEN c.title IS NULL THEN k.value_reporting ELSE c.value_reporting END,
        bill_on = coalesce(c.bill_on, k.bill_on), lane = coalesce(c.lane, k.lane),
        priority = coalesce(c.priority, k.priority), test = coalesce(c.test, k.test), updated_at = :now
    FROM c, fenced WHERE fenced.id = c.id AND k.contract_id = c.id
    RETURNING k.contract_id, k.state
),
runs AS (
    INSERT INTO core.run (run_id, contract_id, rev, lane, worker_id, outcome, state, digest, correlation_id, trace_id,
                          started_at, finished_at, recorded_at, error_class, error, calls)
    SELECT run_id, r.id, rev, lane, :worker, CASE WHEN f.id IS NULL THEN 'lost' ELSE outcome END, r.state, digest,
           correlation_id, trace_id, started_at, greatest(finished_at, started_at), :now, error_class, error, calls
    FROM doc, jsonb_to_recordset(d -> 'runs') AS r(
        run_id uuid, id bigint, token bigint, rev bigint, lane text, outcome text, state text, digest text,
        correlation_id text, trace_id text, started_at timestamptz, finished_at timestamptz, error_class text,
        error text, calls jsonb) LEFT JOIN fenced AS f ON f.id = r.id
),
operations AS (
    INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key, ref, status, before,
                                after, error_class, error, span_id, started_at, finished_at)
    SELECT run_id, step, id, system, action, kind, key, ref, status, before, after, error_class, error, span_id,
           started_at, finished_at
    FROM doc, jsonb_to_recordset(d -> 'operations') AS r(
        run_id uuid, step int, id bigint, system text, action text, kind text, key text, ref text, status text,
        before jsonb, after jsonb, error_class text, error text, span_id text, started_at timestamptz,
        finished_at timestamptz)
),
crosswalk AS (
    INSERT INTO core.crosswalk AS x (system, kind, business_key, state, ref, contract_id, fields, confirmed_at)
    SELECT DISTINCT ON (system, kind, key) system, kind, key, state, ref, owner, fields, CAST(:now AS timestamptz)
    FROM doc, jsonb_to_recordset(d -> 'crosswalk') AS r(
        id bigint, system text, kind text, key text, ref text, fields jsonb, owner bigint, state text)
    JOIN fenced AS f ON f.id = r.id
    WHERE NOT EXISTS (  -- a conflict locks the row: all workers would wait for each other at every shared object
        SELECT 1 FROM core.crosswalk AS same
        WHERE same.system = r.system AND same.kind = r.kind AND same.business_key = r.key AND same.state = r.state
          AND same.ref IS NOT DISTINCT FROM r.ref AND same.fields IS NOT DISTINCT FROM r.fields)
    ORDER BY system, kind, key
    ON CONFLICT (system, kind, business_key) DO UPDATE
    SET state = excluded.state, ref = excluded.ref, fields = excluded.fields, confirmed_at = excluded.confirmed_at,
        contract_id = excluded.contract_id, holder = NULL, holder_token = NULL, reserved_until = NULL
    WHERE x.state <> excluded.state OR x.ref IS DISTINCT FROM excluded.ref OR x.fields IS DISTINCT FROM excluded.fields
),
progress AS (
    INSERT INTO core.progress (contract_id, step, amendment, occurred_at, recorded_at)
    SELECT r.id, r.step, r.amendment, r.at, :now
    FROM doc, jsonb_to_recordset(d -> 'progress') AS r(
        id bigint, step text, at timestamptz, once boolean, amendment int)
    JOIN fenced AS f ON f.id = r.id
    WHERE NOT r.once OR NOT EXISTS (
        SELECT 1 FROM core.progress AS p WHERE p.contract_id = r.id AND p.step = r.step)
),
raised AS MATERIALIZED (
    SELECT r.*, p.state AS was FROM doc, jsonb_to_recordset(d -> 'cases') AS r(
        id bigint, cause text, error_class text, function text, severity text, message text, exposure numeric,
        currency text, exposure_reporting numeric, bill_on date, due_at timestamptz, again int)
    JOIN fenced AS f ON f.id = r.id
    LEFT JOIN core.case AS p ON p.contract_id = r.id AND p.cause = r.cause
),
cases AS (
    INSERT INTO core.case AS k (contract_id, cause, error_class, function, severity, message, exposure, currency,
                                exposure_reporting, bill_on, state, opened_at, seen_at, due_at)
    SELECT id, cause, error_class, function, severity, message, exposure, currency, exposure_reporting, bill_on,
           'open', :now, :now, due_at FROM raised ORDER BY id, cause
    ON CONFLICT (contract_id, cause) DO UPDATE
    SET state = 'open', seen_at = :now, message = excluded.message, occurrences = k.occurrences + (
            SELECT again FROM raised WHERE raised.id = k.contract_id AND raised.cause = k.cause),
        severity = excluded.severity, exposure = excluded.exposure, currency = excluded.currency,
        exposure_reporting = excluded.exposure_reporting, bill_on = excluded.bill_on, function = excluded.function,
        opened_at = CASE WHEN k.state = 'open' THEN k.opened_at ELSE :now END,
        resolved_at = NULL, due_at = CASE WHEN k.state = 'open' THEN k.due_at ELSE excluded.due_at END
    RETURNING case_id, contract_id, cause, function
),
resolved AS (
    UPDATE core.case AS k SET state = 'resolved', resolved_at = :now
    FROM c JOIN fenced AS f ON f.id = c.id
    WHERE k.contract_id = c.id AND k.state = 'open' AND c.read_back
      AND NOT EXISTS (SELECT 1 FROM raised WHERE raised.id = k.contract_id AND raised.cause = k.cause)
    RETURNING k.case_id, k.function
),
history AS (
    INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
    SELECT cases.case_id, CASE WHEN raised.was IS NULL THEN 'opened' ELSE 'reopened' END, cases.function, :now, :now
    FROM cases JOIN raised ON raised.id = cases.contract_id AND raised.cause = cases.cause
    WHERE raised.was IS DISTINCT FROM 'open'
    UNION ALL
    SELECT case_id, 'resolved', function, :now, :now FROM resolved
)
SELECT contract_id FROM moved
""")
