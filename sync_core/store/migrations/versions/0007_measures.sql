-- Why a refresh made all facts anew: `release`, or `settings` (the group's zone or reporting currency); null: it did not.
ALTER TABLE metrics.refresh ADD COLUMN anew text;

-- ERPs that report no revenue of a contract, and those that nobody has asked yet. Facts are made anew after this upgrade.
ALTER TABLE metrics.books_fact
    ADD COLUMN silent text[] NOT NULL DEFAULT '{}',
    ADD COLUMN unasked text[] NOT NULL DEFAULT '{}';
