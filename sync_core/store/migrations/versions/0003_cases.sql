-- An exception closes when a run that looked for its cause no longer found it: by read-back of the whole contract, or
-- by that check alone, where the run stopped at something else.
ALTER TABLE core.case
    DROP CONSTRAINT case_closed_how_check,
    ADD CONSTRAINT case_closed_how_check CHECK (closed_how IN ('read_back', 'checked', 'decision'));
-- Which tax codes an ERP has held for a legal entity: read code by code, never project by project.
CREATE INDEX crosswalk_tax_code ON core.crosswalk (system, (fields ->> 'legal_entity'), (fields ->> 'tax_code'))
    WHERE kind = 'project';
