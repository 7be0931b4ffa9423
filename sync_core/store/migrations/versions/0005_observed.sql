-- What would be done for contracts of an ERP that is only observed; gone once it was carried out, or is not needed.
CREATE TABLE core.observed (
    contract_id     bigint PRIMARY KEY,
    lane            text NOT NULL,
    words           text NOT NULL,
    plan            jsonb NOT NULL,
    findings        jsonb NOT NULL,
    observed_at     timestamptz NOT NULL
);
CREATE INDEX observed_by_lane ON core.observed (lane);
GRANT SELECT, INSERT, UPDATE, DELETE ON core.observed TO %APP_ROLE%;
