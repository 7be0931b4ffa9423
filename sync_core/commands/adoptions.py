"""Adoption as people ask for it: what was found of an ERP's projects is decided for all contracts at once.

The ERP is read by the caller (app/cli/adopt.py); nothing is written to it here. A worker writes our keys on what was
matched, at the contract's next run; what was not becomes an exception there, and is not created.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound, reason_of
from sync_core.moving.adoption import UNDECIDED, Adoption, Result
from sync_core.replay.replay import MOST_ITEMS


@dataclass(frozen=True, slots=True)
class Adopting:
    """How many contracts were decided."""

    matched: int
    unmatched: int
    ambiguous: int


# A contract that got a project meanwhile is left alone: any run finds that by its key. One that gets it at this very
# moment is told by its next run (sync_core/engine/adopting.py).
# What an earlier decision knew of them, that no worker has carried out, is known no more.
_DECIDE = sa.text(f"""
    WITH r AS MATERIALIZED (
        SELECT r.*, c.source, c.external_id, c.legal_entity FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
            id bigint, lane text, result text, words text, refs jsonb)
        JOIN core.contract AS c ON c.contract_id = r.id
        WHERE NOT EXISTS (SELECT FROM core.adoption AS a WHERE a.contract_id = r.id AND a.taken_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM core.crosswalk AS x WHERE x.contract_id = r.id AND x.kind = 'project'
                          AND x.state = 'confirmed' AND x.system = r.lane AND NOT {UNDECIDED})
    ), unknown AS (
        UPDATE core.crosswalk AS x SET state = 'closed'
        FROM r WHERE x.contract_id = r.id AND x.state = 'confirmed' AND {UNDECIDED}
    ), decided AS (
        INSERT INTO core.adoption AS a (contract_id, lane, result, words, refs, decided_by, decided_at)
        SELECT id, lane, result, words, refs, :actor, CAST(:now AS timestamptz) FROM r ORDER BY id
        ON CONFLICT (contract_id) DO UPDATE SET lane = excluded.lane, result = excluded.result, words = excluded.words,
            refs = excluded.refs, decided_by = excluded.decided_by, decided_at = excluded.decided_at
        WHERE a.taken_at IS NULL
    ), held AS (
        SELECT c.contract_id FROM core.contract AS c JOIN r ON r.id = c.contract_id
        ORDER BY c.source, c.external_id FOR UPDATE OF c
    ), due AS (
        UPDATE core.contract AS c SET due_at = least(c.due_at, CAST(:now AS timestamptz)), wanted_rev = c.wanted_rev + 1
        FROM held WHERE c.contract_id = held.contract_id
    )
    SELECT id, legal_entity, result FROM r
""")
_KNOWN = sa.text("""
    INSERT INTO core.crosswalk AS x (system, kind, business_key, state, ref, contract_id, fields, confirmed_at)
    SELECT DISTINCT ON (lane, kind, key) lane, kind, key, 'confirmed', ref, id, fields, CAST(:now AS timestamptz)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        id bigint, lane text, kind text, key text, ref text, fields jsonb)
    ORDER BY lane, kind, key ON CONFLICT (system, kind, business_key) DO UPDATE
    SET state = 'confirmed', ref = excluded.ref, fields = excluded.fields, agreed = NULL, kept = NULL,
        confirmed_at = excluded.confirmed_at
    WHERE x.state = 'closed' AND x.contract_id = excluded.contract_id
""")
COMMANDS: Final[Mapping[str, Permission]] = {"adopt": Permission.ADOPTION_WRITE}
_RESULTS: Final = (Result.MATCHED, Result.UNMATCHED, Result.AMBIGUOUS)


def adopt(act: Act, found: Sequence[Adoption], *, lane: str, reason: str) -> Adopting:
    """Decide these. Raises InvalidInput without any, Forbidden for a legal entity beyond the actor's reach."""
    why, deciding = reason_of(reason), [one for one in found if one.result in _RESULTS]
    if not deciding:
        raise InvalidInput(f"there is nothing to adopt in {lane}")
    if len(deciding) > MOST_ITEMS:
        raise InvalidInput(f"more than {MOST_ITEMS:,} contracts; narrow it by --entity")
    rows = [_row(one) for one in deciding]
    decided = act.conn.execute(
        _DECIDE, {"rows": orjson.dumps(rows).decode(), "actor": act.actor.name, "now": act.now}
    ).all()
    for entity in {row.legal_entity for row in decided}:
        act.actor.require(Permission.ADOPTION_WRITE, entity=entity)
    if not decided:
        raise NotFound("none of these contracts is there any more, or all of them have their projects")
    ours = {row.id for row in decided}
    known = [row for one in deciding if one.contract_id in ours for row in _objects(one)]
    if known:
        act.conn.execute(_KNOWN, {"rows": orjson.dumps(known).decode(), "now": act.now})
    act.wakes = True
    counted = Counter(Result(row.result) for row in decided)
    made = Adopting(*(counted[result] for result in _RESULTS))
    detail = {"erp": lane, "matched": made.matched, "unmatched": made.unmatched, "ambiguous": made.ambiguous}
    items = [{"contract_id": one.contract_id, "result": one.result, "words": one.words} for one in deciding]
    act.note(Entry("contract.adopt", f"erp {lane}", reason=why, detail=detail, items=items))
    return made


def _row(one: Adoption) -> dict[str, object]:
    refs = [[found.kind, found.key, found.ref] for found in one.objects]
    return {"id": one.contract_id, "lane": one.lane, "result": one.result, "words": one.words, "refs": refs}


def _objects(one: Adoption) -> list[dict[str, object]]:
    return [
        {"id": one.contract_id, "lane": one.lane, "kind": found.kind, "key": found.key, "ref": found.ref,
         "fields": dict(found.fields)}
        for found in one.objects
    ]  # fmt: skip


class Adoptions:
    """For people."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def adopt(self, actor: Actor, found: Sequence[Adoption], *, lane: str, reason: str) -> Adopting:
        """Decide what was found; workers carry it out. Raises InvalidInput, NotFound, Forbidden."""
        return self._desk.run(actor, Permission.ADOPTION_WRITE, lambda act: adopt(act, found, lane=lane, reason=reason))
