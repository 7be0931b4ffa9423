-- Revenue that the ERPs post: of a posting the contract line, and the posting that it reverses; null for anything else.
ALTER TABLE core.financial_fact
    ADD COLUMN line_key text,
    ADD COLUMN reverses_ref text;

-- What each ERP's connector says that its ERP reports: without it, no revenue is no zero.
CREATE TABLE core.financial_source (
    system          text PRIMARY KEY,
    reports         text[] NOT NULL,       -- kinds of core.financial_fact
    said_at         timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON core.financial_source TO %APP_ROLE%;

-- Facts are made anew after this upgrade.
ALTER TABLE metrics.books_fact
    ADD COLUMN erp text NOT NULL DEFAULT '',  -- '' until one has it
    ADD COLUMN recognised numeric;         -- null: an ERP that billed it, or is to, reports no revenue
