-- What each contract came to on its way from signature to billable, version by version.
CREATE TABLE metrics.contract_fact (
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    currency        text NOT NULL,
    value           numeric NOT NULL,
    test            boolean NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('unsigned', 'open', 'provisioned', 'cancelled', 'before_signature')),
    step            text NOT NULL,   -- the last of signed, captured, validated, project_created, billing_set_up, active
    state           text NOT NULL,   -- the engine's
    period          date,            -- Monday of the week of the signature in the group's zone
    signed_at       timestamptz,
    captured_at     timestamptz,
    validated_at    timestamptz,
    project_at      timestamptz,
    billing_at      timestamptz,
    active_at       timestamptz,     -- the first read-back of everything
    stable_at       timestamptz,     -- the first read-back that nothing stopped within seven days, as far as is known
    ended_at        timestamptz,     -- cancelled before it was active
    cycle_s         bigint,          -- to active or to the end; null while open
    cycle_work_s    bigint,          -- the same in the legal entity's working time
    signed_work_s   bigint,          -- metrics.worked at the signature, for the working age of an open one
    stable_work_s   bigint,          -- the working time to it
    steps_s         bigint[],        -- from each step to the next: captured, validated, project, billing, active
    steps_work_s    bigint[],        -- the same in working time
    step_at         timestamptz,     -- when it reached its last step
    step_work_s     bigint,          -- metrics.worked then, for the working age of an open one
    touches         text[] NOT NULL, -- kinds of manual touches between receipt and read-back
    corrected_at    timestamptz,     -- first manual correction within 30 days after it was active
    amended         boolean NOT NULL,-- amended before it was active
    reopened        boolean NOT NULL,-- stopped again within seven days after it was active
    bill_on         date,
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, known_from)
);
CREATE INDEX contract_fact_latest ON metrics.contract_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX contract_fact_open ON metrics.contract_fact (signed_at) WHERE known_to IS NULL AND outcome = 'open';
CREATE INDEX contract_fact_unstable ON metrics.contract_fact (signed_at)
    WHERE known_to IS NULL AND reopened AND stable_at IS NULL;
CREATE INDEX contract_fact_week ON metrics.contract_fact (period, legal_entity) WHERE known_to IS NULL;
CREATE INDEX contract_fact_past ON metrics.contract_fact (known_to, known_from) WHERE known_to IS NOT NULL;
-- The order of the rows behind a number, of the latest; metrics/walking.py reads the first of them.
CREATE INDEX contract_fact_slowest ON metrics.contract_fact (period, cycle_work_s DESC, contract_id DESC)
    WHERE known_to IS NULL AND outcome = 'provisioned' AND NOT test;
CREATE INDEX contract_fact_waiting ON metrics.contract_fact (legal_entity, (-signed_work_s) DESC, contract_id DESC)
    INCLUDE (signed_work_s, signed_at, period, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;
CREATE INDEX contract_fact_in_step ON metrics.contract_fact (legal_entity, (-step_work_s) DESC, contract_id DESC)
    INCLUDE (step_work_s, signed_at, period, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;
CREATE INDEX contract_fact_newest ON metrics.contract_fact (signed_at DESC, contract_id DESC)
    WHERE known_to IS NULL AND outcome IN ('open', 'provisioned') AND NOT test;
GRANT SELECT, INSERT, UPDATE ON metrics.contract_fact TO %APP_ROLE%;
