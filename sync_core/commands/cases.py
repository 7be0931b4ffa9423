"""What people do with exceptions: take them, pass them on, talk about them, close them by decision; and their filters.

Nothing here mends a cause: an exception closes when a run no longer finds it, or by a decision to live with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.cases.rules import RULES, Deed
from sync_core.cases.sla import due
from sync_core.commands import words
from sync_core.commands.chosen import CasesChanged, Needs, Row, choose, note, remember
from sync_core.commands.desk import Act, Changed, Desk, InvalidInput, NotFound
from sync_core.errors import Function

MOST_FILTERS, MOST_TERMS = 100, 20

COMMANDS: Final[Mapping[str, Permission]] = {
    "assign": RULES[Deed.ASSIGN].permission,
    "hand_over": RULES[Deed.HAND_OVER].permission,
    "acknowledge": RULES[Deed.ACKNOWLEDGE].permission,
    "comment": RULES[Deed.COMMENT].permission,
    "decide": RULES[Deed.DECIDE].permission,
    "save_filter": Permission.EXCEPTIONS_WRITE,
    "delete_filter": Permission.EXCEPTIONS_WRITE,
}

Versions = Mapping[int, int] | None  # by case id


@dataclass(frozen=True, slots=True)
class FilterSaved:
    owner: str
    name: str
    version: int


class Cases:
    """Bulk commands take 1,000 exceptions at most; `version` belongs to a single one, `versions` to many.

    All raise Forbidden; for a single exception NotFound, Changed and CommandRefused; InvalidInput for bad values.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def assign(
        self,
        actor: Actor,
        case_ids: Sequence[int],
        assignee: str | None,
        *,
        version: int | None = None,
        versions: Versions = None,
    ) -> CasesChanged:
        """To a person by e-mail; None: to nobody."""
        return self._desk.run(
            actor, COMMANDS["assign"], lambda act: assign(act, case_ids, assignee, version=version, versions=versions)
        )

    def hand_over(
        self,
        actor: Actor,
        case_ids: Sequence[int],
        function: Function,
        reason: str,
        *,
        version: int | None = None,
        versions: Versions = None,
    ) -> CasesChanged:
        """To another function, whose own time begins now; nobody there has it yet."""
        return self._desk.run(
            actor,
            COMMANDS["hand_over"],
            lambda act: hand_over(act, case_ids, function, reason, version=version, versions=versions),
        )

    def acknowledge(
        self, actor: Actor, case_ids: Sequence[int], *, version: int | None = None, versions: Versions = None
    ) -> CasesChanged:
        """Say that somebody has seen it: the first response."""
        return self._desk.run(
            actor, COMMANDS["acknowledge"], lambda act: acknowledge(act, case_ids, version=version, versions=versions)
        )

    def comment(self, actor: Actor, case_id: int, text: str) -> CasesChanged:
        """Plain text of 4,000 characters at most, also on a closed exception."""
        return self._desk.run(actor, COMMANDS["comment"], lambda act: comment(act, case_id, text))

    def decide(
        self,
        actor: Actor,
        case_ids: Sequence[int],
        reason: str,
        *,
        version: int | None = None,
        versions: Versions = None,
    ) -> CasesChanged:
        """Close by decision: it comes back only with a new event of its contract, or with other words."""
        return self._desk.run(
            actor, COMMANDS["decide"], lambda act: decide(act, case_ids, reason, version=version, versions=versions)
        )

    def save_filter(
        self, actor: Actor, name: str, query: Mapping[str, str], *, shared: bool = False, version: int | None = None
    ) -> FilterSaved:
        """Make or replace the actor's filter of that name. `version` None: whatever it is now."""
        return self._desk.run(
            actor,
            COMMANDS["save_filter"],
            lambda act: save_filter(act, name, query, shared=shared, version=version),
        )

    def delete_filter(self, actor: Actor, name: str) -> FilterSaved:
        """The actor's own. Raises NotFound."""
        return self._desk.run(actor, COMMANDS["delete_filter"], lambda act: delete_filter(act, name))


_ASSIGN = sa.text("UPDATE core.case SET assignee = :assignee, version = version + 1 WHERE case_id = ANY(:ids)")
_HAND_OVER = sa.text("""
    UPDATE core.case AS k SET function = :function, assignee = NULL, due_at = r.due_at, version = k.version + 1
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(case_id bigint, due_at timestamptz)
    WHERE k.case_id = r.case_id
""")
_ACKNOWLEDGE = sa.text("""
    UPDATE core.case SET acknowledged_at = :now, acknowledged_by = :actor, version = version + 1
    WHERE case_id = ANY(:ids)
""")
# The contracts are locked, so that no event comes between what was decided on and what is remembered of it.
DECIDE: Final = sa.text("""
    UPDATE core.case AS k SET state = 'decided', closed_how = 'decision', resolved_at = :now, decided_by = :actor,
        decided_reason = :reason, decided_rev = c.wanted_rev, version = k.version + 1
    FROM core.contract AS c WHERE c.contract_id = k.contract_id AND k.case_id = ANY(:ids)
""")
_SAVE = sa.text("""
    INSERT INTO core.saved_filter AS f (owner, name, query, shared, created_at, updated_at)
    VALUES (:owner, :name, CAST(:query AS jsonb), :shared, :now, :now)
    ON CONFLICT (owner, name) DO UPDATE
    SET query = excluded.query, shared = excluded.shared, updated_at = excluded.updated_at, version = f.version + 1
    WHERE CAST(:version AS integer) IS NULL OR f.version = :version
    RETURNING version
""")
_COUNT = sa.text("SELECT count(*) FROM core.saved_filter WHERE owner = :owner AND name <> :name")
_DELETE = sa.text("DELETE FROM core.saved_filter WHERE owner = :owner AND name = :name RETURNING version")


