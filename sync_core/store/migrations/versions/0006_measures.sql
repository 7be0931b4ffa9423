-- Versions of invoices that nobody had disputed named the whole invoice as disputed: it was in no rate and no amount, and
-- would be told as a restatement against the versions that are right.
UPDATE metrics.invoice_fact SET disputed = 0 WHERE disputes = 0 AND disputed <> 0;

-- The rows behind the time of the steps are all contracts, by their whole time (contract_fact_slowest, _waiting).
DROP INDEX metrics.contract_fact_in_step;
