-- Policies that somebody wants in force. What each would change was worked out when it was proposed, against `before`.
CREATE TABLE core.policy_proposal (
    proposal_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version         text NOT NULL,             -- as runs will name it
    body            text NOT NULL,
    before          text NOT NULL,             -- the version in force when it was proposed
    reason          text NOT NULL,
    proposed_by     text NOT NULL,
    proposed_at     timestamptz NOT NULL,
    tested_since    timestamptz NOT NULL,      -- of contracts signed since then
    tested          integer NOT NULL,
    unreadable      integer NOT NULL,          -- contracts of which nothing can be said
    changed         bigint[] NOT NULL,         -- contracts that would be decided on differently
    effects         jsonb NOT NULL,            -- how many changes of each kind
    money           numeric,                   -- value of the changed ones, in the reporting currency
    second_person   text NOT NULL DEFAULT '',  -- why one is needed; '' is nobody
    state           text NOT NULL CHECK (state IN ('proposed', 'activated', 'refused')),
    decided_by      text,
    decided_at      timestamptz,
    decided_reason  text,
    row_version     integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX policy_proposed ON core.policy_proposal (state) WHERE state = 'proposed';
ALTER TABLE core.policy
    ADD COLUMN proposal_id bigint REFERENCES core.policy_proposal,  -- null: of the file that a worker started with
    ADD COLUMN woken_at timestamptz;           -- when what it decides differently was made due by a worker under it
CREATE INDEX policy_activated ON core.policy (policy_id DESC) WHERE proposal_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON core.policy_proposal TO %APP_ROLE%;
GRANT UPDATE (woken_at) ON core.policy TO %APP_ROLE%;