def assign(
    act: Act, case_ids: Sequence[int], assignee: str | None, *, version: int | None = None, versions: Versions = None
) -> CasesChanged:
    person = None if assignee is None else words.person(assignee, "the assignee")
    chosen = choose(act, Needs(Deed.ASSIGN), case_ids, version=version, versions=versions)
    act.conn.execute(_ASSIGN, {"ids": chosen.ids, "assignee": person})
    remember(act, "assigned", chosen.rows, keeps=False, assignee=person)
    note(act, "exception.assign", chosen, {"assignee": person})
    return chosen.result


def hand_over(
    act: Act,
    case_ids: Sequence[int],
    function: Function,
    reason: str,
    *,
    version: int | None = None,
    versions: Versions = None,
) -> CasesChanged:
    why, receiver = words.reason(reason), _function(function)

    def there_already(row: Row) -> str | None:
        return f"exception {row.case_id} is with {receiver} already" if row.function == receiver else None

    needs = Needs(Deed.HAND_OVER, objection=there_already)
    chosen = choose(act, needs, case_ids, version=version, versions=versions)
    listed = [
        {"case_id": row.case_id, "due_at": due(act.estate, receiver, row.legal_entity, act.now)} for row in chosen.rows
    ]
    act.conn.execute(_HAND_OVER, {"function": receiver, "rows": orjson.dumps(listed).decode()})
    remember(act, "handed_over", chosen.rows, note=why, function=receiver, keeps=False)
    note(act, "exception.hand_over", chosen, {"function": receiver}, why)
    return chosen.result


def _function(given: str) -> Function:
    try:
        return Function(given)
    except ValueError as wrong:
        raise InvalidInput(f"{words.visible(given)[:40]!r} is no function; use one of {', '.join(Function)}") from wrong


def acknowledge(
    act: Act, case_ids: Sequence[int], *, version: int | None = None, versions: Versions = None
) -> CasesChanged:
    chosen = choose(act, Needs(Deed.ACKNOWLEDGE), case_ids, version=version, versions=versions)
    act.conn.execute(_ACKNOWLEDGE, {"ids": chosen.ids, "now": act.now, "actor": act.actor.name})
    remember(act, "acknowledged", chosen.rows)
    note(act, "exception.acknowledge", chosen, {"acknowledged_by": act.actor.name})
    return chosen.result


def comment(act: Act, case_id: int, text: str) -> CasesChanged:
    written = words.comment(text)
    chosen = choose(act, Needs(Deed.COMMENT), [case_id])
    remember(act, "commented", chosen.rows, note=written)
    note(act, "exception.comment", chosen, {"comment": written})
    return chosen.result


def decide(
    act: Act, case_ids: Sequence[int], reason: str, *, version: int | None = None, versions: Versions = None
) -> CasesChanged:
    why = words.reason(reason)
    chosen = choose(act, Needs(Deed.DECIDE, contracts=True), case_ids, version=version, versions=versions)
    close(act, chosen.rows, "decided", why)
    note(act, "exception.decide", chosen, {"state": "decided"}, why)
    return chosen.result


def close(act: Act, rows: Sequence[Row], what: str, why: str) -> None:
    """By decision, with its history. The contracts of `rows` are locked."""
    ids = [row.case_id for row in rows]
    act.conn.execute(DECIDE, {"ids": ids, "now": act.now, "actor": act.actor.name, "reason": why})
    remember(act, what, rows, note=why)


def save_filter(
    act: Act, name: str, query: Mapping[str, str], *, shared: bool = False, version: int | None = None
) -> FilterSaved:
    called = words.name(name, "the filter's name")
    if len(query) > MOST_TERMS:
        raise InvalidInput(f"a filter of {len(query)} terms; keep at most {MOST_TERMS}")
    terms = {words.name(key, "a term"): words.value(given, key) for key, given in query.items()}
    owner = act.actor.name
    if int(act.conn.scalar(_COUNT, {"owner": owner, "name": called}) or 0) >= MOST_FILTERS:
        raise InvalidInput(f"you have {MOST_FILTERS} filters; delete one first")
    bound = {"owner": owner, "name": called, "query": orjson.dumps(terms).decode(), "shared": shared, "now": act.now,
             "version": version}  # fmt: skip
    saved = act.conn.scalar(_SAVE, bound)
    if saved is None:
        raise Changed(f"the filter {called!r} was changed since you read it; look at it again")
    act.note(Entry("filter.save", f"filter {called}", detail={"query": terms, "shared": shared}))
    return FilterSaved(owner, called, int(saved))


def delete_filter(act: Act, name: str) -> FilterSaved:
    called = words.name(name, "the filter's name")
    version = act.conn.scalar(_DELETE, {"owner": act.actor.name, "name": called})
    if version is None:
        raise NotFound(f"you have no filter {called!r}")
    act.note(Entry("filter.delete", f"filter {called}"))
    return FilterSaved(act.actor.name, called, int(version))
