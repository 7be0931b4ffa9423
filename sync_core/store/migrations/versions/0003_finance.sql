-- What finance states and no system reports: exchange rates, the baseline from before go-live, assumptions. Insert-only:
-- a later row replaces an earlier one of the same key from the refresh on that takes it in, which writes `known_from`.
CREATE TABLE metrics.exchange_rate (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency        text NOT NULL,
    valid_on        date NOT NULL,            -- from this day on, until the next
    rate            numeric NOT NULL CHECK (rate > 0),  -- one unit of it in `reporting`
    reporting       text NOT NULL,            -- the group's reporting currency then; rates to another one are not used
    recorded_at     timestamptz NOT NULL,
    recorded_by     text NOT NULL,            -- 'estate' for those of the estate file
    batch           text NOT NULL,            -- digest of the import
    known_from      timestamptz               -- null until a refresh has taken it in
);
CREATE INDEX exchange_rate_key ON metrics.exchange_rate (reporting, currency, valid_on DESC, seq DESC);
CREATE INDEX exchange_rate_new ON metrics.exchange_rate (seq) WHERE known_from IS NULL;

CREATE TABLE metrics.stated_value (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('baseline', 'assumption')),
    name            text NOT NULL,
    value           numeric NOT NULL,
    reason          text NOT NULL,            -- where the number comes from
    recorded_at     timestamptz NOT NULL,
    recorded_by     text NOT NULL,
    batch           text NOT NULL,
    known_from      timestamptz
);
CREATE INDEX stated_value_key ON metrics.stated_value (kind, name, seq DESC);
CREATE INDEX stated_value_new ON metrics.stated_value (seq) WHERE known_from IS NULL;

-- Files that were imported, by the digest of their rows.
CREATE TABLE metrics.import (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL,
    digest          text NOT NULL,
    rows            integer NOT NULL,
    stored          integer NOT NULL,         -- those that said something new
    recorded_at     timestamptz NOT NULL,
    recorded_by     text NOT NULL
);
CREATE INDEX import_digest ON metrics.import (kind, digest, seq);

GRANT SELECT, INSERT ON metrics.exchange_rate, metrics.stated_value, metrics.import TO %APP_ROLE%;
GRANT UPDATE (known_from) ON metrics.exchange_rate, metrics.stated_value TO %APP_ROLE%;
