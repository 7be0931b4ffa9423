-- What each ERP was last seen to hold of the master data that contracts refer to: one row for each question, such as
-- whether a tax code is set up for a legal entity. `answer` NULL: asked, not known yet. Contracts are validated from
-- these before their signature, so that nobody waits for an ERP then.
CREATE TABLE core.reference (
    system          text NOT NULL,
    legal_entity    text NOT NULL,
    what            text NOT NULL,
    code            text NOT NULL,
    besides         text NOT NULL DEFAULT '',  -- what else the answer depends on
    answer          jsonb,
    observed_at     timestamptz,
    asked_at        timestamptz,               -- by a validation, when no contract's run had observed it
    PRIMARY KEY (system, legal_entity, what, code, besides)
);
CREATE INDEX reference_age ON core.reference (system, observed_at NULLS FIRST);
GRANT SELECT, INSERT, UPDATE, DELETE ON core.reference TO %APP_ROLE%;
