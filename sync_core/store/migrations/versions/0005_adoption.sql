-- What an ERP held before Tieline came, by contract: whose it is, or that nobody could tell. `refs`: the ERP's ids by
-- kind and business key. `taken_at`: the ERP knows it by our key now, so that any run finds it.
CREATE TABLE core.adoption (
    contract_id     bigint PRIMARY KEY,
    lane            text NOT NULL,
    result          text NOT NULL CHECK (result IN ('matched', 'unmatched', 'ambiguous')),
    words           text NOT NULL,
    refs            jsonb NOT NULL DEFAULT '[]',
    decided_by      text NOT NULL,
    decided_at      timestamptz NOT NULL,
    taken_at        timestamptz
);
GRANT SELECT, INSERT, UPDATE ON core.adoption TO %APP_ROLE%;
