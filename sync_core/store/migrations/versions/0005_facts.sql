-- What past moments knew of quarantine, and what the measures tell of it. Facts are made anew after this upgrade.
ALTER TABLE core.quarantine
    ADD COLUMN ended_xid xid8,             -- released or dismissed by this transaction
    ADD COLUMN released_by text;           -- which person or program asked for it; null: a worker understood it by itself
UPDATE core.quarantine SET ended_xid = pg_current_xact_id() WHERE released_at IS NOT NULL OR dismissed_at IS NOT NULL;
CREATE INDEX quarantine_released_by ON core.quarantine (source, external_id) WHERE released_by IS NOT NULL;

ALTER TABLE metrics.amendment_fact
    ADD COLUMN ended_at timestamptz;       -- of a superseded one: its contract ended
ALTER TABLE metrics.cash_fact
    ADD COLUMN step text NOT NULL DEFAULT '';  -- of one that was signed and no more: the last step of the engine; else ''
ALTER TABLE metrics.contract_fact
    ADD COLUMN late boolean;               -- of a provisioned one: more than two working days after its signature
