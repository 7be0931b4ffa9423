-- When an ended contract left the turn of the watch for drift; NULL: it is in it. Rounds walk along those that are.
ALTER TABLE core.drift_check ADD COLUMN left_at timestamptz;
