-- Which contracts are compared with CLM and ERP when nothing happens to them: the oldest comparison first.
CREATE TABLE core.drift_check (
    contract_id     bigint PRIMARY KEY,
    lane            text NOT NULL,
    checked_at      timestamptz,               -- NULL: never yet
    asked_at        timestamptz,               -- somebody wants it compared now
    outcome         text NOT NULL DEFAULT '' CHECK (outcome IN ('', 'same', 'differs', 'unread', 'busy')),
    words           text NOT NULL DEFAULT ''
);
CREATE INDEX drift_check_next ON core.drift_check (lane, checked_at NULLS FIRST);
CREATE INDEX drift_check_asked ON core.drift_check (lane, asked_at) WHERE asked_at IS NOT NULL;

-- Each difference from when it was first seen until a comparison no longer found it.
CREATE TABLE core.drift (
    drift_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contract_id     bigint NOT NULL,
    system          text NOT NULL,
    kind            text NOT NULL,
    business_key    text NOT NULL,
    field           text NOT NULL,             -- '': the whole object
    ours            text,
    theirs          text,
    stands          text NOT NULL CHECK (stands IN ('ours', 'owner', 'allowed')),
    function        text,
    words           text NOT NULL DEFAULT '',
    first_seen_at   timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    closed_at       timestamptz
);
CREATE UNIQUE INDEX drift_open ON core.drift (contract_id, system, kind, business_key, field) WHERE closed_at IS NULL;
CREATE INDEX drift_to_mend ON core.drift (contract_id) WHERE closed_at IS NULL AND stands <> 'allowed';
CREATE INDEX drift_by_seen ON core.drift (first_seen_at DESC, drift_id DESC);
CREATE INDEX drift_open_by_seen ON core.drift (first_seen_at DESC, drift_id DESC) WHERE closed_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.drift_check, core.drift TO %APP_ROLE%;
