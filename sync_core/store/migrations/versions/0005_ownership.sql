-- Whose word counts. `agreed`: where an ERP holds what nobody agreed to, the values that were agreed before, by field;
-- null in the rule. `kept`: by field, [the contract's value, the ERP's], of which a person said that ours is written.
ALTER TABLE core.crosswalk ADD COLUMN agreed jsonb, ADD COLUMN kept jsonb;

-- What systems that own fields say otherwise than the contract, by the contract's name of the field; its CLM is told.
ALTER TABLE core.contract ADD COLUMN held_values jsonb;

-- What each contract's CLM was told last.
CREATE TABLE core.told (
    contract_id     bigint PRIMARY KEY,
    told_at         timestamptz NOT NULL,
    said            jsonb NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON core.told TO %APP_ROLE%;
