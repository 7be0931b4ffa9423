-- What pages read is read along indexes however many contracts there are.
-- Which service lines there are, from one to the next; see sync_core/reads/choices.py.
CREATE INDEX contract_by_line ON core.contract (legal_entity, service_line);
-- Of the contracts signed in some weeks, the few that a percentile is worked out of one by one.
CREATE INDEX contract_fact_cancelled ON metrics.contract_fact (period) WHERE known_to IS NULL AND outcome = 'cancelled';
CREATE INDEX cash_fact_paid ON metrics.cash_fact (period) WHERE known_to IS NULL AND payment_on IS NOT NULL;
-- Of all contracts, those that the books do not add up for.
CREATE INDEX books_fact_unexplained ON metrics.books_fact (contract_id) WHERE known_to IS NULL AND unexplained <> 0;
