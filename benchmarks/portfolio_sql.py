"""The statements that fill the core's tables with a portfolio (benchmarks/portfolio.py), and one that changes it."""

from typing import Final

import sqlalchemy as sa

# By n mod 10,000, shuffled: 100 drafts, 30 on their way, 20 blocked, 1 set aside, 20 waiting with an amendment, 50
# cancelled before they were active, 1,500 ended, else active.
_CONTRACTS = sa.text("""
    WITH drawn AS MATERIALIZED (
        SELECT n, n % 10000 * 7919 % 10000 AS k, random() AS r1, random() AS r2, random() AS r3, random() AS r4
        FROM generate_series(1, :contracts) AS n
    ), placed AS (
        SELECT *, CASE WHEN k < 100 THEN 'draft' WHEN k < 130 THEN 'waiting' WHEN k < 150 THEN 'blocked'
                       WHEN k = 150 THEN 'set_aside' WHEN k < 171 THEN 'waiting' WHEN k < 1721 THEN 'ended'
                       ELSE 'active' END AS state,
               k < 151 OR k >= 171 AND k < 221 AS never_active,
               -- open ones are young; the rest spreads over four years
               CAST(:now AS timestamptz) - CASE WHEN k < 130 THEN r1 * interval '5 d'
                   WHEN k < 151 THEN r1 * interval '20 d' ELSE r1 * interval '1450 d' + interval '6 d' END AS signed,
               (ARRAY['US01','GB01','DE01','FR01'])[1 + n % 4] AS entity,
               CASE WHEN n % 667 = 0 THEN 'BRL' ELSE (ARRAY['USD','GBP','EUR','EUR'])[1 + n % 4] END AS money,
               round(CAST(20000 + 480000 * r2 * r2 AS numeric), 2) AS amount,
               make_interval(secs => 600 + 3600 * -ln(1 - r3 * 0.999) * 8) AS took
        FROM drawn
    )
    INSERT INTO core.contract (source, external_id, state, state_since, lane, due_at, wanted_rev, done_rev, title,
        customer_code, customer_name, legal_entity, service_line, geography, billing, currency, value,
        value_reporting, bill_on, received_at, signed_at, first_active_at, active_at, project_ref, updated_at, revision)
    SELECT :source, 'C-' || n, state,
        CASE WHEN state = 'active' THEN least(signed + took, :now) WHEN k >= 151 AND k < 171 THEN :now - r4 * interval
            '2 d' WHEN state = 'ended' THEN least(signed + interval '200 d', :now) ELSE signed END,
        CASE WHEN entity IN ('DE01', 'FR01') THEN 'legacy' ELSE 'cloud' END,
        CASE state WHEN 'waiting' THEN CAST(:now AS timestamptz) WHEN 'blocked' THEN :now + interval '5 min' END,
        CASE WHEN k >= 151 AND k < 171 THEN 2 ELSE 1 END, 1,
        (ARRAY['Cloud migration','Audit support','Data platform','Tax advisory','Rollout'])[1 + n % 5] || ' ' || n,
        'CU-' || n % 4000, (ARRAY['Northwind','Contoso','Fabrikam','Initech'])[1 + n % 4] || ' ' || n % 4000,
        entity, (ARRAY['consulting','technology','tax','audit','risk'])[1 + n % 5],
        (ARRAY['AMER','EMEA'])[1 + n / 4 % 2],
        CASE WHEN n % 3 = 0 THEN 'time_and_materials' ELSE 'milestones' END, money, amount,
        CASE money WHEN 'USD' THEN amount WHEN 'GBP' THEN amount * 1.25 WHEN 'EUR' THEN amount * 1.10 END,
        CAST(signed AS date) + 45, signed + interval '2 min',
        CASE WHEN state <> 'draft' THEN signed END,
        CASE WHEN NOT never_active THEN least(signed + took, :now) END,
        CASE WHEN state = 'active' THEN least(signed + took, :now) END,
        CASE WHEN NOT never_active THEN 'P' || n END,
        least(signed + took * (1 + r4), :now), 1
    FROM placed ORDER BY signed
""")

