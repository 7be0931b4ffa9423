-- What each contract was to bill in a month, by the schedule that was in force when the month began, and what it billed.
CREATE TABLE metrics.schedule_fact (
    contract_id     bigint NOT NULL,
    month           date NOT NULL,   -- its first day
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    test            boolean NOT NULL,
    currency        text NOT NULL,
    milestones      integer NOT NULL,
    amount          numeric NOT NULL,
    billed          numeric NOT NULL,
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, month, currency, known_from)
);
CREATE INDEX schedule_fact_latest ON metrics.schedule_fact (contract_id) WHERE known_to IS NULL;
-- The order of the rows behind the forecasts' error, of the latest; see metrics/walking.py.
CREATE INDEX schedule_fact_error
    ON metrics.schedule_fact (month, currency, abs(amount - billed) DESC, contract_id DESC)
    WHERE known_to IS NULL;
CREATE INDEX schedule_fact_past ON metrics.schedule_fact (known_to, known_from) WHERE known_to IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON metrics.schedule_fact TO %APP_ROLE%;
