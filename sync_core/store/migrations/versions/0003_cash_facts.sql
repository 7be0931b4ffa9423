-- From signature to the first payment, version by version. Days are those of the legal entity's zone.
CREATE TABLE metrics.cash_fact (
    contract_id     bigint NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    test            boolean NOT NULL,
    stage           text NOT NULL,   -- the last of the stages reached: signed, active, invoiced, paid
    lost            boolean NOT NULL,-- ended before its first payment
    period          date NOT NULL,   -- Monday of the week of the signature in the group's zone
    signed_on       date NOT NULL,
    active_on       date,
    billable_on     date,            -- the first day on which something may be billed; known once it is active
    invoice_on      date,
    payment_on      date,
    touches         integer[] NOT NULL, -- manual ones: to active, to billable, to invoice, to payment
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, known_from)
);
CREATE INDEX cash_fact_latest ON metrics.cash_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX cash_fact_week ON metrics.cash_fact (period, legal_entity) WHERE known_to IS NULL;
CREATE INDEX cash_fact_past ON metrics.cash_fact (known_to, known_from) WHERE known_to IS NOT NULL;
-- The order of the rows behind a number, of the latest; metrics/walking.py reads the first of them.
CREATE INDEX cash_fact_slowest ON metrics.cash_fact (period, (payment_on - signed_on) DESC, contract_id DESC)
    WHERE known_to IS NULL AND NOT test AND NOT lost AND payment_on IS NOT NULL;
CREATE INDEX cash_fact_waiting ON metrics.cash_fact (period, signed_on, contract_id DESC)
    WHERE known_to IS NULL AND NOT test AND NOT lost AND payment_on IS NULL;
GRANT SELECT, INSERT, UPDATE ON metrics.cash_fact TO %APP_ROLE%;
