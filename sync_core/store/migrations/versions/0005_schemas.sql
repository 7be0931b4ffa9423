-- Schema governance. An event is stored in the form that the core reads; what was sent stands beside it where it differs.
ALTER TABLE core.event ADD COLUMN sent_type text, ADD COLUMN sent jsonb;
CREATE INDEX event_by_sent_type ON core.event (coalesce(sent_type, type), seq);

-- Versions of events that were registered while Tieline runs. One of a type is in force; the others are its history.
CREATE TABLE core.schema_registration (
    registration_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type             text NOT NULL,
    body             jsonb NOT NULL,             -- JSON Schema of the data
    reads_as         text NOT NULL,              -- the type that the core reads in its place
    renames          jsonb NOT NULL,             -- [[their field, ours]], carried out in this order
    reason           text NOT NULL,
    registered_at    timestamptz NOT NULL,
    registered_by    text NOT NULL,
    withdrawn_at     timestamptz,
    withdrawn_by     text,
    withdrawn_reason text,
    version          integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX schema_in_force ON core.schema_registration (type) WHERE withdrawn_at IS NULL;

-- How often each client sent each version, by day. Counted from the events behind a watermark, not at the door.
CREATE TABLE core.schema_usage (
    type         text NOT NULL,                  -- as it was sent
    source       text NOT NULL,
    received_by  text NOT NULL,
    used_on      date NOT NULL,                  -- UTC
    events       bigint NOT NULL,
    last_at      timestamptz NOT NULL,
    PRIMARY KEY (type, source, received_by, used_on)
);

-- Fields that came in and that nobody here knows: kept with their events, told once, until somebody has looked.
CREATE TABLE core.schema_drift (
    drift_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text NOT NULL,
    type            text NOT NULL,
    path            text NOT NULL,
    shape           text NOT NULL,               -- JSON type of the first value that was seen
    events          bigint NOT NULL,
    first_seen_at   timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledged_as text,                        -- why, in the words of who did it
    version         integer NOT NULL DEFAULT 1,
    UNIQUE (source, type, path)
);
CREATE INDEX schema_drift_open ON core.schema_drift (first_seen_at) WHERE acknowledged_at IS NULL;

-- What each connector needs of its ERP's answers, and whether the last look found it there.
CREATE TABLE core.connector_check (
    lane        text PRIMARY KEY,
    api         text NOT NULL,                   -- versions of the ERP's interface that the connector was built for
    needs       jsonb NOT NULL,                  -- {record: [field]}
    checked_at  timestamptz NOT NULL,
    problem     text                             -- null: all of it is there
);
GRANT SELECT, INSERT, UPDATE ON core.schema_registration, core.schema_usage, core.schema_drift, core.connector_check
    TO %APP_ROLE%;
