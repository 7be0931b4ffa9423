-- What each contract was to bill in a month, by the schedule that was in force when the month began.
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
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, month, known_from)
);
CREATE INDEX schedule_fact_latest ON metrics.schedule_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX schedule_fact_month ON metrics.schedule_fact (month) WHERE known_to IS NULL;
CREATE INDEX schedule_fact_past ON metrics.schedule_fact (known_from, known_to) WHERE known_to IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON metrics.schedule_fact TO %APP_ROLE%;
