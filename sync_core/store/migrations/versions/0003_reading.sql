-- What pages read is read along indexes however many contracts there are.
-- Which service lines there are, from one to the next; see sync_core/reads/choices.py.
CREATE INDEX contract_by_line ON core.contract (legal_entity, service_line);
-- In the order of a list, with what breaks its ties: contracts of one state by how long they are in it, and exceptions
-- that are closed, too.
DROP INDEX core.contract_by_state;
CREATE INDEX contract_by_state ON core.contract (state, state_since, contract_id);
CREATE INDEX case_by_age ON core.case (opened_at, case_id);
CREATE INDEX case_by_money ON core.case (exposure_reporting DESC NULLS LAST, case_id DESC);
CREATE INDEX case_by_due ON core.case (due_at DESC NULLS LAST, case_id DESC);
-- Which contracts wait for their first activation; see sync_core/reads/stuck.py.
CREATE INDEX contract_never_active ON core.contract (state) WHERE first_active_at IS NULL;
-- Counted by day along its index alone, of pages that a vacuum has seen: of what is only added to, that is seldom.
ALTER TABLE core.event SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000);
-- What is open of some weeks, with all that its age and its split are worked out of: read along the index alone.
CREATE INDEX contract_fact_open_week ON metrics.contract_fact (period)
    INCLUDE (signed_at, signed_work_s, step, step_at, step_work_s, legal_entity, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;
CREATE INDEX amendment_fact_open_week ON metrics.amendment_fact (period)
    INCLUDE (executed_at, received_at, effective_at, executed_work_s, received_work_s, day_s, retroactive, waits, bill_on,
             legal_entity, service_line, geography, billing)
    WHERE known_to IS NULL AND outcome = 'open' AND NOT test;
CREATE INDEX case_fact_open_week ON metrics.case_fact (period)
    INCLUDE (function, opened_at, opened_work_s, spent_s, spent_work_s, open_since, open_since_work_s, response_s,
             currency, exposure, legal_entity, service_line, geography, billing, test)
    WHERE known_to IS NULL AND outcome = 'open';
CREATE INDEX case_time_fact_open_week ON metrics.case_time_fact (period)
    INCLUDE (function, spent_s, spent_work_s, open_since, open_since_work_s, legal_entity, service_line, geography,
             billing, test)
    WHERE known_to IS NULL AND open_since IS NOT NULL;
-- Of the contracts signed in some weeks, the few that a percentile is worked out of one by one.
CREATE INDEX contract_fact_cancelled ON metrics.contract_fact (period) WHERE known_to IS NULL AND outcome = 'cancelled';
CREATE INDEX cash_fact_paid ON metrics.cash_fact (period) WHERE known_to IS NULL AND payment_on IS NOT NULL;
-- Of all contracts, those that the books do not add up for.
CREATE INDEX books_fact_unexplained ON metrics.books_fact (contract_id) WHERE known_to IS NULL AND unexplained <> 0;
