-- A move is a replay that has two ERPs: what it confirms is closed in the one and made in the other.
ALTER TABLE core.replay
    ADD COLUMN move_from text,
    ADD COLUMN move_to text,
    ADD COLUMN undoes bigint REFERENCES core.replay,
    ADD CONSTRAINT replay_move CHECK ((move_from IS NULL) = (move_to IS NULL) AND move_from <> move_to);
CREATE INDEX replay_moves ON core.replay (created_at DESC, replay_id DESC) WHERE move_to IS NOT NULL;
-- Invoiced in the ERP that is left, and what is then to be billed in the other, as previewed.
ALTER TABLE core.replay_item ADD COLUMN billed numeric, ADD COLUMN to_bill numeric;

-- Where a contract belongs since it was moved, whatever the policy says. While `leaving` is set, nothing of it is made
-- in `lane`: the project in `leaving` has not been read back as closed. `behind`: by ERP, what was invoiced there.
-- `was`: what stood here before the move, while it can be taken back.
CREATE TABLE core.placement (
    contract_id     bigint PRIMARY KEY,
    lane            text NOT NULL,
    leaving         text,
    behind          jsonb NOT NULL DEFAULT '{}',
    was             jsonb,
    replay_id       bigint NOT NULL REFERENCES core.replay,
    placed_at       timestamptz NOT NULL,
    left_at         timestamptz,
    CHECK (leaving <> lane)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON core.placement TO %APP_ROLE%;
