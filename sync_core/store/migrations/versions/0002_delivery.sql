-- Outgoing events are made from facts that are committed, read by the id of their transaction: no fact that a slow
-- transaction commits late is passed over.
ALTER TABLE core.lane_history ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE core.quarantine ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX progress_by_xid ON core.progress (recorded_xid) WHERE step IN ('active', 'blocked', 'unblocked', 'ended');
CREATE INDEX case_history_by_xid ON core.case_history (recorded_xid)
    WHERE what IN ('opened', 'reopened', 'resolved', 'decided', 'refused', 'handed_over');
CREATE INDEX financial_fact_by_xid ON core.financial_fact (recorded_xid);
CREATE INDEX quarantine_by_xid ON core.quarantine (recorded_xid);
CREATE INDEX lane_history_by_xid ON core.lane_history (recorded_xid);
-- Exceptions whose time is up, found without a look at the others.
CREATE INDEX case_open_due ON core.case (due_at) WHERE state = 'open' AND due_at IS NOT NULL;

-- What is told to others. Written under one lock until the commit, so `seq` is the order in which rows come to be seen.
-- legal_entity: a code; '*' is of nobody in particular, so for everyone; null is of several or an unknown one, so only
-- for those without a limit. addressee: null is everyone.
CREATE TABLE core.outgoing (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text NOT NULL UNIQUE,
    type            text NOT NULL,
    subject         text NOT NULL,
    addressee       text,
    contract_id     bigint,
    legal_entity    text,
    function        text,
    severity        text NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    data            jsonb NOT NULL
);
CREATE INDEX outgoing_of_contract ON core.outgoing (contract_id, seq) WHERE contract_id IS NOT NULL;
CREATE INDEX outgoing_by_time ON core.outgoing (recorded_at, seq);
CREATE INDEX outgoing_by_type ON core.outgoing (type, seq);

-- Where each subscriber of the estate stands. Whoever raises lease_token takes it away from who had it.
CREATE TABLE core.subscriber (
    name            text PRIMARY KEY,
    sent_seq        bigint NOT NULL,
    failures        integer NOT NULL DEFAULT 0,
    next_at         timestamptz,
    last_error      text,
    last_error_at   timestamptz,
    last_ok_at      timestamptz,
    paused_by       text,
    paused_at       timestamptz,
    pause_reason    text,
    lease_until     timestamptz,
    lease_token     bigint NOT NULL DEFAULT 0,
    version         integer NOT NULL DEFAULT 1
);

-- Where each notification rule stands: what cannot wait has a place of its own before the digest.
CREATE TABLE core.notice (
    name            text PRIMARY KEY,
    digest_seq      bigint NOT NULL,
    urgent_seq      bigint NOT NULL,
    urgent_at       timestamptz,
    failures        integer NOT NULL DEFAULT 0,
    next_at         timestamptz,
    last_error      text,
    last_ok_at      timestamptz,
    lease_until     timestamptz,
    lease_token     bigint NOT NULL DEFAULT 0
);
-- What a rule has told of, so that it does not repeat itself.
CREATE TABLE core.notice_told (
    name            text NOT NULL,
    about           text NOT NULL,
    type            text NOT NULL,
    severity        text NOT NULL,
    told_at         timestamptz NOT NULL,
    PRIMARY KEY (name, about)
);
CREATE INDEX notice_told_by_time ON core.notice_told (told_at);

GRANT SELECT, INSERT, DELETE ON core.outgoing TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.subscriber, core.notice, core.notice_told TO %APP_ROLE%;
