"""The values that lists are filtered by: the estate's, and those that contracts have."""

from dataclasses import dataclass

import sqlalchemy as sa

from sync_core.contract import BillingKind
from sync_core.errors import Function
from sync_core.estate.estate import Estate
from sync_core.reads.scope import CONTRACT, Entities, bound

# From one distinct pair to the next along the index contract_by_line: as many steps as there are pairs.
PAIRS = sa.text(f"""
    WITH RECURSIVE known AS (
        (SELECT legal_entity, service_line FROM core.contract ORDER BY legal_entity, service_line LIMIT 1)
        UNION ALL
        SELECT further.legal_entity, further.service_line FROM known CROSS JOIN LATERAL (
            SELECT c.legal_entity, c.service_line FROM core.contract AS c
            WHERE (c.legal_entity, c.service_line) > (known.legal_entity, known.service_line)
            ORDER BY c.legal_entity, c.service_line LIMIT 1
        ) AS further
    )
    SELECT legal_entity, service_line FROM known WHERE {CONTRACT} ORDER BY 1, 2
""")


@dataclass(frozen=True, slots=True)
class Choices:
    """Keys as stored, in the order to show them; `entities` with their names."""

    entities: dict[str, str]  # of the estate, then those that only contracts name, which says so
    service_lines: tuple[str, ...]
    billing: tuple[str, ...]
    lanes: tuple[str, ...]
    functions: tuple[str, ...]


def choices(conn: sa.Connection, estate: Estate, *, entities: Entities) -> Choices:
    """Legal entities out of reach are left out."""
    pairs = conn.execute(PAIRS, bound(entities)).all()
    known = {entity.code: entity.name for entity in estate.entity if entities is None or entity.code in entities}
    others = sorted({row.legal_entity for row in pairs} - known.keys() - {""})
    return Choices(
        entities=known | {code: f"{code} (not in the estate)" for code in others},
        service_lines=tuple(sorted({row.service_line for row in pairs} - {""})),
        billing=tuple(kind.value for kind in BillingKind),
        lanes=tuple(erp.name for erp in estate.erp),
        functions=tuple(function.value for function in Function),
    )
