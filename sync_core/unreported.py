"""Which ERPs leave the revenue of a contract unknown: one rule for measures, pages and what the CLM is told.

Revenue is known where the ERP that holds the contract and every ERP that invoiced it, in whatever currency, say that
they report it (core.financial_source). One that said what it reports, and revenue is not among it, reports none; one
that has said nothing was not asked yet, as in the first moments after an upgrade.
"""


def unreported(of: str) -> str:
    """SQL: contract_id, system and whether it was asked, an ERP a row; no row: all of it is reported.

    `of` is what contract_id is compared with, for instance `= ANY(:ids)`. A project that was invoiced before its
    contract was known is found by its key.
    """
    return f"""
        SELECT b.contract_id, b.system, s.system IS NOT NULL AS asked
        FROM (
            SELECT h.contract_id, h.lane AS system FROM core.contract AS h
            WHERE h.contract_id {of} AND h.first_active_at IS NOT NULL
            UNION SELECT i.contract_id, i.system FROM core.financial_fact AS i
            WHERE i.contract_id {of} AND i.kind = 'invoice'
            UNION SELECT x.contract_id, i.system FROM core.crosswalk AS x
                 JOIN core.financial_fact AS i ON i.system = x.system AND i.project_key = x.business_key
            WHERE x.contract_id {of} AND x.kind = 'project' AND i.contract_id IS NULL AND i.kind = 'invoice'
        ) AS b LEFT JOIN core.financial_source AS s ON s.system = b.system
        WHERE ('revenue' = ANY(s.reports)) IS NOT TRUE
    """
