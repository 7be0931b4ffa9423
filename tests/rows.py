"""Test only: fills a migrated database with many plausible contracts and all that hangs on them, set by set.

Deterministic for a given `contracts` and `now`. About 0.15 % of the contracts are in BRL, for which the estate has no
rate. Contract n is `C-<n>`; its state follows from n, so that a test can name a contract of each kind.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from sync_core.estate.estate import Estate, load

NOW: Final = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SOURCE: Final = "//clm.example/contracts"

ESTATE_TEXT: Final = f"""
[group]
name = "Meridian"
reporting_currency = "USD"
timezone = "Europe/London"

[[clm]]
name = "crm"
source = "{SOURCE}"
kind = "sandbox"

[[erp]]
name = "cloud"
kind = "cloud"

[[erp]]
name = "legacy"
kind = "legacy"

[[entity]]
code = "US01"
name = "Meridian Inc."
country = "US"
currency = "USD"
timezone = "America/New_York"
erp = "cloud"

[[entity]]
code = "GB01"
name = "Meridian Ltd."
country = "GB"
currency = "GBP"
timezone = "Europe/London"
erp = "cloud"

[[entity]]
code = "DE01"
name = "Meridian GmbH"
country = "DE"
currency = "EUR"
timezone = "Europe/Berlin"
erp = "legacy"

[[revenue]]
recognition = "over_time"
account = "4000"
category = "consulting"

[[exchange_rate]]
currency = "GBP"
rate = 1.25
valid_from = 2020-01-01

[[exchange_rate]]
currency = "EUR"
rate = 1.10
valid_from = 2020-01-01
"""


def estate() -> Estate:
    """The estate that these rows belong to."""
    return load(ESTATE_TEXT)


def seed(owner_url: str, contracts: int, *, now: datetime = NOW) -> None:
    """Insert into an empty, migrated database, then vacuum and analyse, as a database at rest would be."""
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    values = {"contracts": contracts, "now": now, "source": SOURCE}
    with engine.begin() as conn:
        conn.execute(sa.text("SET LOCAL synchronous_commit = off; SET LOCAL work_mem = '64MB'; SELECT setseed(0.42)"))
        # Built once at the end, indexes cost half of what they cost row by row.
        indexes = conn.execute(_PLAIN_INDEXES).all()
        for index in indexes:
            conn.execute(sa.text(f"DROP INDEX {index.name}"))
        for statement in _STATEMENTS:
            needed = {name: values[name] for name in statement.compile().params}
            conn.execute(statement, needed)
        for index in indexes:
            conn.exec_driver_sql(index.definition)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE"))
    engine.dispose()


_PLAIN_INDEXES = sa.text("""
    SELECT CAST(CAST(indexrelid AS regclass) AS text) AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = CAST('core' AS regnamespace) AND NOT indisunique
