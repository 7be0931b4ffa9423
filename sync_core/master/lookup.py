"""Master records that contracts may mean: one statement for all of them, whoever asks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.contract import Party
from sync_core.events import Amended, Corrected, Drafted, Event, Payload, Signed
from sync_core.keys import ContractId
from sync_core.master.match import Masters, Record
from sync_core.master.names import folded, tax_key

NONE: Final = sa.text(
    "SELECT NOT EXISTS (SELECT FROM core.master_customer) AND NOT EXISTS (SELECT FROM core.master_entity)"
)
# Names are compared only for customers that nothing else identifies, or that a person is to decide again; the trigrams'
# index finds a handful, and sync_core/master/names.py decides. A chain of merges is followed by whoever it leads to.
FIND: Final = sa.text("""
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT a.* FROM jsonb_to_recordset(CAST(:asked AS jsonb)) AS a(
            n int, id bigint, source text, code text, tax text, mdm_id text, folded text, country text)
    ), decided AS MATERIALIZED (
        SELECT a.n, a.id, m.code, m.system, m.mdm_id, m.taken_back_at IS NULL AS holds
        FROM asked AS a JOIN core.customer_match AS m USING (source, code)
    ), exact AS MATERIALIZED (
        SELECT a.n, a.id, x.* FROM asked AS a CROSS JOIN LATERAL (
            SELECT * FROM core.master_customer WHERE code = a.code
            UNION SELECT * FROM core.master_customer AS c
            WHERE c.tax_key = a.tax AND (c.country IS NULL OR a.country IS NULL OR c.country = a.country)
            UNION SELECT * FROM core.master_customer WHERE mdm_id = a.mdm_id
        ) AS x
        UNION SELECT d.n, d.id, c.* FROM decided AS d JOIN core.master_customer AS c USING (system, mdm_id)
    ), settled AS MATERIALIZED (
        (SELECT n FROM exact UNION SELECT n FROM decided) EXCEPT SELECT n FROM decided WHERE NOT holds
    ), chain AS (
        SELECT * FROM exact
        UNION SELECT chain.n, chain.id, c.* FROM chain JOIN core.master_customer AS c
            ON c.system = chain.system AND c.mdm_id = chain.merged_into
    ), near AS (
        SELECT a.n, a.id, x.* FROM asked AS a CROSS JOIN LATERAL (
            SELECT * FROM core.master_customer AS c
            WHERE c.folded % a.folded AND c.merged_into IS NULL
              AND (c.country IS NULL OR a.country IS NULL OR c.country = a.country)
            ORDER BY similarity(c.folded, a.folded) DESC, c.system, c.mdm_id LIMIT 8
        ) AS x
        WHERE NOT EXISTS (SELECT FROM settled WHERE settled.n = a.n)
    )
    SELECT 'customer' AS what, id, system, mdm_id, code, name, tax_id, country, status, merged_into FROM chain
    UNION SELECT 'customer', id, system, mdm_id, code, name, tax_id, country, status, merged_into FROM near
    UNION ALL SELECT CASE WHEN holds THEN 'decided' ELSE 'taken back' END, id, system, mdm_id, code, '', NULL, NULL, '',
                     NULL FROM decided
    UNION ALL SELECT 'entity', NULL, system, mdm_id, code, name, NULL, country, status, NULL FROM core.master_entity
    WHERE code = ANY(:entities)
""")


class Loading(Protocol):
    """What of a claimed contract is known and asked for here."""

    events: list[Event]
    masters: Masters | None


async def find(conn: AsyncConnection, loaded: Mapping[ContractId, Loading]) -> None:
    """Set `masters` of each; it stays None where no master data was ever received."""
    if not loaded or await conn.scalar(NONE):
        return
    events: dict[int, list[Event]] = {contract_id: item.events for contract_id, item in loaded.items()}
    found = answers(events, (await conn.execute(FIND, question(events))).all())
    for contract_id, item in loaded.items():
        item.masters = found[contract_id]


def question(events: Mapping[int, Sequence[Event]]) -> dict[str, object]:
    """What FIND binds: every customer and legal entity that these contracts' events name. By contract id."""
    asked: list[dict[str, object]] = []
    entities: set[str] = set()
    for contract_id, known in events.items():
        stated = dict.fromkeys((event.source, party) for event in known for party in _parties(event.payload))
        entities.update(entity for event in known for entity in _entities(event.payload))
        for source, party in stated:
            asked.append(
                {
                    "n": len(asked), "id": contract_id, "source": source, "code": party.code,
                    "tax": tax_key(party.tax_id), "mdm_id": party.mdm_id, "folded": folded(party.name),
                    "country": party.country.upper() if party.country else None,
                }
            )  # fmt: skip
    return {"asked": orjson.dumps(asked).decode(), "entities": sorted(entities)}


def answers(ids: Iterable[int], rows: Iterable[sa.Row[Any]]) -> dict[int, Masters]:
    """By contract id, from the rows of FIND."""
    found = {contract_id: Masters() for contract_id in ids}
    for row in rows:
        for masters in found.values() if row.id is None else (found[row.id],):
            _keep(masters, row)
    return found


def _keep(masters: Masters, row: sa.Row[Any]) -> None:
    if row.what in ("decided", "taken back"):
        said = masters.decided if row.what == "decided" else masters.taken_back
        said[row.code] = None if row.mdm_id is None else (row.system, row.mdm_id)
    elif row.what == "entity":
        masters.entities[row.code] = row.status
    else:
        record = Record(
            row.system, row.mdm_id, row.code, row.name, row.tax_id, row.country, row.status, row.merged_into
        )
        masters.customers[record.id] = record


def _parties(payload: Payload) -> Iterator[Party]:
    """Every customer that any event names: which of them holds is for the fold to say."""
    if isinstance(payload, Drafted | Signed):
        yield payload.terms.customer
    elif isinstance(payload, Amended | Corrected) and "customer" in payload.changes.model_fields_set:
        yield payload.changes.customer


def _entities(payload: Payload) -> Sequence[str]:
    if isinstance(payload, Drafted | Signed):
        return (payload.terms.legal_entity,)
    if isinstance(payload, Amended | Corrected) and "legal_entity" in payload.changes.model_fields_set:
        return (payload.changes.legal_entity,)
    return ()