# Three milestones 45, 135 and 225 days after the signature, or a rate card of three.
_TERMS: Final = """
    jsonb_build_object('title', title, 'customer', jsonb_build_object('code', customer_code, 'name', customer_name),
        'legal_entity', legal_entity, 'service_line', service_line, 'geography', geography, 'currency', currency,
        'value', value, 'starts_on', bill_on - 30, 'ends_on', bill_on + 300,
        'billing', jsonb_build_object('kind', billing, 'payment_terms', 'NET30'), 'po_number', 'PO-1',
        'tax', jsonb_build_object('tax_code', 'STD')) || CASE billing WHEN 'milestones' THEN
            jsonb_build_object('milestones', jsonb_build_array(
                jsonb_build_object('key', 'm0', 'name', 'Design', 'amount', round(value / 4, 2), 'due_on', bill_on),
                jsonb_build_object('key', 'm1', 'name', 'Build', 'amount', round(value / 4, 2), 'due_on', bill_on + 90),
                jsonb_build_object('key', 'm2', 'name', 'Go-live', 'amount', value - 2 * round(value / 4, 2),
                                   'due_on', bill_on + 180)))
        ELSE jsonb_build_object('rates', jsonb_build_array(
                jsonb_build_object('category', 'SR', 'rate', 240, 'planned_hours', 120),
                jsonb_build_object('category', 'MR', 'rate', 160, 'planned_hours', 120),
                jsonb_build_object('category', 'JR', 'rate', 110, 'planned_hours', 120))) END
"""
_AMENDED_AT: Final = "first_active_at + (20 + contract_id % 60) * interval '1 d'"
_IS_AMENDED: Final = "(wanted_rev = 2 OR state IN ('active', 'ended') AND contract_id % 5 = 0)"
_AMENDED: Final = f"{_IS_AMENDED} AND first_active_at IS NOT NULL AND {_AMENDED_AT} <= :now"
_EVENTS = sa.text(f"""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT source, 'e-' || contract_id, 'com.tieline.contract.' || CASE state WHEN 'draft' THEN 'drafted' ELSE 'signed'
        END || '.v1', external_id, coalesce(signed_at, received_at), received_at, 'webhook', 'k-' || contract_id,
        jsonb_build_object('contract_id', external_id, 'revision', 1, 'terms', {_TERMS}) || CASE state WHEN 'draft'
        THEN jsonb_build_object() ELSE jsonb_build_object('signed_at', signed_at) END, jsonb_build_object()
    FROM core.contract ORDER BY received_at
""")
_MORE_EVENTS = sa.text(f"""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT source, 'a-' || contract_id, 'com.tieline.contract.approved.v1', external_id, signed_at, received_at,
        'webhook', 'k-' || contract_id,
        jsonb_build_object('contract_id', external_id, 'revision', 1, 'approval', 'approved'), jsonb_build_object()
    FROM core.contract WHERE signed_at IS NOT NULL
    UNION ALL
    SELECT source, 'm-' || contract_id, 'com.tieline.contract.amended.v1', external_id, at, at + interval '1 min',
        'poll', 'm-' || contract_id,
        jsonb_build_object('contract_id', external_id, 'revision', 2,
            'amendment', jsonb_build_object('number', 1, 'executed_at', at, 'summary', 'More of it'),
            'changes', jsonb_build_object('value', value)), jsonb_build_object()
    FROM core.contract CROSS JOIN LATERAL (
        SELECT CASE wanted_rev WHEN 2 THEN state_since ELSE {_AMENDED_AT} END AS at) AS amended WHERE {_AMENDED}
""")

