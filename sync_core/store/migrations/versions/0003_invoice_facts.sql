-- What only people report of a dispute: whose invoice it is about, and why. Both null for what an ERP reports of its own.
ALTER TABLE core.financial_fact
    ADD COLUMN of_system text,
    ADD COLUMN cause text;

-- Each invoice with its disputes, version by version.
CREATE TABLE metrics.invoice_fact (
    invoice_id      bigint GENERATED ALWAYS AS IDENTITY,  -- of the version, to page by
    contract_id     bigint NOT NULL,
    system          text NOT NULL,
    ref             text NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    test            boolean NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('invoice', 'credit_note', 'rebill', 'draft', 'cancelled', 'unknown')),
    status          text NOT NULL,   -- the latest, in the ERP's words
    currency        text NOT NULL,
    amount          numeric NOT NULL,
    issued_on       date NOT NULL,   -- of an unknown invoice: when it was disputed
    period          date NOT NULL,   -- Monday of the week of issue
    month           smallint NOT NULL, -- of issue, counted from January 2000
    disputes        integer NOT NULL,-- raised within 60 days of issue
    disputed        numeric NOT NULL,-- their amounts, at most the invoice's
    dispute_state   text NOT NULL CHECK (dispute_state IN ('', 'open', 'upheld', 'settled', 'withdrawn')),
    raised_on       date,            -- the first of them
    late            boolean NOT NULL,-- disputed, but later than 60 days after issue only
    cause           text NOT NULL,   -- as it was reported; '' when nobody did
    sync_cause      text NOT NULL,   -- proven mismatch between contract and ERP on the day of issue; '' without
    credited        numeric NOT NULL,
    paid            numeric NOT NULL,
    paid_on         date,
    foreign_disputes integer NOT NULL, -- in another currency than the invoice: in no amount
    foreign_payments integer NOT NULL,
    known_from      timestamptz NOT NULL,
    known_to        timestamptz,
    PRIMARY KEY (contract_id, system, ref, known_from)
);
CREATE INDEX invoice_fact_latest ON metrics.invoice_fact (contract_id) WHERE known_to IS NULL;
CREATE INDEX invoice_fact_issued ON metrics.invoice_fact (issued_on)
    WHERE known_to IS NULL AND kind = 'invoice' AND NOT test;
CREATE INDEX invoice_fact_disputed ON metrics.invoice_fact (issued_on)
    INCLUDE (invoice_id, contract_id, currency, disputed, legal_entity, service_line, geography, billing)
    WHERE known_to IS NULL AND disputes > 0 AND kind = 'invoice' AND NOT test;
CREATE INDEX invoice_fact_week ON metrics.invoice_fact (period) WHERE known_to IS NULL;
CREATE INDEX invoice_fact_past ON metrics.invoice_fact (known_to, known_from) WHERE known_to IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON metrics.invoice_fact TO %APP_ROLE%;
