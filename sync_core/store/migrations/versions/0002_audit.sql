-- What people and programs did. `detail` is text, not jsonb: the hash covers its very bytes.
CREATE TABLE core.audit (
    id              bigint PRIMARY KEY,
    occurred_at     timestamptz NOT NULL,
    actor           text NOT NULL,
    actor_kind      text NOT NULL,
    roles           text NOT NULL,
    action          text NOT NULL,
    subject         text NOT NULL,
    reason          text NOT NULL,
    contract_id     bigint,
    legal_entity    text,
    correlation_id  text NOT NULL,
    detail          text NOT NULL,
    items           integer NOT NULL,
    items_root      bytea,
    previous        bytea NOT NULL,
    hash            bytea NOT NULL
);
-- Lists are read newest first; each filter that can meet few rows has an index in that order.
CREATE INDEX audit_by_time ON core.audit (occurred_at DESC, id DESC);
CREATE INDEX audit_of_contract ON core.audit (contract_id, occurred_at DESC, id DESC) WHERE contract_id IS NOT NULL;
CREATE INDEX audit_of_entity ON core.audit (legal_entity, occurred_at DESC, id DESC) WHERE legal_entity IS NOT NULL;
CREATE INDEX audit_by_actor ON core.audit (actor, occurred_at DESC, id DESC);
CREATE INDEX audit_by_action ON core.audit (action text_pattern_ops, occurred_at DESC, id DESC);
CREATE INDEX audit_by_subject ON core.audit (subject text_pattern_ops, occurred_at DESC, id DESC);
CREATE INDEX audit_search ON core.audit USING gin ((actor || ' ' || action || ' ' || subject || ' ' || reason) gin_trgm_ops);

-- The last row's id and hash: one row, locked last by every command.
CREATE TABLE core.audit_head (
    single          boolean PRIMARY KEY DEFAULT true CHECK (single),
    id              bigint NOT NULL,
    hash            bytea NOT NULL
);
INSERT INTO core.audit_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- Contracts whose records must be kept whatever retention says.
CREATE TABLE core.legal_hold (
    hold_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id     bigint NOT NULL,
    reason          text NOT NULL,
    placed_by       text NOT NULL,
    placed_at       timestamptz NOT NULL,
    released_by     text,
    released_at     timestamptz
);
CREATE UNIQUE INDEX legal_hold_in_force ON core.legal_hold (contract_id) WHERE released_at IS NULL;
CREATE INDEX legal_hold_by_time ON core.legal_hold (placed_at DESC, hold_id DESC);
-- Retention takes what ended before a day.
CREATE INDEX contract_ended ON core.contract (state_since, contract_id) WHERE state = 'ended';

-- First answers of requests with an Idempotency-Key.
CREATE TABLE core.idempotency (
    actor           text NOT NULL,
    key             text NOT NULL,
    fingerprint     bytea NOT NULL,
    answer          bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_by_age ON core.idempotency (created_at);

GRANT SELECT, INSERT ON core.audit TO %APP_ROLE%;
GRANT SELECT, UPDATE ON core.audit_head TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE ON core.legal_hold TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.idempotency TO %APP_ROLE%;
