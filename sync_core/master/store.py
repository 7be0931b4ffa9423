"""Keeps what master data says: the newest of each record, each version for good, and wakes the contracts that waited.

All set-based, in the transaction that moves the watermark. A record that says nothing new is no version.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.master.match import CLOSED, INACTIVE, NEAR
from sync_core.master.names import folded, tax_key
from sync_core.master.records import MasterCustomer, MasterEntity

WAITING: Final = (NEAR, INACTIVE, "customer_unknown", "customer_missing")  # causes that a customer's record may end

# A record that was changed twice in one page is stored as it ended. Rows in the order of their key, as always.
_CUSTOMERS = sa.text("""
    WITH r AS MATERIALIZED (
        SELECT DISTINCT ON (mdm_id) r.* FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (
            mdm_id text, code text, name text, folded text, tax_id text, tax_key text, country text, status text,
            merged_into text, addresses jsonb, changed_at timestamptz)) WITH ORDINALITY AS r(
            mdm_id, code, name, folded, tax_id, tax_key, country, status, merged_into, addresses, changed_at, place)
        ORDER BY mdm_id, changed_at DESC, place DESC
    ), was AS MATERIALIZED (
        SELECT m.mdm_id, m.code FROM core.master_customer AS m JOIN r USING (mdm_id) WHERE m.system = :system
    ), kept AS (
        INSERT INTO core.master_customer AS m (system, mdm_id, code, name, folded, tax_id, tax_key, country, status,
                                               merged_into, addresses, changed_at, recorded_at)
        SELECT :system, mdm_id, code, name, folded, tax_id, tax_key, country, status, merged_into, addresses,
               changed_at, :now FROM r ORDER BY mdm_id
        ON CONFLICT (system, mdm_id) DO UPDATE
        SET code = excluded.code, name = excluded.name, folded = excluded.folded, tax_id = excluded.tax_id,
            tax_key = excluded.tax_key, country = excluded.country, status = excluded.status,
            merged_into = excluded.merged_into, addresses = excluded.addresses, changed_at = excluded.changed_at,
            recorded_at = excluded.recorded_at, version = m.version + 1
        WHERE excluded.changed_at >= m.changed_at
          AND row(m.code, m.name, m.tax_id, m.country, m.status, m.merged_into, m.addresses) IS DISTINCT FROM
              row(excluded.code, excluded.name, excluded.tax_id, excluded.country, excluded.status,
                  excluded.merged_into, excluded.addresses)
        RETURNING m.*
    ), versions AS (
        INSERT INTO core.master_version (system, kind, mdm_id, version, record, changed_at, recorded_at)
        SELECT system, 'customer', mdm_id, version, to_jsonb(kept), changed_at, recorded_at FROM kept ORDER BY mdm_id
    )
    SELECT kept.code, kept.folded, kept.version > 1 AS moved, was.code AS was FROM kept LEFT JOIN was USING (mdm_id)
""")
_ENTITIES = sa.text("""
    WITH r AS MATERIALIZED (
        SELECT DISTINCT ON (mdm_id) r.* FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (
            mdm_id text, code text, name text, country text, currency text, status text, changed_at timestamptz))
            WITH ORDINALITY AS r(mdm_id, code, name, country, currency, status, changed_at, place)
        ORDER BY mdm_id, changed_at DESC, place DESC
    ), kept AS (
        INSERT INTO core.master_entity AS m (system, mdm_id, code, name, country, currency, status, changed_at,
                                             recorded_at)
        SELECT :system, mdm_id, code, name, country, currency, status, changed_at, :now FROM r ORDER BY mdm_id
        ON CONFLICT (system, mdm_id) DO UPDATE
        SET code = excluded.code, name = excluded.name, country = excluded.country, currency = excluded.currency,
            status = excluded.status, changed_at = excluded.changed_at, recorded_at = excluded.recorded_at,
            version = m.version + 1
        WHERE excluded.changed_at >= m.changed_at
          AND row(m.code, m.name, m.country, m.currency, m.status) IS DISTINCT FROM
              row(excluded.code, excluded.name, excluded.country, excluded.currency, excluded.status)
        RETURNING m.*
    ), versions AS (
        INSERT INTO core.master_version (system, kind, mdm_id, version, record, changed_at, recorded_at)
        SELECT system, 'legal_entity', mdm_id, version, to_jsonb(kept), changed_at, recorded_at FROM kept
        ORDER BY mdm_id
    )
    SELECT code FROM kept
