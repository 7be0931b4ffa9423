-- Numbers and dates of stored events, as the models read them; null for what is neither. Never an error: one odd event
-- must not stop the measures of all contracts.
CREATE FUNCTION metrics.number(given text) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN given ~ '^\s*[-+]?[0-9.]{1,40}([eE][-+]?[0-9]{1,2})?\s*$' AND pg_input_is_valid(given, 'numeric')
                THEN CAST(given AS numeric) END
$$;
CREATE FUNCTION metrics.day(given text) RETURNS date LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN given ~ '^\d{4}-\d\d-\d\d' AND pg_input_is_valid(left(given, 10), 'date')
                THEN CAST(left(given, 10) AS date) END
$$;

-- Signed contracts that are not what their ERP holds, or that nobody is sure of: what stands apart, in money.
CREATE TABLE metrics.exposure_fact (
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    currency        text NOT NULL,
    test            boolean NOT NULL,
    unverified      boolean NOT NULL, -- a write was sent and got no answer
    provisioned     boolean NOT NULL, -- its ERP could bill it before
    state           text NOT NULL,    -- the engine's
    causes          text[] NOT NULL,  -- of its open exceptions
    since           timestamptz NOT NULL,
    since_work_s    bigint NOT NULL,
    target_value    numeric NOT NULL,
    erp_value       numeric NOT NULL,
    billed          numeric NOT NULL,
    value_gap       numeric NOT NULL, -- target - ERP
    rates_gross     numeric NOT NULL, -- of each rate, its distance times the hours that remain
    rates_net       numeric NOT NULL,
    blocked         numeric NOT NULL, -- what is unbilled, when something keeps all of it from being billed right
    settled         numeric,          -- what stands apart, where no bill day can make it more; null: it depends on the day
    first_due       date,
    due_on          date[] NOT NULL,  -- bill dates, ascending
    due_target      numeric[] NOT NULL, -- what should be billed until each
    due_net         numeric[] NOT NULL, -- that, less what the ERP would bill until then
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, known_from)
);
CREATE INDEX exposure_fact_latest ON metrics.exposure_fact (contract_id) WHERE known_to IS NULL;
-- The order of the rows behind the money that is stuck, of the latest; see metrics/exposures.py.
CREATE INDEX exposure_fact_largest ON metrics.exposure_fact (currency, settled DESC, contract_id DESC)
    WHERE known_to IS NULL AND settled <> 0 AND NOT test AND NOT unverified;
CREATE INDEX exposure_fact_unsettled ON metrics.exposure_fact (contract_id)
    WHERE known_to IS NULL AND settled IS NULL AND NOT test AND NOT unverified;
CREATE INDEX exposure_fact_past ON metrics.exposure_fact (known_to, known_from) WHERE known_to IS NOT NULL;

-- Signed, in the ERP, billed, paid: what is left of each contract, and whether something on record says why.
CREATE TABLE metrics.books_fact (
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    currency        text NOT NULL,
    test            boolean NOT NULL,
    signed          numeric NOT NULL,
    erp_value       numeric,          -- null: not in an ERP, or the ERP does not say
    billed          numeric NOT NULL,
    credited        numeric NOT NULL,
    paid            numeric NOT NULL,
    foreign_n       integer NOT NULL, -- invoices and payments in another currency, not in the sums
    remaining       numeric NOT NULL, -- what the ERP has left to bill
    explained       text NOT NULL,    -- ended, not_provisioned, on_its_way, not_reported; '' when nothing explains it
    gap             numeric NOT NULL, -- signed - (billed - credited + remaining)
    explained_amount numeric NOT NULL, -- the part of the gap that `explained` explains
    unexplained     numeric NOT NULL, -- the rest of it
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, known_from)
);
CREATE INDEX books_fact_latest ON metrics.books_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX books_fact_past ON metrics.books_fact (known_to, known_from) WHERE known_to IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON metrics.exposure_fact, metrics.books_fact TO %APP_ROLE%;
