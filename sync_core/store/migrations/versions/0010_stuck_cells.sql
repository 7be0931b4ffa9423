-- What is stuck, added up by each refresh as of its end; metrics/stuck_cells.py says how. Sums of money are in `currency`,
-- in major units, those ending in _worth in the group's reporting currency.
CREATE TABLE metrics.stuck_cell (
    legal_entity    text NOT NULL,
    test            boolean NOT NULL,
    unverified      boolean NOT NULL,
    cause           text NOT NULL,
    currency        text NOT NULL,
    age             smallint NOT NULL,  -- 0: for less than a working day, 1: for less than three, 2
    day_s           bigint NOT NULL,    -- seconds of a working day
    contracts       bigint NOT NULL,
    stuck           bigint NOT NULL,    -- of them, those of which money differs
    gross           numeric NOT NULL,
    net             numeric NOT NULL,
    misses          numeric NOT NULL,
    gross_s         numeric NOT NULL,   -- money times working seconds
    gross_worth     numeric,            -- null: no exchange rate
    net_worth       numeric,
    misses_worth    numeric,
    oldest          timestamptz,
    PRIMARY KEY (legal_entity, test, unverified, cause, currency, age, day_s)
);
-- A digest of the statement and of what the estate said when it was added up; null: it was not.
ALTER TABLE metrics.refresh ADD COLUMN stuck_by text;

GRANT SELECT, INSERT, DELETE ON metrics.stuck_cell TO %APP_ROLE%;
