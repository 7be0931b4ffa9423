-- A replay: a frozen list of contracts, what carrying it out would change, who confirmed that, and what came of it.
CREATE TABLE core.replay (
    replay_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    title           text NOT NULL,
    origin          text NOT NULL CHECK (origin IN ('current', 'original')),
    selection       jsonb NOT NULL,
    lane            text,
    entities        text[] NOT NULL,
    items           integer NOT NULL,
    state           text NOT NULL CHECK (state IN ('previewing', 'previewed', 'awaiting_approval', 'running', 'paused',
                                                   'cancelled', 'finished', 'refused')),
    offered_from    bigint REFERENCES core.replay,
    per_minute      integer NOT NULL,
    tokens          double precision NOT NULL DEFAULT 0,
    tokens_at       timestamptz,
    reason          text NOT NULL DEFAULT '',
    ticket          text NOT NULL DEFAULT '',
    confirmed_by    text,
    confirmed_at    timestamptz,
    needs_approval  boolean NOT NULL DEFAULT false,
    approval_why    text NOT NULL DEFAULT '',
    approved_by     text,
    approved_at     timestamptz,
    approval_reason text NOT NULL DEFAULT '',
    ended_by        text,
    result          jsonb,
    finished_at     timestamptz,
    version         integer NOT NULL DEFAULT 1
);
CREATE INDEX replay_by_time ON core.replay (created_at DESC, replay_id DESC);
CREATE INDEX replay_open ON core.replay (replay_id) WHERE finished_at IS NULL;

-- One contract of a replay. `was` is what its row said when it was dispatched; `in_hand` and `sent` say whether a try
-- may have written, `touched` whether one before the present one may have.
CREATE TABLE core.replay_item (
    item_id         bigint GENERATED ALWAYS AS IDENTITY,
    replay_id       bigint NOT NULL REFERENCES core.replay,
    contract_id     bigint NOT NULL,
    position        integer NOT NULL,
    eligibility     text NOT NULL CHECK (eligibility IN ('eligible', 'already_confirmed', 'superseded', 'blocked')),
    eligibility_why text NOT NULL DEFAULT '',
    preview         text NOT NULL CHECK (preview IN ('none', 'pending', 'done', 'failed')),
    preview_why     text NOT NULL DEFAULT '',
    preview_worker  bigint,
    preview_token   bigint NOT NULL DEFAULT 0,
    preview_until   timestamptz,
    preview_due_at  timestamptz NOT NULL,
    preview_tries   integer NOT NULL DEFAULT 0,
    previewed_at    timestamptz,
    lane            text NOT NULL DEFAULT '',
    plan            jsonb,
    findings        jsonb NOT NULL DEFAULT '[]',
    digest          text,
    creates         integer NOT NULL DEFAULT 0,
    updates         integer NOT NULL DEFAULT 0,
    activates       integer NOT NULL DEFAULT 0,
    closes          integer NOT NULL DEFAULT 0,
    no_ops          integer NOT NULL DEFAULT 0,
    conflicts       integer NOT NULL DEFAULT 0,
    money           numeric NOT NULL DEFAULT 0,
    currency        text NOT NULL DEFAULT '',
    money_reporting numeric,
    bill_on         date,
    confirmed       boolean NOT NULL DEFAULT false,
    state           text NOT NULL CHECK (state IN ('pending', 'verified', 'mismatch', 'failed', 'unverifiable',
                                                   'skipped', 'cancelled')),
    skip            text NOT NULL DEFAULT '' CHECK (skip IN ('', 'not_eligible', 'not_chosen', 'not_previewed', 'stopped',
                                                             'superseded', 'changed')),
    words           text NOT NULL DEFAULT '',
    dispatched_at   timestamptz,
    was             jsonb,
    tries           integer NOT NULL DEFAULT 0,
    in_hand         boolean NOT NULL DEFAULT false,
    sent            boolean NOT NULL DEFAULT false,
    touched         boolean NOT NULL DEFAULT false,
    run_id          uuid,
    finished_at     timestamptz,
    PRIMARY KEY (replay_id, contract_id)
);
CREATE INDEX replay_item_in_order ON core.replay_item (replay_id, position, item_id);
CREATE INDEX replay_item_to_preview ON core.replay_item (replay_id, position)
    WHERE preview = 'pending' AND state = 'pending';
CREATE INDEX replay_item_previewing ON core.replay_item (preview_worker) WHERE preview_worker IS NOT NULL;
CREATE INDEX replay_item_to_dispatch ON core.replay_item (replay_id, position)
    WHERE confirmed AND state = 'pending' AND dispatched_at IS NULL;
-- Is anything left of a replay? Single items are looked up by the primary key, see sync_core/replay_sql.py.
CREATE INDEX replay_item_unfinished ON core.replay_item (replay_id) WHERE state = 'pending';
-- A contract has one confirmed item at a time, whoever confirms what.
CREATE UNIQUE INDEX replay_item_open ON core.replay_item (contract_id) WHERE confirmed AND state = 'pending';
CREATE INDEX replay_item_of_contract ON core.replay_item (contract_id, replay_id);

-- Marks a contract that was dispatched: its next run carries the item.
ALTER TABLE core.contract ADD COLUMN replay_id bigint;
CREATE INDEX contract_replayed ON core.contract (replay_id) WHERE replay_id IS NOT NULL;
-- What an ERP was told since a moment: runs are inserted in the order of time, so a few pages of index will do.
CREATE INDEX run_recorded ON core.run USING brin (recorded_at);

GRANT SELECT, INSERT, UPDATE ON core.replay, core.replay_item TO %APP_ROLE%;