""")

# The state by n mod 1000: 40 drafts, 15 waiting, 10 blocked, 1 set aside, 30 ended (6 before activation), else active.
_CONTRACTS = sa.text("""
    WITH drawn AS MATERIALIZED (
        SELECT n, n % 1000 AS k, random() AS r1, random() AS r2, random() AS r3, random() AS r4
        FROM generate_series(1, :contracts) AS n
    ), placed AS (
        SELECT *, CASE WHEN k < 40 THEN 'draft' WHEN k < 55 THEN 'waiting' WHEN k < 65 THEN 'blocked'
                       WHEN k = 65 THEN 'set_aside' WHEN k < 96 THEN 'ended' ELSE 'active' END AS state,
               k < 66 OR k >= 90 AND k < 96 AS never_active,
               -- open ones are young; the rest spreads over 400 days
               CAST(:now AS timestamptz) - r1 * CASE WHEN k < 55 THEN interval '5 d' WHEN k < 66 THEN interval '20 d'
                   ELSE interval '400 d' END - CASE WHEN k >= 66 THEN interval '6 d' ELSE interval '0' END AS signed,
               (ARRAY['US01','GB01','DE01'])[1 + n % 3] AS entity,
               CASE WHEN n % 667 = 0 THEN 'BRL' ELSE (ARRAY['USD','GBP','EUR'])[1 + n % 3] END AS money,
               round(CAST(20000 + 480000 * r2 * r2 AS numeric), 2) AS amount,
               make_interval(secs => 600 + 3600 * -ln(1 - r3 * 0.999) * 8) AS took
        FROM drawn
    )
    INSERT INTO core.contract (source, external_id, state, state_since, lane, due_at, wanted_rev, done_rev, title,
        customer_code, customer_name, legal_entity, service_line, geography, billing, currency, value,
        value_reporting, bill_on, received_at, signed_at, first_active_at, active_at, project_ref, updated_at, revision)
    SELECT :source, 'C-' || n, state,
        CASE WHEN state = 'active' THEN least(signed + took, :now) ELSE signed END,
        CASE entity WHEN 'DE01' THEN 'legacy' ELSE 'cloud' END,
        CASE state WHEN 'waiting' THEN CAST(:now AS timestamptz) WHEN 'blocked' THEN :now + interval '5 min' END, 1, 1,
        (ARRAY['Cloud migration','Audit support','Data platform','Tax advisory','Rollout'])[1 + n % 5] || ' ' || n,
        'CU-' || n % 4000, (ARRAY['Northwind','Contoso','Fabrikam','Initech'])[1 + n % 4] || ' ' || n % 4000,
        entity, (ARRAY['consulting','technology','tax'])[1 + n % 3], (ARRAY['AMER','EMEA'])[1 + n % 2],
        CASE WHEN n % 4 = 0 THEN 'time_and_materials' ELSE 'milestones' END, money, amount,
        CASE money WHEN 'USD' THEN amount WHEN 'GBP' THEN amount * 1.25 WHEN 'EUR' THEN amount * 1.10 END,
        CAST(signed AS date) + 45, signed + interval '2 min',
        CASE WHEN state <> 'draft' THEN signed END,
        CASE WHEN NOT never_active THEN least(signed + took, :now) END,
        CASE WHEN state = 'active' THEN least(signed + took, :now) END,
        CASE WHEN NOT never_active THEN 'P' || n END,
        least(signed + took * (1 + r4), :now), 1
    FROM placed ORDER BY signed
""")

_TERMS = """
    jsonb_build_object('title', title, 'customer', jsonb_build_object('code', customer_code, 'name', customer_name),
        'legal_entity', legal_entity, 'service_line', service_line, 'geography', geography, 'currency', currency,
        'value', value, 'starts_on', bill_on - 30, 'ends_on', bill_on + 300,
        'billing', jsonb_build_object('kind', billing, 'payment_terms', 'NET30'),
        'milestones', jsonb_build_array(jsonb_build_object('key', 'all', 'name', 'Delivery', 'amount', value,
            'due_on', bill_on)), 'po_number', 'PO-1', 'tax', jsonb_build_object('tax_code', 'STD'))
"""
_EVENTS = sa.text(f"""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT source, 'e-' || contract_id, 'com.tieline.contract.' || CASE state WHEN 'draft' THEN 'drafted' ELSE 'signed'
        END || '.v1', external_id, coalesce(signed_at, received_at), received_at, 'webhook', 'k-' || contract_id,
        CASE state WHEN 'draft' THEN jsonb_build_object('contract_id', external_id, 'revision', 1, 'terms', {_TERMS})
        ELSE jsonb_build_object('contract_id', external_id, 'revision', 1, 'signed_at', signed_at, 'terms', {_TERMS})
        END, '{{}}'
    FROM core.contract ORDER BY received_at
""")
_MORE_EVENTS = sa.text("""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT source, 'a-' || contract_id, 'com.tieline.contract.approved.v1', external_id, signed_at, received_at,
        'webhook', 'k-' || contract_id,
        jsonb_build_object('contract_id', external_id, 'revision', 1, 'approval', 'approved'), jsonb_build_object()
    FROM core.contract WHERE signed_at IS NOT NULL
    UNION ALL
    SELECT source, 'm-' || contract_id, 'com.tieline.contract.amended.v1', external_id, active_at + interval '1 h',
        active_at + interval '61 min', 'poll', 'm-' || contract_id,
        jsonb_build_object('contract_id', external_id, 'revision', 2,
            'amendment', jsonb_build_object('number', 1, 'executed_at', active_at + interval '1 h', 'summary', 'PO'),
            'changes', jsonb_build_object('po_number', 'PO-2')), jsonb_build_object()
    FROM core.contract WHERE state = 'active' AND contract_id % 5 = 0
