-- What each exception came to, and how long each function had it, version by version.
CREATE TABLE metrics.case_fact (
    case_id         bigint NOT NULL,
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    test            boolean NOT NULL,
    function        text NOT NULL,   -- that has it, or had it when it closed
    cause           text NOT NULL,
    error_class     text NOT NULL,
    severity        text NOT NULL,
    exposure        numeric NOT NULL,
    currency        text NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('open', 'resolved', 'decided')),
    closed_how      text NOT NULL,   -- read_back, checked, decision; '' while open
    period          date NOT NULL,   -- Monday of the week in which it opened first, in the group's zone
    opened_at       timestamptz NOT NULL, -- first
    closed_at       timestamptz,
    spent_s         bigint NOT NULL, -- sum of its ended open intervals
    spent_work_s    bigint NOT NULL, -- the same in the legal entity's working time
    open_since      timestamptz,     -- the present interval; null when closed
    open_since_work_s bigint,
    opened_work_s   bigint NOT NULL, -- metrics.worked when it opened first
    response_s      bigint,          -- to the first action of a person; null: none yet
    response_work_s bigint,
    hand_offs       integer NOT NULL,
    ping_pongs      integer NOT NULL,-- hand-offs back to the function it had come from
    reopened        integer NOT NULL,
    functions       text[] NOT NULL, -- one after the other
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (case_id, known_from)
);
CREATE INDEX case_fact_latest ON metrics.case_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX case_fact_open ON metrics.case_fact (opened_at, case_id DESC) WHERE known_to IS NULL AND outcome = 'open';
CREATE INDEX case_fact_week ON metrics.case_fact (period, legal_entity) WHERE known_to IS NULL;
CREATE INDEX case_fact_past ON metrics.case_fact (known_to, known_from) WHERE known_to IS NOT NULL;
-- The order of the rows behind a number, of the latest; metrics/walking.py reads the first of them.
CREATE INDEX case_fact_slowest ON metrics.case_fact (period, spent_work_s DESC, case_id DESC)
    WHERE known_to IS NULL AND outcome = 'resolved' AND NOT test;
CREATE INDEX case_fact_waiting
    ON metrics.case_fact (legal_entity, (spent_work_s - open_since_work_s) DESC, case_id DESC)
    INCLUDE (spent_work_s, open_since_work_s, contract_id, opened_at, period, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;

-- One row for an exception and each function that ever had it.
CREATE TABLE metrics.case_time_fact (
    case_id         bigint NOT NULL,
    function        text NOT NULL,
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    test            boolean NOT NULL,
    period          date NOT NULL,   -- of the exception
    spent_s         bigint NOT NULL, -- sum of the ended intervals that it had it
    spent_work_s    bigint NOT NULL,
    open_since      timestamptz,     -- null: it does not have it now
    open_since_work_s bigint,
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (case_id, function, known_from)
);
CREATE INDEX case_time_fact_latest ON metrics.case_time_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX case_time_fact_open ON metrics.case_time_fact (open_since) WHERE known_to IS NULL AND open_since IS NOT NULL;
CREATE INDEX case_time_fact_week ON metrics.case_time_fact (period, legal_entity) WHERE known_to IS NULL;
CREATE INDEX case_time_fact_past ON metrics.case_time_fact (known_to, known_from) WHERE known_to IS NOT NULL;

-- Signatures that nobody could read count as open from their receipt, and as closed once they are released.
CREATE INDEX quarantine_signature ON core.quarantine (recorded_at) WHERE signature;

GRANT SELECT, INSERT, UPDATE ON metrics.case_fact, metrics.case_time_fact TO %APP_ROLE%;
