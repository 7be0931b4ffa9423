-- Which release each system ran, and from when to when it was seen: what charts over time are annotated with.
CREATE TABLE core.release (
    release_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system          text NOT NULL,            -- tieline, postgresql, erp:<name>, clm:<name>
    version         text NOT NULL,
    first_seen_at   timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL CHECK (last_seen_at >= first_seen_at)
);
CREATE INDEX release_of_system ON core.release (system, last_seen_at DESC);
CREATE INDEX release_by_time ON core.release (first_seen_at DESC, release_id DESC);
GRANT SELECT, INSERT, UPDATE ON core.release TO %APP_ROLE%;
