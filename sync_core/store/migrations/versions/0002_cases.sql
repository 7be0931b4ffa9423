-- An exception becomes work: where it arose, what it has in common with others, who has it, how it was closed.
-- `opened_at` begins the present interval; `first_opened_at` is set when it reopened. `decided_rev` is the contract's
-- wanted_rev when people decided: the same cause with the same message stays closed until an event raises it.
ALTER TABLE core.case
    ADD COLUMN operation text NOT NULL DEFAULT '',
    ADD COLUMN group_key text NOT NULL DEFAULT '',
    ADD COLUMN first_opened_at timestamptz,
    ADD COLUMN assignee text,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN closed_how text CHECK (closed_how IN ('read_back', 'decision')),
    ADD COLUMN decided_by text,
    ADD COLUMN decided_reason text,
    ADD COLUMN decided_rev bigint,
    DROP CONSTRAINT case_state_check,
    ADD CONSTRAINT case_state_check CHECK (state IN ('open', 'resolved', 'decided')),
    DROP CONSTRAINT case_contract_id_cause_key;
-- Its real group is known when a worker finds it again; until then its cause and its legal entity are.
UPDATE core.case AS k
SET closed_how = CASE WHEN k.state = 'resolved' THEN 'read_back' END, group_key = k.cause || ' ' || c.legal_entity
FROM core.contract AS c WHERE c.contract_id = k.contract_id;
CREATE UNIQUE INDEX case_open_cause ON core.case (contract_id, cause) WHERE state = 'open';
CREATE INDEX case_of_contract ON core.case (contract_id, case_id);
CREATE INDEX case_open_assignee ON core.case (assignee) WHERE state = 'open' AND assignee IS NOT NULL;

ALTER TABLE core.case_history
    ADD COLUMN actor text NOT NULL DEFAULT 'tieline',
    ADD COLUMN note text NOT NULL DEFAULT '',
    ADD COLUMN from_function text,
    ADD COLUMN assignee text,
    ADD CONSTRAINT case_history_what CHECK (what IN ('opened', 'reopened', 'resolved', 'decided', 'assigned',
        'acknowledged', 'commented', 'handed_over', 'corrected', 'approved', 'refused'));

-- What can be held back for good, by a person's decision.
ALTER TABLE core.quarantine
    ADD COLUMN dismissed_at timestamptz,
    ADD COLUMN dismissed_by text,
    ADD COLUMN dismissed_reason text;
DROP INDEX core.quarantine_open;
CREATE INDEX quarantine_open ON core.quarantine (recorded_at) WHERE released_at IS NULL AND dismissed_at IS NULL;

-- Filters of lists, kept by name; a shared one is seen by everybody.
CREATE TABLE core.saved_filter (
    owner           text NOT NULL,
    name            text NOT NULL,
    query           jsonb NOT NULL,
    shared          boolean NOT NULL DEFAULT false,
    version         integer NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (owner, name)
);
CREATE INDEX saved_filter_shared ON core.saved_filter (name) WHERE shared;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.saved_filter TO %APP_ROLE%;
