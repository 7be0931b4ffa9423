"""The exceptions that a command is asked to change: found, locked, and each either allowed or refused in words.

A command on one exception fails as a whole; of many, those that can be changed are, and the others come back with
the reason. Contracts are locked before exceptions and exceptions by id, which is the order of the workers' commit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Forbidden
from sync_core.cases.rules import RULES, Deed, Kind, refusal
from sync_core.commands.desk import Act, Changed, CommandRefused, InvalidInput, NotFound, texts
from sync_core.errors import TielineError

MOST: Final = 1_000

Row = sa.Row[Any]
Objection = Callable[[Row], str | None]  # why this one cannot be changed; None: it can


@dataclass(frozen=True, slots=True)
class Refused:
    """One exception that stayed as it was. `code` is that of the error a single one would have raised."""

    case_id: int
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class CasesChanged:
    """What a command on exceptions came to."""

    changed: tuple[int, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]

    @property
    def ids(self) -> list[int]:
        return [row.case_id for row in self.rows]

    @property
    def result(self) -> CasesChanged:
        return CasesChanged(tuple(self.ids), self.refused)


_LOCK_CONTRACTS = sa.text("""
    SELECT contract_id FROM core.contract
    WHERE contract_id IN (SELECT contract_id FROM core.case WHERE case_id = ANY(:ids))
    ORDER BY source, external_id FOR UPDATE
""")
_FIND = """
    SELECT k.case_id, k.contract_id, k.cause, k.error_class, k.state, k.function, k.assignee, k.version, k.message,
           k.acknowledged_by, k.decided_by, c.source, c.external_id, c.legal_entity, c.wanted_rev, c.done_rev
    FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE k.case_id = ANY(:ids) ORDER BY k.case_id
"""
_LOOK, _LOCK = sa.text(_FIND), sa.text(f"{_FIND} FOR UPDATE OF k")
_HISTORY = sa.text("""
    INSERT INTO core.case_history (case_id, what, function, from_function, assignee, actor, note, occurred_at,
                                   recorded_at)
    SELECT case_id, :what, function, from_function, assignee, :actor, :note, :now, :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        case_id bigint, function text, from_function text, assignee text)
""")


def _no_objection(_row: Row) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command needs of the exceptions that it is to change."""

    deed: Deed  # who may do it, with which of them: sync_core/cases/rules.py
    contracts: bool = False  # their contracts are locked as well, before them
    locks: bool = True
    objection: Objection = _no_objection


def choose(
    act: Act,
    needs: Needs,
    case_ids: Sequence[int],
    *,
    version: int | None = None,
    versions: Mapping[int, int] | None = None,
) -> Chosen:
    """At least one that can be changed. `version` is of a single exception, `versions` of any.

    Raises what a single one is refused for; of many CommandRefused, when all of them are.
    """
    ids = sorted({int(case_id) for case_id in texts(case_ids, most=MOST, what="exceptions")})
    known = _versions(ids, version, versions)
    if needs.contracts:
        act.conn.execute(_LOCK_CONTRACTS, {"ids": ids})
    found = {row.case_id: row for row in act.conn.execute(_LOCK if needs.locks else _LOOK, {"ids": ids})}
    allowed: list[Row] = []
    refused: list[Refused] = []
    for case_id in ids:
        try:
            allowed.append(_allowed(act, needs, case_id, found.get(case_id), known.get(case_id)))
        except TielineError as wrong:
            if len(ids) == 1:
                raise
            refused.append(Refused(case_id, wrong.code, wrong.message))
    if not allowed:
        raise CommandRefused(f"none of the {len(ids):,} exceptions could be changed: {refused[0].words}")
    return Chosen(tuple(allowed), tuple(refused))


def _versions(ids: Sequence[int], version: int | None, versions: Mapping[int, int] | None) -> dict[int, int]:
    known = dict(versions or {})
    if version is not None:
        if len(ids) > 1:
            raise InvalidInput("one version for several exceptions; give a version for each")
        known[ids[0]] = version
    return known


def _allowed(act: Act, needs: Needs, case_id: int, row: Row | None, version: int | None) -> Row:
    refused = None if row is None else refusal(act.actor, needs.deed, row)
    if row is None or (refused and refused.kind is Kind.OUT_OF_REACH):
        raise NotFound(f"there is no exception {case_id} within your reach")
    permission = RULES[needs.deed].permission
    if refused and refused.kind is Kind.LACKING:
        act.actor.require(permission, entity=row.legal_entity, function=row.function)
    if refused and refused.kind in (Kind.TAKEN, Kind.FOREIGN):
        raise Forbidden(permission, refused.words)
    if version is not None and row.version != version:
        raise Changed(f"exception {case_id} was changed since you read it; look at it again, then decide")
    if refused:
        raise CommandRefused(refused.words)
    if words := needs.objection(row):
        raise CommandRefused(words)
    return row


def remember(
    act: Act, what: str, rows: Sequence[Row], *, note: str = "", function: str | None = None, keeps: bool = True,
    assignee: str | None = None,
) -> None:  # fmt: skip
    """Their history: one row for each. `function`: the new one. Not `keeps`: `assignee` instead of their own."""
    listed = [
        {
            "case_id": row.case_id,
            "function": function or row.function,
            "from_function": row.function if function else None,
            "assignee": row.assignee if keeps else assignee,
        }
        for row in rows
    ]
    bound = {"what": what, "actor": act.actor.name, "note": note, "now": act.now, "rows": orjson.dumps(listed).decode()}
    act.conn.execute(_HISTORY, bound)


def note(act: Act, action: str, chosen: Chosen, after: Mapping[str, object], reason: str = "") -> None:
    """The audit's row: of one exception with its contract, of many with a root over them."""
    before = [
        {"exception": r.case_id, "version": r.version, "function": r.function, "assignee": r.assignee, "state": r.state}
        for r in chosen.rows
    ]
    refused = [one.case_id for one in chosen.refused]
    if len(before) == 1:
        row = chosen.rows[0]
        detail = {"before": before[0], "after": after} | ({"refused": refused} if refused else {})
        act.note(Entry(action, f"exception {row.case_id}", reason, row.contract_id, row.legal_entity, detail=detail))
        return
    summed = {"exceptions": chosen.ids, "refused": refused, "after": after}
    act.note(Entry(action, f"{len(before):,} exceptions", reason, detail=summed, items=before))
