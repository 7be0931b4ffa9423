-- Why a refresh made all facts anew: `release`, or `settings` (the group's zone or reporting currency); null: it did not.
-- `release` is the one that did; null: nobody noted it.
ALTER TABLE metrics.refresh
    ADD COLUMN anew text,
    ADD COLUMN release text;

-- ERPs that report no revenue of a contract, and those that nobody has asked yet. Facts are made anew after this upgrade;
-- versions of before name neither and are not rewritten, since they may be many: where `recognised` is null, `erp` is it.
ALTER TABLE metrics.books_fact
    ADD COLUMN silent text[] NOT NULL DEFAULT '{}',
    ADD COLUMN unasked text[] NOT NULL DEFAULT '{}';

-- Amendments of an agreement are numbered by themselves: one that was signed after an end may begin at 1 again.
ALTER TABLE metrics.amendment_fact
    ADD COLUMN agreement integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT amendment_fact_pkey,
    ADD PRIMARY KEY (contract_id, agreement, number, known_from);
