-- Ended contracts that were compared since leave the turn. Nobody who reads is kept waiting until the old index goes.
UPDATE core.drift_check AS d SET left_at = d.checked_at FROM core.contract AS c
WHERE c.contract_id = d.contract_id AND c.state = 'ended' AND d.outcome = 'same' AND d.checked_at >= c.updated_at
  AND d.left_at IS NULL;
CREATE INDEX IF NOT EXISTS drift_check_turn ON core.drift_check (lane, checked_at NULLS FIRST) WHERE left_at IS NULL;
DROP INDEX IF EXISTS core.drift_check_next;
