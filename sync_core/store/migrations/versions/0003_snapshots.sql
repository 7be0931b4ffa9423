-- Weekly snapshots of the whole group: asked for, made by a worker, kept with their files, delivered.
CREATE TABLE metrics.snapshot (
    snapshot_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    week            date NOT NULL,            -- its Monday, in the group's zone
    asked_at        timestamptz NOT NULL,
    asked_by        text NOT NULL,
    scheduled       boolean NOT NULL DEFAULT false,
    wanted_as_of    timestamptz,              -- null: what is known when it is made
    state           text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'made', 'failed')),
    lease_until     timestamptz,              -- who makes it has it until then
    lease_token     bigint NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0,
    next_at         timestamptz,
    as_of           timestamptz,              -- of the refresh that it was made from
    data_as_of      timestamptz,
    restated_since  timestamptz,              -- as_of of the first snapshot of the week, where that is another
    made_at         timestamptz,
    release         text,
    manifest        jsonb,
    content_id      text,                     -- SHA-256 of the manifest's bytes
    headlines       jsonb,                    -- value, n and definition version of each measure
    location        text,                     -- where the command line wrote it; null: it is delivered
    error           text,
    CHECK (state <> 'made' OR (as_of IS NOT NULL AND manifest IS NOT NULL AND made_at IS NOT NULL))
);
-- One a week by the schedule, however many workers there are.
CREATE UNIQUE INDEX snapshot_scheduled ON metrics.snapshot (week) WHERE scheduled;
CREATE INDEX snapshot_by_week ON metrics.snapshot (week DESC, snapshot_id DESC);
CREATE INDEX snapshot_by_time ON metrics.snapshot (asked_at DESC, snapshot_id DESC);
CREATE INDEX snapshot_waiting ON metrics.snapshot (next_at) WHERE state = 'asked';

-- Files by what is in them: the same snapshot made again takes no room.
CREATE TABLE metrics.snapshot_body (
    sha256          text PRIMARY KEY,
    body            bytea NOT NULL
);
CREATE TABLE metrics.snapshot_file (
    snapshot_id     bigint NOT NULL REFERENCES metrics.snapshot,
    name            text NOT NULL,
    sha256          text NOT NULL REFERENCES metrics.snapshot_body,
    bytes           bigint NOT NULL,
    PRIMARY KEY (snapshot_id, name)
);

-- One row per target and content, so that nobody gets the same twice.
CREATE TABLE metrics.snapshot_delivery (
    target          text NOT NULL,            -- a URL of the estate, or mail:<variable>
    content_id      text NOT NULL,
    snapshot_id     bigint NOT NULL REFERENCES metrics.snapshot,
    attempts        integer NOT NULL DEFAULT 0,
    next_at         timestamptz,              -- null: delivered
    lease_until     timestamptz,
    lease_token     bigint NOT NULL DEFAULT 0,
    delivered_at    timestamptz,
    location        text,
    error           text,
    PRIMARY KEY (target, content_id)
);
CREATE INDEX snapshot_delivery_due ON metrics.snapshot_delivery (next_at) WHERE delivered_at IS NULL;
CREATE INDEX snapshot_delivery_of ON metrics.snapshot_delivery (snapshot_id);

GRANT SELECT, INSERT, UPDATE ON metrics.snapshot, metrics.snapshot_delivery TO %APP_ROLE%;
GRANT SELECT, INSERT ON metrics.snapshot_body, metrics.snapshot_file TO %APP_ROLE%;
