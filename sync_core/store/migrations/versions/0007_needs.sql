-- What a connector does without at its ERP, in words, since that is of an older release; NULL: nothing.
ALTER TABLE core.connector_check ADD COLUMN does_without text;