# Run ids rise with the contract, as version 7 UUIDs do with time. Calls are what the journal keeps of each.
_RUN_ID: Final = "CAST(lpad(to_hex(contract_id * 16 + {}), 32, '0') AS uuid)"
_CALLS: Final = """
    (SELECT jsonb_agg(jsonb_build_array(name, 40 + contract_id % 160, 'ok', 200, started + n * interval '300 ms', n > 1)
                      ORDER BY n)
     FROM unnest(ARRAY['find_project', 'create_project', 'create_part', 'create_part', 'create_part', 'activate',
                       'read_project']) WITH ORDINALITY AS call(name, n))
"""
_RUNS = sa.text(f"""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                          recorded_at, error_class, error, calls)
    SELECT {_RUN_ID.format(0)}, contract_id, 1, lane, CASE WHEN state = 'blocked' THEN 'blocked' ELSE 'converged' END,
        CASE WHEN state = 'blocked' THEN 'blocked' ELSE 'active' END, 'k-' || contract_id, started,
        started + interval '3 s', started + interval '3 s', CASE WHEN state = 'blocked' THEN 'missing_data' END,
        CASE WHEN state = 'blocked' THEN 'no tax profile' END,
        CASE WHEN state = 'blocked' THEN jsonb_build_array() ELSE {_CALLS} END
    FROM core.contract CROSS JOIN LATERAL (
        SELECT coalesce(first_active_at - interval '3 s', received_at + interval '1 s') AS started) AS at
    WHERE first_active_at IS NOT NULL OR state IN ('blocked', 'set_aside')
    UNION ALL
    SELECT {_RUN_ID.format(1)}, contract_id, 2, lane, 'converged', 'active', 'm-' || contract_id, started,
        started + interval '2 s', started + interval '2 s', NULL, NULL, {_CALLS}
    FROM core.contract CROSS JOIN LATERAL (SELECT {_AMENDED_AT} + interval '61 min' AS started) AS at
    WHERE {_AMENDED} AND wanted_rev = 1
    ORDER BY 1
""")
_OPERATIONS = sa.text(f"""
    INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key, ref, status, before,
                                after, started_at, finished_at)
    SELECT {_RUN_ID.format(0)}, step, contract_id, lane, action, kind, 'clm/' || external_id || part,
        'P' || contract_id || part, 'done', NULL, jsonb_build_object('name', title, 'value', CAST(value AS text)),
        first_active_at - interval '3 s', first_active_at - interval '2 s'
    FROM core.contract CROSS JOIN (VALUES (0, 'create', 'project', ''), (1, 'create', 'milestone', '#M:m0'),
        (2, 'create', 'milestone', '#M:m1'), (3, 'create', 'milestone', '#M:m2'),
        (4, 'create', 'contract_line', '#L:1'), (5, 'create', 'contract_line', '#L:2'),
        (6, 'create', 'tax', '#T'), (7, 'create', 'po', '#O'),
        (8, 'activate', 'project', ''), (9, 'verify', 'project', '')) AS listed(step, action, kind, part)
    WHERE first_active_at IS NOT NULL ORDER BY 1, 2
""")

_PROGRESS = sa.text(f"""
    INSERT INTO core.progress (contract_id, step, amendment, occurred_at, recorded_at)
    SELECT contract_id, step, amendment, at, at
    FROM core.contract CROSS JOIN LATERAL (VALUES
        ('signed', NULL, signed_at), ('captured', NULL, received_at), ('validated', NULL, received_at + interval '1 s'),
        ('project_created', NULL, first_active_at - interval '2 s'),
        ('billing_set_up', NULL, first_active_at - interval '1 s'), ('active', NULL, first_active_at),
        ('blocked', NULL, CASE state WHEN 'blocked' THEN state_since END),
        ('active', 1, CASE WHEN {_AMENDED} AND wanted_rev = 1
                           THEN {_AMENDED_AT} + (61 + contract_id % 97 * 15) * interval '1 min' END),
        ('ended', NULL, CASE state WHEN 'ended' THEN state_since END)) AS reached(step, amendment, at)
    WHERE signed_at IS NOT NULL AND at <= :now AND NOT (step = 'validated' AND state = 'blocked')
""")

