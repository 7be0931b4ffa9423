-- A suspended contract bills nothing, as agreed: its ERP was read back and holds it so.
ALTER TABLE core.contract
    DROP CONSTRAINT contract_state_check,
    ADD CONSTRAINT contract_state_check
        CHECK (state IN ('draft', 'waiting', 'blocked', 'active', 'suspended', 'ended', 'set_aside'));

-- What its lifecycle shows, as the last run folded it (sync_core/life_row.py). `renewal` NULL: no run has said it yet;
-- '': nothing is to be renewed. `renewal_due`: by when somebody has to act, the notice date or else the renewal itself.
ALTER TABLE core.contract
    ADD COLUMN renewal      text,
    ADD COLUMN renews_on    date,
    ADD COLUMN notice_by    date,
    ADD COLUMN renewal_due  date,
    ADD COLUMN suspension   text NOT NULL DEFAULT '';
CREATE INDEX contract_renewal ON core.contract (renewal_due, contract_id)
    WHERE renewal_due IS NOT NULL AND state NOT IN ('draft', 'ended');
CREATE INDEX contract_renewal_unknown ON core.contract (contract_id) WHERE renewal IS NULL AND signed_at IS NOT NULL;

-- Each alert once: of one notice date, so many days ahead.
CREATE TABLE core.renewal_alert (
    contract_id  bigint NOT NULL REFERENCES core.contract,
    notice_by    date NOT NULL,
    days_ahead   int NOT NULL CHECK (days_ahead > 0),
    alerted_at   timestamptz NOT NULL,
    PRIMARY KEY (contract_id, notice_by, days_ahead)
);
GRANT SELECT, INSERT ON core.renewal_alert TO %APP_ROLE%;
