-- When an ended contract left the turn of the watch for drift; NULL: it is in it. Rounds walk along those that are.
ALTER TABLE core.drift_check ADD COLUMN left_at timestamptz;
UPDATE core.drift_check AS d SET left_at = d.checked_at FROM core.contract AS c
WHERE c.contract_id = d.contract_id AND c.state = 'ended' AND d.outcome = 'same' AND d.checked_at >= c.updated_at;
DROP INDEX core.drift_check_next;
CREATE INDEX drift_check_turn ON core.drift_check (lane, checked_at NULLS FIRST) WHERE left_at IS NULL;