_CASES = sa.text("""
    INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, exposure, currency,
                           exposure_reporting, bill_on, state, opened_at, seen_at, due_at, resolved_at, closed_how,
                           group_key, assignee)
    SELECT contract_id, cause, 'missing_data', function, CASE WHEN value > 200000 THEN 'high' ELSE 'normal' END,
        'complete it in its owner''s system', value, currency, value_reporting, bill_on,
        CASE state WHEN 'blocked' THEN 'open' ELSE 'resolved' END, received_at, received_at,
        received_at + interval '2 d', CASE WHEN state <> 'blocked' THEN first_active_at END,
        CASE WHEN state <> 'blocked' THEN 'read_back' END, cause || ' ' || legal_entity,
        CASE WHEN contract_id % 3 > 0 THEN 'person' || contract_id % 17 || '@bench.example' END
    FROM core.contract CROSS JOIN LATERAL (
        SELECT (ARRAY['tax_profile_missing','rate_missing','customer_unknown','po_missing'])[1 + contract_id % 4] AS
            cause, (ARRAY['tax','delivery','master_data','finance_operations'])[1 + contract_id % 4] AS function) AS why
    WHERE state = 'blocked' OR first_active_at IS NOT NULL AND contract_id % 8 = 0
    ORDER BY received_at
""")
_CASE_HISTORY = sa.text("""
    INSERT INTO core.case_history (case_id, what, function, actor, from_function, occurred_at, recorded_at)
    SELECT case_id, what, said.function, actor, was, at, at FROM core.case CROSS JOIN LATERAL (VALUES
        ('opened', CASE WHEN case_id % 5 = 0 THEN 'legal' ELSE function END, 'tieline', NULL, opened_at),
        ('acknowledged', CASE WHEN case_id % 5 = 0 THEN 'legal' ELSE function END, 'person@bench.example', NULL,
            CASE WHEN state = 'resolved' THEN opened_at + (resolved_at - opened_at) / 3 END),
        ('handed_over', function, 'person@bench.example', 'legal',
            CASE WHEN case_id % 5 = 0 AND state = 'resolved' THEN opened_at + (resolved_at - opened_at) / 2 END),
        ('resolved', function, 'tieline', NULL, CASE state WHEN 'resolved' THEN resolved_at END)
        ) AS said(what, function, actor, was, at)
    WHERE at IS NOT NULL ORDER BY at
""")

_CROSSWALK = sa.text("""
    INSERT INTO core.crosswalk (system, kind, business_key, state, ref, contract_id, fields, confirmed_at)
    SELECT lane, kind, 'clm/' || external_id || part, 'confirmed', 'P' || contract_id || part, contract_id, fields,
        first_active_at
    FROM core.contract CROSS JOIN LATERAL (VALUES
        ('project', '', jsonb_build_object('name', title, 'value', CAST(CASE WHEN contract_id % 997 = 0 THEN value - 100
            ELSE value END AS text), 'legal_entity', legal_entity, 'tax_code', 'STD', 'po_number', 'PO-1')),
        ('milestone', '#M:m0', jsonb_build_object()), ('milestone', '#M:m1', jsonb_build_object()),
        ('milestone', '#M:m2', jsonb_build_object()), ('labour_rate', '#R:SR', jsonb_build_object()),
        ('labour_rate', '#R:MR', jsonb_build_object()), ('labour_rate', '#R:JR', jsonb_build_object())
        ) AS part(kind, part, fields)
    WHERE first_active_at IS NOT NULL
      AND kind IN ('project', CASE billing WHEN 'milestones' THEN 'milestone' ELSE 'labour_rate' END)
    UNION ALL
    SELECT DISTINCT ON (lane, customer_code) lane, 'customer', customer_code, 'confirmed', 'K-' || customer_code,
        CAST(NULL AS bigint), CAST(NULL AS jsonb), first_active_at
    FROM core.contract WHERE first_active_at IS NOT NULL
""")
_FINANCIAL = sa.text("""
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency,
                                     status, occurred_on, recorded_at)
    SELECT lane, kind, upper(substr(kind, 1, 1)) || contract_id || '-' || part, 'clm/' || external_id, contract_id,
        CASE WHEN kind <> 'invoice' THEN 'I' || contract_id || '-' || part END, round(value / 4, 2), currency, 'posted',
        on_day, CAST(on_day AS timestamptz) + interval '3 h'
    FROM core.contract CROSS JOIN generate_series(0, 2) AS part CROSS JOIN LATERAL (VALUES
        ('invoice', bill_on + 90 * part, 0),
        ('payment', bill_on + 90 * part + 20 + CAST(contract_id % 30 AS integer), 0),
        ('dispute', bill_on + 90 * part + 9, CAST((contract_id * 3 + part) % 50 AS integer))
        ) AS fact(kind, on_day, every)
    WHERE state = 'active' AND every = 0 AND on_day < CAST(CAST(:now AS timestamptz) AS date)
""")

