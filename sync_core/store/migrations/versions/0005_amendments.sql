-- What an ERP was last read to have invoiced of a milestone, net of credit notes; null: nothing of it.
ALTER TABLE core.crosswalk ADD COLUMN invoiced numeric;
