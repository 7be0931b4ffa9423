"""The one statement of the group commit (see sync_core/journal/journal.py), apart because it is long.

`doc` is a JSON object of arrays; every array is one set-based write. Rows carry the lease token, and `fenced`
holds the contracts whose token still matches: state, crosswalk, progress and cases are written for these only.
What is looked up in a large table is a scalar subquery with a LIMIT: the planner does not know how few rows a document
has, and would read all of the table to join it.
"""

import sqlalchemy as sa

STORE = sa.text("""
WITH doc AS MATERIALIZED (SELECT CAST(:doc AS jsonb) AS d),
c AS MATERIALIZED (
    SELECT r.* FROM doc, jsonb_to_recordset(d -> 'contracts') AS r(
        id bigint, token bigint, seen bigint, state text, since timestamptz, next_due timestamptz, refund boolean,
        reset boolean, settled boolean, unclean boolean, billable boolean, project_ref text, error text,
        error_class text, signed_at timestamptz, revision bigint, read_back boolean, checked text[], said jsonb,
        title text, customer_code text, customer_name text, legal_entity text, service_line text, geography text,
        billing text, currency text, value numeric, value_reporting numeric, bill_on date, lane text,
        priority double precision, test boolean, renewal text, renews_on date, notice_by date, renewal_due date,
        suspension text)
),
i AS MATERIALIZED (
    SELECT r.* FROM doc, jsonb_to_recordset(d -> 'items') AS r(
        id bigint, replay_id bigint, state text, words text, sent boolean, refund boolean, run_id uuid)
),
fenced AS MATERIALIZED (
    SELECT k.contract_id AS id, k.done_rev
    FROM core.contract AS k JOIN c ON c.id = k.contract_id AND c.token = k.lease_token
    WHERE k.lease_owner = :worker
    ORDER BY k.source, k.external_id FOR UPDATE OF k
),
moved AS (
    UPDATE core.contract AS k SET
        state = coalesce(c.state, k.state),
        state_since = CASE WHEN coalesce(c.state, k.state) = k.state THEN k.state_since
                           ELSE coalesce(c.since, :now) END,
        due_at = CASE WHEN k.wanted_rev = c.seen THEN c.next_due ELSE least(coalesce(c.next_due, :now), :now) END,
        done_rev = c.seen,
        attempt = CASE WHEN c.reset THEN 0 WHEN c.refund THEN greatest(k.attempt - 1, 0) ELSE k.attempt END,
        lease_owner = NULL, lease_until = NULL,
        replay_id = CASE WHEN EXISTS (SELECT FROM i WHERE i.id = c.id AND i.state IS NOT NULL) THEN NULL
                         ELSE k.replay_id END,
        unclean_at = CASE WHEN c.unclean THEN :now WHEN c.settled THEN NULL ELSE k.unclean_at END,
        writeback_at = CASE WHEN (c.state IS NOT NULL AND c.state <> k.state)
                              OR (c.project_ref IS DISTINCT FROM k.project_ref AND c.project_ref IS NOT NULL)
                              OR coalesce(c.said, k.held_values, '{}') <> coalesce(k.held_values, '{}')
                            THEN :now ELSE k.writeback_at END,
        project_ref = coalesce(c.project_ref, k.project_ref), held_values = coalesce(c.said, k.held_values),
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
        priority = coalesce(c.priority, k.priority), test = coalesce(c.test, k.test), updated_at = :now,
        renewal = coalesce(c.renewal, k.renewal), suspension = coalesce(c.suspension, k.suspension),
        renews_on = CASE WHEN c.renewal IS NULL THEN k.renews_on ELSE c.renews_on END,
        notice_by = CASE WHEN c.renewal IS NULL THEN k.notice_by ELSE c.notice_by END,
        renewal_due = CASE WHEN c.renewal IS NULL THEN k.renewal_due ELSE c.renewal_due END
    FROM c, fenced WHERE fenced.id = c.id AND k.contract_id = c.id
    RETURNING k.contract_id, k.state
),
items AS (
    UPDATE core.replay_item AS k
    SET state = coalesce(i.state, 'pending'), words = i.words, run_id = i.run_id, in_hand = false,
        sent = k.sent OR i.sent, tries = CASE WHEN i.refund THEN greatest(k.tries - 1, 0) ELSE k.tries END,
        skip = CASE i.state WHEN 'skipped' THEN 'changed' ELSE '' END,
        finished_at = CASE WHEN i.state IS NOT NULL THEN CAST(:now AS timestamptz) END
    FROM i JOIN fenced ON fenced.id = i.id
    WHERE k.replay_id = i.replay_id AND k.contract_id = i.id AND k.finished_at IS NULL
),
runs AS (
    INSERT INTO core.run (run_id, contract_id, rev, lane, worker_id, outcome, state, digest, correlation_id, trace_id,
                          started_at, finished_at, recorded_at, error_class, error, calls, policy)
    SELECT run_id, r.id, rev, lane, :worker, CASE WHEN f.id IS NULL THEN 'lost' ELSE outcome END, r.state, digest,
           correlation_id, trace_id, started_at, greatest(finished_at, started_at), :now, error_class, error, calls,
           :policy
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
    INSERT INTO core.crosswalk AS x (system, kind, business_key, state, ref, contract_id, fields, agreed, invoiced,
                                     confirmed_at)
    SELECT DISTINCT ON (system, kind, key) system, kind, key, state, ref, owner, fields, agreed, invoiced,
           CAST(:now AS timestamptz)
    FROM doc, jsonb_to_recordset(d -> 'crosswalk') AS r(
        id bigint, system text, kind text, key text, ref text, fields jsonb, agreed jsonb, owner bigint, state text,
        invoiced numeric)
    JOIN fenced AS f ON f.id = r.id
    WHERE (  -- a conflict locks the row: all workers would wait for each other at every shared object
        SELECT 1 FROM core.crosswalk AS same
        WHERE same.system = r.system AND same.kind = r.kind AND same.business_key = r.key AND same.state = r.state
          AND same.ref IS NOT DISTINCT FROM r.ref AND same.fields IS NOT DISTINCT FROM r.fields
          AND same.agreed IS NOT DISTINCT FROM r.agreed AND same.invoiced IS NOT DISTINCT FROM r.invoiced
          AND same.kept IS NULL
        LIMIT 1) IS NULL
    ORDER BY system, kind, key
    ON CONFLICT (system, kind, business_key) DO UPDATE
    SET state = excluded.state, ref = excluded.ref, fields = excluded.fields, agreed = excluded.agreed,
        invoiced = excluded.invoiced, confirmed_at = excluded.confirmed_at,
        kept = (  -- a decision is spent once the value that it refused stands there no more
            SELECT jsonb_object_agg(k.key, k.value) FROM jsonb_each(x.kept) AS k
            WHERE excluded.fields -> k.key = k.value -> 1),
        contract_id = excluded.contract_id, holder = NULL, holder_token = NULL, reserved_until = NULL
    WHERE x.state <> excluded.state OR x.ref IS DISTINCT FROM excluded.ref OR x.fields IS DISTINCT FROM excluded.fields
       OR x.agreed IS DISTINCT FROM excluded.agreed OR x.invoiced IS DISTINCT FROM excluded.invoiced
       OR x.kept IS NOT NULL
),
progress AS (
    INSERT INTO core.progress (contract_id, step, amendment, occurred_at, recorded_at)
    SELECT r.id, r.step, r.amendment, r.at, :now
    FROM doc, jsonb_to_recordset(d -> 'progress') AS r(
        id bigint, step text, at timestamptz, once boolean, amendment int)
    JOIN fenced AS f ON f.id = r.id
    WHERE NOT r.once OR (
        SELECT 1 FROM core.progress AS p WHERE p.contract_id = r.id AND p.step = r.step LIMIT 1) IS NULL
),
found AS MATERIALIZED (
    SELECT r.*, c.seen, c.seen > f.done_rev AS news FROM doc, jsonb_to_recordset(d -> 'cases') AS r(
        id bigint, cause text, error_class text, function text, severity text, message text, operation text,
        group_key text, exposure numeric, currency text, exposure_reporting numeric, bill_on date, dues jsonb,
        detail jsonb, again int)
    JOIN fenced AS f ON f.id = r.id JOIN c ON c.id = r.id
),
held AS MATERIALIZED (  -- locked in the order in which people's commands lock them
    SELECT k.case_id, k.contract_id, k.cause, k.state, k.message, k.resolved_at, k.decided_rev
    FROM core.case AS k JOIN fenced AS f ON f.id = k.contract_id
    WHERE k.state = 'open' OR EXISTS (SELECT 1 FROM found WHERE found.id = k.contract_id AND found.cause = k.cause)
    ORDER BY k.case_id FOR UPDATE OF k
),
latest AS (SELECT DISTINCT ON (contract_id, cause) * FROM held ORDER BY contract_id, cause, case_id DESC),
raised AS MATERIALIZED (  -- a full join is hashed; for another one the planner takes rows unknown to it for few
    SELECT found.*, p.case_id,
           CASE WHEN found.id IS NULL THEN 'not found'
                WHEN p.state = 'open' THEN 'seen'
                WHEN p.state = 'decided' AND p.message = found.message AND found.seen <= p.decided_rev THEN 'stands'
                WHEN p.resolved_at > CAST(:now AS timestamptz) - interval '7 days' THEN 'reopened'
                ELSE 'opened' END AS becomes
    FROM found FULL JOIN latest AS p ON p.contract_id = found.id AND p.cause = found.cause
),
again AS (  -- who has it stays who has it: people may have handed it over
    UPDATE core.case AS k
    SET state = 'open', seen_at = :now, occurrences = k.occurrences + r.again, error_class = r.error_class,
        message = r.message, detail = r.detail, operation = r.operation, group_key = r.group_key, severity = r.severity,
        exposure = r.exposure, currency = r.currency, exposure_reporting = r.exposure_reporting, bill_on = r.bill_on,
        version = k.version + CASE WHEN r.becomes = 'seen' AND k.message = r.message AND NOT r.news THEN 0 ELSE 1 END,
        decided_by = CASE WHEN r.becomes = 'seen' AND k.message = r.message THEN k.decided_by END,
        decided_reason = CASE WHEN r.becomes = 'seen' AND k.message = r.message THEN k.decided_reason END,
        decided_rev = NULL, closed_how = NULL, resolved_at = NULL,
        opened_at = CASE WHEN r.becomes = 'seen' THEN k.opened_at ELSE :now END,
        first_opened_at = CASE WHEN r.becomes = 'seen' THEN k.first_opened_at
                               ELSE coalesce(k.first_opened_at, k.opened_at) END,
        due_at = CASE WHEN r.becomes = 'seen' THEN k.due_at ELSE CAST(r.dues ->> k.function AS timestamptz) END,
        acknowledged_at = CASE WHEN r.becomes = 'seen' THEN k.acknowledged_at END,
        acknowledged_by = CASE WHEN r.becomes = 'seen' THEN k.acknowledged_by END
    FROM raised AS r WHERE k.case_id = r.case_id AND r.becomes IN ('seen', 'reopened')
    RETURNING k.case_id, k.function, k.assignee, r.becomes
),
opened AS (
    INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, detail, operation, group_key,
                           exposure, currency, exposure_reporting, bill_on, state, opened_at, seen_at, due_at)
    SELECT id, cause, error_class, function, severity, message, detail, operation, group_key, exposure, currency,
           exposure_reporting, bill_on, 'open', :now, :now, CAST(dues ->> function AS timestamptz)
    FROM raised WHERE becomes = 'opened' ORDER BY id, cause
    RETURNING case_id, function
),
resolved AS (
    UPDATE core.case AS k
    SET state = 'resolved', closed_how = CASE WHEN c.read_back THEN 'read_back' ELSE 'checked' END, resolved_at = :now,
        version = k.version + 1
    FROM held AS h JOIN c ON c.id = h.contract_id
    WHERE k.case_id = h.case_id AND h.state = 'open' AND (c.read_back OR h.cause = ANY(c.checked))
      AND NOT EXISTS (SELECT 1 FROM found WHERE found.id = h.contract_id AND found.cause = h.cause)
    RETURNING k.case_id, k.function, k.assignee, k.closed_how
),
history AS (
    INSERT INTO core.case_history (case_id, what, function, assignee, note, occurred_at, recorded_at)
    SELECT case_id, 'opened', function, NULL, '', CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM opened
    UNION ALL SELECT case_id, becomes, function, assignee, '', :now, :now FROM again WHERE becomes = 'reopened'
    UNION ALL SELECT case_id, 'resolved', function, assignee,
        CASE closed_how WHEN 'checked' THEN 'its check passes now' ELSE '' END, :now, :now FROM resolved
)
SELECT contract_id FROM moved
""")