_QUARANTINE = sa.text("""
    INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,
                                 correlation_id, occurred_at, recorded_at)
    SELECT :source, 'q-' || n, 'com.tieline.contract.signed.v9', 'Q-' || n, 'event type is not registered', true, '{}',
        'webhook', 'q-' || n, CAST(:now AS timestamptz) - n * interval '1 h', :now - n * interval '1 h'
    FROM generate_series(1, 2 + CAST(:contracts AS integer) / 20000) AS n
""")
_AUDIT = sa.text("""
    INSERT INTO core.audit (id, occurred_at, actor, actor_kind, roles, action, subject, reason, contract_id,
                            legal_entity, correlation_id, detail, items, previous, hash)
    SELECT row_number() OVER (ORDER BY received_at, contract_id), received_at + interval '1 h',
        'person' || contract_id % 61 || '@bench.example', 'person', 'operator',
        (ARRAY['exception.acknowledge','exception.assign','replay.confirm','approval.approve'])[1 + contract_id % 4],
        'contract ' || external_id, 'as agreed with ' || customer_name, contract_id, legal_entity, 'k-' || contract_id,
        '{}', 0, '', '' FROM core.contract ORDER BY 1
""")
_HEAD = sa.text("UPDATE core.audit_head SET id = (SELECT max(id) FROM core.audit)")
_LANES = sa.text("""
    WITH lanes AS (
        INSERT INTO core.lane (lane, max_in_flight) VALUES ('cloud', 16), ('legacy', 4) RETURNING lane
    ), worker AS (
        INSERT INTO core.worker (name, version, started_at, beat_at) VALUES ('bench', '0', :now, :now) RETURNING 1
    )
    SELECT 1
""")

STATEMENTS: Final = (
    _CONTRACTS, _EVENTS, _MORE_EVENTS, _RUNS, _OPERATIONS, _PROGRESS, _CASES, _CASE_HISTORY, _CROSSWALK, _FINANCIAL,
    _QUARANTINE, _AUDIT, _HEAD, _LANES,
)  # fmt: skip

# Contracts from the whole of the portfolio, others at each turn from 1 to 4; those of turn 0 were amended before.
_CHANGED: Final = """
    FROM core.contract WHERE contract_id IN (
        SELECT contract_id FROM core.contract
        WHERE state = 'active' AND contract_id % 5 = :turn
        ORDER BY md5(CAST(contract_id AS text)) LIMIT :contracts)
"""
_CHANGE_EVENT = sa.text(f"""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT source, 't-' || contract_id, 'com.tieline.contract.amended.v1', external_id, :now, :now, 'webhook',
        't-' || contract_id, jsonb_build_object('contract_id', external_id, 'revision', 2,
            'amendment', jsonb_build_object('number', 1, 'executed_at', CAST(:now AS timestamptz), 'summary', 'More'),
            'changes', jsonb_build_object('value', value + 1000)), jsonb_build_object() {_CHANGED}
""")
_CHANGE_RUN = sa.text(f"""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                          recorded_at)
    SELECT {_RUN_ID.format(2)}, contract_id, 2, lane, 'converged', 'active', 't-' || contract_id, :now, :now, :now
    {_CHANGED}
""")
_CHANGE_STATE = sa.text(f"""
    WITH changed AS (
        UPDATE core.contract SET value = value + 1000, wanted_rev = 2, done_rev = 2, updated_at = :now
        WHERE contract_id IN (SELECT contract_id {_CHANGED}) RETURNING contract_id
    )
    INSERT INTO core.progress (contract_id, step, amendment, occurred_at, recorded_at)
    SELECT contract_id, 'active', 1, :now, :now FROM changed
""")

MARK: Final = sa.text(f"INSERT INTO metrics.mark (contract_id) SELECT contract_id {_CHANGED}")
CHANGES: Final = (_CHANGE_EVENT, _CHANGE_RUN, _CHANGE_STATE)