""")

_RUNS = sa.text("""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                          recorded_at, error_class, error)
    SELECT CAST(md5('r' || contract_id) AS uuid), contract_id, 1, lane,
        CASE WHEN state = 'blocked' THEN 'blocked' ELSE 'converged' END, state, 'k-' || contract_id,
        coalesce(first_active_at - interval '3 s', received_at + interval '1 s'),
        coalesce(first_active_at, received_at + interval '4 s'),
        coalesce(first_active_at, received_at + interval '4 s'),
        CASE WHEN state = 'blocked' THEN 'missing_data' END, CASE WHEN state = 'blocked' THEN 'no tax profile' END
    FROM core.contract WHERE state IN ('active', 'ended', 'blocked', 'set_aside')
""")
_OPERATIONS = sa.text("""
    INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key, ref, status, before,
                                after, started_at, finished_at)
    SELECT CAST(md5('r' || contract_id) AS uuid), step, contract_id, lane,
        CASE step WHEN 1 THEN 'activate' ELSE 'create' END,
        'project', 'crm/' || external_id, 'P' || contract_id, 'done',
        CASE step WHEN 1 THEN jsonb_build_object('billable', false) END, jsonb_build_object('billable', true),
        first_active_at - interval '3 s', first_active_at - interval '2 s'
    FROM core.contract CROSS JOIN generate_series(0, 1) AS step WHERE first_active_at IS NOT NULL
""")

_PROGRESS = sa.text("""
    INSERT INTO core.progress (contract_id, step, occurred_at, recorded_at)
    SELECT contract_id, step, at, at
    FROM core.contract CROSS JOIN LATERAL (VALUES
        ('signed', signed_at), ('captured', received_at), ('validated', received_at + interval '1 s'),
        ('project_created', first_active_at - interval '2 s'), ('billing_set_up', first_active_at - interval '1 s'),
        ('active', first_active_at), ('blocked', CASE state WHEN 'blocked' THEN state_since END),
        ('ended', CASE state WHEN 'ended' THEN updated_at END)) AS reached(step, at)
    WHERE signed_at IS NOT NULL AND at IS NOT NULL AND NOT (step = 'validated' AND state = 'blocked')
""")

# All but a few of the amendments are in the ERP within a day of their receipt.
_AMENDED = sa.text("""
    INSERT INTO core.progress (contract_id, step, amendment, occurred_at, recorded_at)
    SELECT contract_id, 'active', 1, at, at FROM core.contract
        CROSS JOIN LATERAL (SELECT active_at + interval '61 min' + contract_id % 97 * interval '15 min' AS at) AS done
    WHERE state = 'active' AND contract_id % 5 = 0 AND contract_id % 500 <> 0 AND at <= :now
""")

_CASES = sa.text("""
    INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, exposure, currency,
                           exposure_reporting, bill_on, state, opened_at, seen_at, due_at, resolved_at)
    SELECT contract_id, cause, 'missing_data', function, CASE WHEN value > 200000 THEN 'high' ELSE 'normal' END,
        'complete it in its owner''s system', value, currency, value_reporting, bill_on,
        CASE state WHEN 'blocked' THEN 'open' ELSE 'resolved' END, received_at, received_at,
        received_at + interval '2 d', CASE WHEN state <> 'blocked' THEN first_active_at END
    FROM core.contract CROSS JOIN LATERAL (
        SELECT (ARRAY['tax_profile_missing','rate_missing','customer_unknown','po_missing'])[1 + contract_id % 4] AS
            cause, (ARRAY['tax','delivery','master_data','finance_operations'])[1 + contract_id % 4] AS function) AS why
    WHERE state = 'blocked' OR state = 'active' AND contract_id % 20 = 0