""")
# Contracts of these customers (of a record that is new only those that wait: the others bill this customer already, and
# the first load would wake them all), and those that wait for a customer whose name is like one of these. A contract
# that is being worked on looks again: its wanted revision rises. One that waits for another reason is not found here
# and looks by its own timetable. Locked in the order of intake and the group commit.
_WAKE = sa.text("""
    WITH changed AS MATERIALIZED (
        SELECT r.* FROM jsonb_to_recordset(CAST(:changed AS jsonb)) AS r(code text, folded text, moved boolean)
    ), found AS MATERIALIZED (
        SELECT c.contract_id FROM core.contract AS c JOIN changed ON changed.code = c.customer_code
        WHERE c.customer_code <> '' AND (changed.moved OR c.state IN ('blocked', 'waiting'))
        UNION
        SELECT k.contract_id FROM core.case AS k JOIN core.contract AS c USING (contract_id)
        WHERE k.state = 'open' AND k.cause = ANY(:causes)
          AND EXISTS (SELECT FROM changed WHERE similarity(lower(c.customer_name), changed.folded) > 0.3)
        UNION
        SELECT k.contract_id FROM core.case AS k JOIN core.contract AS c USING (contract_id)
        WHERE k.state = 'open' AND k.cause = :closed AND c.legal_entity = ANY(:entities)
    ), mine AS (
        SELECT contract_id FROM core.contract
        WHERE contract_id IN (SELECT contract_id FROM found) AND state IN ('active', 'suspended', 'blocked', 'waiting')
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET wanted_rev = c.wanted_rev + 1, due_at = least(c.due_at, CAST(:now AS timestamptz))
    FROM mine WHERE c.contract_id = mine.contract_id RETURNING c.contract_id
""")


@dataclass(frozen=True, slots=True)
class Kept:
    changed: int  # records that said something new
    woken: int  # contracts


async def keep(
    conn: AsyncConnection,
    system: str,
    customers: Sequence[MasterCustomer],
    entities: Sequence[MasterEntity],
    *,
    now: datetime,
) -> Kept:
    """The caller commits, and rings the workers' bell when contracts were woken."""
    new = list(await _stored(conn, _CUSTOMERS, system, map(_customer, customers), now))
    known = list(await _stored(conn, _ENTITIES, system, map(asdict, entities), now))
    if not new and not known:
        return Kept(0, 0)
    changed = [
        {"code": code, "folded": row.folded, "moved": row.moved}
        for row in new
        for code in dict.fromkeys((row.code, row.was))  # its contracts bill it by the code that it had
        if code is not None
    ]
    bound = {"changed": _json(changed), "causes": list(WAITING), "closed": CLOSED, "now": now,
             "entities": [row.code for row in known]}  # fmt: skip
    woken = (await conn.execute(_WAKE, bound)).rowcount
    return Kept(len(new) + len(known), woken)


async def _stored(
    conn: AsyncConnection, statement: sa.TextClause, system: str, rows: Iterable[dict[str, Any]], now: datetime
) -> Sequence[sa.Row[Any]]:
    listed = list(rows)
    if not listed:
        return ()
    return (await conn.execute(statement, {"system": system, "rows": _json(listed), "now": now})).all()


def _customer(one: MasterCustomer) -> dict[str, Any]:
    country = one.country.upper() if one.country else None
    return {**asdict(one), "country": country, "folded": folded(one.name), "tax_key": tax_key(one.tax_id)}


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
