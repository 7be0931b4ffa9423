-- Tables by owner: core (the engine's truth), telemetry (how it runs), metrics (what it means).
-- Times are UTC and bound from the application's clock; only leases use the database's own.
CREATE SCHEMA core;
CREATE SCHEMA telemetry;
CREATE SCHEMA metrics;

-- Every event ever understood, whole and for good. Not partitioned: it is kept as long as its contract, so no
-- partition would ever be dropped, and uniqueness over (source, id) stays one index.
CREATE TABLE core.event (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    id              text NOT NULL,
    type            text NOT NULL,
    external_id     text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    received_by     text NOT NULL,
    correlation_id  text NOT NULL,
    traceparent     text,
    data            jsonb NOT NULL,
    attributes      jsonb NOT NULL,
    UNIQUE (source, id)
);
CREATE INDEX event_of_contract ON core.event (source, external_id);
CREATE INDEX event_recorded ON core.event (recorded_at);

-- What could not be understood, whole: released when its schema exists.
CREATE TABLE core.quarantine (
    quarantine_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    event_id        text NOT NULL,
    type            text NOT NULL,
    external_id     text,
    reason          text NOT NULL,
    signature       boolean NOT NULL,
    body            bytea NOT NULL,
    received_by     text NOT NULL,
    correlation_id  text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    released_at     timestamptz,
    UNIQUE (source, event_id)
);
CREATE INDEX quarantine_open ON core.quarantine (recorded_at) WHERE released_at IS NULL;

-- A contract's row is also its place in the queue: state, due time, lease.
CREATE TABLE core.contract (
    contract_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    external_id     text NOT NULL,
    state           text NOT NULL CHECK (state IN ('draft', 'waiting', 'blocked', 'active', 'ended', 'set_aside')),
    state_since     timestamptz NOT NULL,
    lane            text NOT NULL DEFAULT '',
    priority        double precision NOT NULL DEFAULT 0,
    due_at          timestamptz,
    wanted_rev      bigint NOT NULL DEFAULT 1,
    done_rev        bigint NOT NULL DEFAULT 0,
    attempt         integer NOT NULL DEFAULT 0,
    lease_owner     bigint,
    lease_token     bigint NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    unclean_at      timestamptz,
    writeback_at    timestamptz,
    title           text NOT NULL DEFAULT '',
    customer_code   text NOT NULL DEFAULT '',
    customer_name   text NOT NULL DEFAULT '',
    legal_entity    text NOT NULL DEFAULT '',
    service_line    text NOT NULL DEFAULT '',
    geography       text NOT NULL DEFAULT '',
    billing         text NOT NULL DEFAULT '',
    currency        text NOT NULL DEFAULT '',
    value           numeric NOT NULL DEFAULT 0,
    value_reporting numeric,
    bill_on         date,
    test            boolean NOT NULL DEFAULT false,
    revision        bigint NOT NULL DEFAULT 0,
    received_at     timestamptz NOT NULL,
    signed_at       timestamptz,
    first_active_at timestamptz,
    active_at       timestamptz,
    project_ref     text,
    last_error      text,
    last_error_class text,
    updated_at      timestamptz NOT NULL,
    UNIQUE (source, external_id)
);
CREATE INDEX contract_due ON core.contract (lane, priority DESC, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX contract_leased ON core.contract (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX contract_writeback ON core.contract (source, writeback_at) WHERE writeback_at IS NOT NULL;
CREATE INDEX contract_by_state ON core.contract (state, state_since);
CREATE INDEX contract_by_signed ON core.contract (signed_at DESC NULLS LAST, contract_id DESC)
    INCLUDE (state, first_active_at, test);
CREATE INDEX contract_by_value ON core.contract (value_reporting DESC NULLS LAST, contract_id DESC);
CREATE INDEX contract_by_updated ON core.contract (updated_at DESC, contract_id DESC);
CREATE INDEX contract_by_external ON core.contract (external_id text_pattern_ops);
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX contract_search ON core.contract USING gin ((external_id || ' ' || title || ' ' || customer_name || ' ' || coalesce(project_ref, '')) gin_trgm_ops);

-- A running worker; its session advisory lock (class 7715, worker_id) says that it lives.
CREATE TABLE core.worker (
    worker_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    version         text NOT NULL,
    started_at      timestamptz NOT NULL,
    beat_at         timestamptz NOT NULL
);

-- One row per ERP: its breaker, its rate tokens. Slots are apart, so that leasing one locks no other.
CREATE TABLE core.lane (
    lane            text PRIMARY KEY,
    breaker         text NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'paused')),
    reason          text,
    failures        integer NOT NULL DEFAULT 0,
    opened_at       timestamptz,
    probe_at        timestamptz,
    prober          bigint,
    settle_s        double precision NOT NULL DEFAULT 0,
    max_in_flight   integer NOT NULL,
    requests_per_s  double precision,
    tokens          double precision NOT NULL DEFAULT 0,
    tokens_at       timestamptz
);
CREATE TABLE core.lane_slot (
    lane            text NOT NULL REFERENCES core.lane,
    slot            integer NOT NULL,
    worker_id       bigint,
    lease_until     timestamptz,
    PRIMARY KEY (lane, slot)
);
CREATE TABLE core.lane_demand (
    lane            text NOT NULL REFERENCES core.lane,
    worker_id       bigint NOT NULL,
    wanted          integer NOT NULL,
    lease_until     timestamptz NOT NULL,
    PRIMARY KEY (lane, worker_id)
);
CREATE TABLE core.lane_history (
    lane            text NOT NULL,
    breaker         text NOT NULL,
    reason          text,
    occurred_at     timestamptz NOT NULL
);

-- Which ERP object stands for which business key. `creating` is a reservation, committed before the send.
CREATE TABLE core.crosswalk (
    system          text NOT NULL,
    kind            text NOT NULL,
    business_key    text NOT NULL,
    state           text NOT NULL CHECK (state IN ('creating', 'confirmed', 'closed')),
    ref             text,
    contract_id     bigint,
    fields          jsonb,
    holder          bigint,
    holder_token    bigint,
    reserved_until  timestamptz,
    confirmed_at    timestamptz,
    PRIMARY KEY (system, kind, business_key)
);
CREATE INDEX crosswalk_of_contract ON core.crosswalk (contract_id) WHERE contract_id IS NOT NULL;

-- One reconciliation of one contract, and its operations. Insert-only.
CREATE TABLE core.run (
    run_id          uuid PRIMARY KEY,
    contract_id     bigint NOT NULL,
    rev             bigint NOT NULL,
    lane            text NOT NULL,
    worker_id       bigint,
    outcome         text NOT NULL,
    state           text NOT NULL,
    digest          text,
    correlation_id  text NOT NULL,
    trace_id        text,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    error_class     text,
    error           text,
    calls           jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX run_of_contract ON core.run (contract_id, started_at DESC);
CREATE TABLE core.operation (
    run_id          uuid NOT NULL,
    step            integer NOT NULL,
    contract_id     bigint NOT NULL,
    system          text NOT NULL,
    action          text NOT NULL,
    kind            text NOT NULL,
    business_key    text NOT NULL,
    ref             text,
    status          text NOT NULL,
    before          jsonb,
    after           jsonb,
    error_class     text,
    error           text,
    span_id         text,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL,
    PRIMARY KEY (run_id, step)
);
CREATE INDEX operation_of_contract ON core.operation (contract_id);

-- What a contract reached, and when: the facts of the business KPIs. Insert-only.
CREATE TABLE core.progress (
    contract_id     bigint NOT NULL,
    step            text NOT NULL,
    amendment       integer,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX progress_of_contract ON core.progress (contract_id, occurred_at);

-- A finance exception: one row per contract and cause, with its history insert-only beside it.
CREATE TABLE core.case (
    case_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id     bigint NOT NULL,
    cause           text NOT NULL,
    error_class     text NOT NULL,
    function        text NOT NULL,
    severity        text NOT NULL,
    message         text NOT NULL,
    detail          jsonb NOT NULL DEFAULT '{}',
    exposure        numeric NOT NULL DEFAULT 0,
    currency        text NOT NULL DEFAULT '',
    exposure_reporting numeric,
    bill_on         date,
    state           text NOT NULL CHECK (state IN ('open', 'resolved')),
    occurrences     integer NOT NULL DEFAULT 1,
    opened_at       timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,
    due_at          timestamptz,
    resolved_at     timestamptz,
    UNIQUE (contract_id, cause)
);
CREATE INDEX case_open ON core.case (function, opened_at) WHERE state = 'open';
CREATE TABLE core.case_history (
    case_id         bigint NOT NULL,
    what            text NOT NULL,
    function        text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX case_history_of_case ON core.case_history (case_id);

-- Invoices, payments and disputes as the ERPs report them; a changed status is a new row.
CREATE TABLE core.financial_fact (
    system          text NOT NULL,
    kind            text NOT NULL,
    ref             text NOT NULL,
    project_key     text NOT NULL,
    contract_id     bigint,
    invoice_ref     text,
    amount          numeric NOT NULL,
    currency        text NOT NULL,
    status          text NOT NULL,
    occurred_on     date NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (system, kind, ref, status)
);
CREATE INDEX financial_fact_of_contract ON core.financial_fact (contract_id);

-- Where each scheduled reader stands, and what each scheduled job did.
CREATE TABLE core.watermark (
    name            text PRIMARY KEY,
    value           text,
    updated_at      timestamptz NOT NULL
);
CREATE TABLE core.job_run (
    job             text NOT NULL,
    scheduled_for   timestamptz NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    outcome         text,
    detail          text,
    PRIMARY KEY (job, scheduled_for)
);
CREATE TABLE core.estate_version (
    digest          text PRIMARY KEY,
    body            text NOT NULL,
    activated_at    timestamptz NOT NULL
);

-- Who may look: one-time links and server-side sessions, by the hash of their secret.
CREATE TABLE core.login_link (
    token_hash      bytea PRIMARY KEY,
    email           text NOT NULL,
    roles           text[] NOT NULL,
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz
);
CREATE TABLE core.session (
    session_hash    bytea PRIMARY KEY,
    email           text NOT NULL,
    roles           text[] NOT NULL,
    created_at      timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    revoked_at      timestamptz
);
