-- A status that comes back (a dispute reopened, a payment bounced) is a fact too, and so is a changed amount: what is
-- new is decided against the newest fact of the object, not by a key over its statuses.
ALTER TABLE core.financial_fact DROP CONSTRAINT financial_fact_pkey;
ALTER TABLE core.financial_fact ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
CREATE INDEX financial_fact_newest ON core.financial_fact (system, kind, ref, seq DESC);
CREATE INDEX financial_fact_of_project ON core.financial_fact (system, project_key);
