-- The refused batch that a contract was told of: in the next window it is asked again, whatever the ERP's clock says.
CREATE TABLE core.batch_refusal (
    contract_id     bigint PRIMARY KEY,
    lane            text NOT NULL,
    batch           text NOT NULL,
    told_at         timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON core.batch_refusal TO %APP_ROLE%;