""")
_CASE_HISTORY = sa.text("""
    INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
    SELECT case_id, 'opened', function, opened_at, opened_at FROM core.case
    UNION ALL SELECT case_id, 'resolved', function, resolved_at, resolved_at FROM core.case WHERE state = 'resolved'
""")

_CROSSWALK = sa.text("""
    INSERT INTO core.crosswalk (system, kind, business_key, state, ref, contract_id, fields, confirmed_at)
    SELECT lane, kind, 'crm/' || external_id || suffix, 'confirmed', 'P' || contract_id || suffix, contract_id,
        jsonb_build_object('name', title, 'value', CAST(value AS text))
            || CASE kind WHEN 'milestone' THEN jsonb_build_object('bill_on', bill_on) ELSE jsonb_build_object() END,
        first_active_at
    FROM core.contract CROSS JOIN (VALUES ('project', ''), ('milestone', '#M:all'))
        AS part(kind, suffix) WHERE first_active_at IS NOT NULL
    UNION ALL
    SELECT DISTINCT ON (lane, customer_code) lane, 'customer', customer_code, 'confirmed', 'K-' || customer_code,
        CAST(NULL AS bigint), CAST(NULL AS jsonb), first_active_at
    FROM core.contract WHERE first_active_at IS NOT NULL
""")
_FINANCIAL = sa.text("""
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency,
                                     status, occurred_on, recorded_at)
    SELECT lane, kind, upper(substr(kind, 1, 1)) || contract_id, 'crm/' || external_id, contract_id,
        CASE WHEN kind <> 'invoice' THEN 'I' || contract_id END, value, currency, 'posted',
        bill_on, CAST(bill_on AS timestamptz)
    FROM core.contract CROSS JOIN (VALUES ('invoice', 1), ('payment', 2), ('dispute', 60)) AS fact(kind, every)
    WHERE state = 'active' AND bill_on < CAST(CAST(:now AS timestamptz) AS date) AND contract_id % (every * 3) = 0
""")

_QUARANTINE = sa.text("""
    INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,
                                 correlation_id, occurred_at, recorded_at)
    SELECT :source, 'q-' || n, 'com.tieline.contract.signed.v9', 'Q-' || n, 'event type is not registered', true, '{}',
        'webhook', 'q-' || n, CAST(:now AS timestamptz) - n * interval '1 h', :now - n * interval '1 h'
    FROM generate_series(1, 1 + CAST(:contracts AS integer) / 10000) AS n
""")
_ENGINE = sa.text("""
    WITH lanes AS (
        INSERT INTO core.lane (lane, breaker, reason, max_in_flight)
        VALUES ('cloud', 'closed', NULL, 8), ('legacy', 'open', 'connection refused', 4) RETURNING lane, max_in_flight
    ), jobs AS (
        INSERT INTO core.job_run (job, scheduled_for, started_at, finished_at, outcome)
        SELECT job, at, at, at + interval '2 s', CASE WHEN extract(minute FROM at) = 0 THEN 'failed' ELSE 'ok' END
        FROM generate_series(CAST(:now AS timestamptz) - interval '1 d', :now, interval '10 min') AS at,
             (VALUES ('poll'), ('rollup')) AS named(job)
    )
    SELECT 1
""")
_SLOTS = sa.text("""
    INSERT INTO core.lane_slot (lane, slot, worker_id, lease_until)
    SELECT lane, slot, CASE WHEN slot < 3 THEN 1 END, CASE WHEN slot < 3 THEN now() + interval '1 d' END
    FROM core.lane CROSS JOIN LATERAL generate_series(0, max_in_flight - 1) AS slot
""")

_STATEMENTS = (
    _CONTRACTS, _EVENTS, _MORE_EVENTS, _RUNS, _OPERATIONS, _PROGRESS, _AMENDED, _CASES, _CASE_HISTORY, _CROSSWALK,
    _FINANCIAL, _QUARANTINE, _ENGINE, _SLOTS,
)  # fmt: skip
