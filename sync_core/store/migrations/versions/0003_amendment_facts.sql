-- A moment as PostgreSQL reads it; null for what only other readers understand (a number of seconds), so that no event can
-- stop the measures.
CREATE FUNCTION metrics.moment_of(said text) RETURNS timestamptz LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN pg_input_is_valid($1, 'timestamptz') THEN CAST($1 AS timestamptz) END
$$;
-- Few contracts were ever amended or corrected: those that were are found without a look at the events of the others.
CREATE INDEX event_of_changed ON core.event (source, external_id)
    WHERE type IN ('com.tieline.contract.amended.v1', 'com.tieline.contract.corrected.v1');

-- How long each amendment was on its way from its execution to the ERP, version by version.
CREATE TABLE metrics.amendment_fact (
    contract_id     bigint NOT NULL,
    number          integer NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    currency        text NOT NULL,
    test            boolean NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('unsigned', 'open', 'synced', 'superseded', 'early')),
    period          date NOT NULL,   -- Monday of the week of the execution in the group's zone
    executed_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL, -- its first event
    effective_at    timestamptz,     -- begin of the day in the legal entity's zone
    retroactive     boolean NOT NULL,-- effective before the day of its execution
    done_at         timestamptz,     -- read back with everything that it changes
    waits           boolean NOT NULL,-- for an amendment before it that nobody has sent
    ordering_s      bigint,          -- until every amendment before it was there; null while it waits
    lag_s           bigint,          -- from the execution
    lag_work_s      bigint,          -- the same in the legal entity's working time
    own_work_s      bigint,          -- from the execution or the receipt, whichever was later
    executed_work_s bigint NOT NULL, -- metrics.worked at the execution, for the working age of an open one
    received_work_s bigint NOT NULL, -- the same at the later of execution and receipt
    billing_lag_s   bigint,          -- from the effective day, 0 when it was early; null without one
    exposure_s      bigint,          -- of a retroactive one: from its effective day
    in_time         boolean,         -- within one working day
    day_s           integer NOT NULL,-- that working day
    delta           numeric NOT NULL,-- of the contract's value
    bill_on         date,            -- the day by which it had to be done, as agreed when it came
    signed_on       date,            -- of its contract, in the group's zone
    stands          boolean NOT NULL DEFAULT true, -- no later signature of its contract is above it
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, number, known_from)
);
CREATE INDEX amendment_fact_latest ON metrics.amendment_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX amendment_fact_open ON metrics.amendment_fact (executed_at) WHERE known_to IS NULL AND outcome = 'open';
CREATE INDEX amendment_fact_week ON metrics.amendment_fact (period, legal_entity) WHERE known_to IS NULL;
CREATE INDEX amendment_fact_past ON metrics.amendment_fact (known_to, known_from) WHERE known_to IS NOT NULL;
-- The order of the rows behind a number, of the latest; metrics/walking.py reads the first of them.
CREATE INDEX amendment_fact_slowest
    ON metrics.amendment_fact (period, lag_work_s DESC, (contract_id * 100000 + number) DESC)
    WHERE known_to IS NULL AND outcome = 'synced' AND NOT test;
CREATE INDEX amendment_fact_waiting
    ON metrics.amendment_fact (legal_entity, (-executed_work_s) DESC, (contract_id * 100000 + number) DESC)
    INCLUDE (executed_work_s, contract_id, number, executed_at, period, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;
GRANT SELECT, INSERT, UPDATE ON metrics.amendment_fact TO %APP_ROLE%;
