"""Which codes an ERP is known to have, from what it held when it was last read: no call, and no promise for others.

The crosswalk keeps each project as its ERP holds it. A code in it was accepted there for that legal entity; one that is
not in it may be there all the same, which a worker sees when it reads the ERP.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from sync_core.contract import Terms
from sync_core.desired import UNDECIDED
from sync_core.estate.estate import Estate

TAX_CODE: Final = "tax.tax_code"  # the path of the field
MOST: Final = 200

# From code to code along the index crosswalk_tax_code, however many projects have each.
TAX_CODES: Final = sa.text("""
    WITH RECURSIVE seen(code) AS (
        (SELECT fields ->> 'tax_code' FROM core.crosswalk
         WHERE kind = 'project' AND system = :erp AND fields ->> 'legal_entity' = :entity
           AND fields ->> 'tax_code' > '' ORDER BY fields ->> 'tax_code' LIMIT 1)
        UNION ALL
        SELECT (SELECT x.fields ->> 'tax_code' FROM core.crosswalk AS x
                WHERE x.kind = 'project' AND x.system = :erp AND x.fields ->> 'legal_entity' = :entity
                  AND x.fields ->> 'tax_code' > seen.code ORDER BY x.fields ->> 'tax_code' LIMIT 1)
        FROM seen WHERE seen.code IS NOT NULL
    )
    SELECT code FROM seen WHERE code IS NOT NULL AND code <> :undecided LIMIT :most
""")
_HELD = sa.text("""
    SELECT EXISTS (
        SELECT FROM core.crosswalk WHERE kind = 'project' AND system = :erp AND fields ->> 'legal_entity' = :entity
          AND fields ->> 'tax_code' > '' AND fields ->> 'tax_code' = :code)
""")

Known = Mapping[str, tuple[str, ...]]  # by the path of a field


def known_codes(conn: sa.Connection, terms: Terms, estate: Estate) -> Known:
    """By field what its ERP held for its legal entity, to be offered: the first 200, in alphabetical order."""
    erp = estate.lane_of(terms)
    if erp is None:
        return {}
    bound = {"erp": erp, "entity": terms.legal_entity, "undecided": UNDECIDED, "most": MOST}
    found = conn.scalars(TAX_CODES, bound).all()
    return {TAX_CODE: tuple(str(code) for code in found)} if found else {}


def held_tax_code(conn: sa.Connection, terms: Terms, code: str, estate: Estate) -> bool:
    """Whether the ERP of this contract held it for its legal entity, however many others it held."""
    erp = estate.lane_of(terms)
    if erp is None or code == UNDECIDED:
        return False
    return bool(conn.scalar(_HELD, {"erp": erp, "entity": terms.legal_entity, "code": code}))
