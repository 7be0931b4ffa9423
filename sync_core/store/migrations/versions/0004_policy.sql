-- Which policy was in force when, and under which one each run was made. `version` is that of runs: it covers the
-- estate's rules and the policy file's. A row for each change, also back to an earlier version; the texts stay.
CREATE TABLE core.policy (
    policy_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version       text NOT NULL,
    body          text NOT NULL,
    estate        text NOT NULL REFERENCES core.estate_version (digest),
    activated_at  timestamptz NOT NULL,
    activated_by  text NOT NULL
);
ALTER TABLE core.run ADD COLUMN policy text;
GRANT SELECT, INSERT ON core.policy TO %APP_ROLE%;
