-- When a person's decision on which customer a code means was taken back; NULL: it holds. Until somebody decides again,
-- contracts with the code are held for a person, whatever master data says by then.
ALTER TABLE core.customer_match ADD COLUMN taken_back_at timestamptz;
