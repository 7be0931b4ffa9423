"""What a person decides where two systems say something else of one field: the contract's value, or the ERP's.

Ours: the ERP gets the contract's value with the next run. The decision is of these two values and of no other: what
somebody puts there later asks anew. Theirs: a typed correction of the contract, an event with its author, by whoever
may set that field; the CLM is to be mended too, as after any correction. The exception closes once a run has read the
ERP back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final, TypeAlias

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Forbidden, Permission
from sync_core.cases.rules import Deed
from sync_core.checks import contract_findings
from sync_core.commands import words
from sync_core.commands.chosen import Needs, Row, choose, remember
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput
from sync_core.commands.own_events import own_event, store
from sync_core.contract import Contract, Terms
from sync_core.derive import derive
from sync_core.desired import Kind, Scalar, fields_of
from sync_core.engine.look import local_day
from sync_core.estate.estate import Estate
from sync_core.events import CORRECTED, Event
from sync_core.fold import fold
from sync_core.intake.contract_events import events_of
from sync_core.keys import BusinessKey
from sync_core.life.effective import in_force
from sync_core.life.lifecycle import on_day
from sync_core.life.rate_periods import line_of_time
from sync_core.reads.conflicts import Conflict, conflicts

_Values: TypeAlias = dict[tuple[Kind, BusinessKey, str], Scalar]
COMMANDS: Final[Mapping[str, Permission]] = {"resolve": Permission.CORRECTIONS_WRITE}


class Take(StrEnum):
    OURS = "ours"  # the contract's value is written to the ERP again
    THEIRS = "theirs"  # the ERP's value becomes the contract's


@dataclass(frozen=True, slots=True)
class ConflictsResolved:
    """`event_id` None: nothing of the ERP's was taken into the contract."""

    case_id: int
    kept: tuple[str, ...]
    taken: tuple[str, ...]
    event_id: str | None = None


# The run that writes it compares both values with these; the contract's row is locked by the caller.
_KEEP = sa.text("""
    UPDATE core.crosswalk AS x
    SET kept = coalesce(x.kept, '{}') || jsonb_build_object(r.field, jsonb_build_array(r.wanted, r.found))
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        system text, kind text, key text, field text, wanted jsonb, found jsonb)
    WHERE x.system = r.system AND x.kind = r.kind AND x.business_key = r.key
""")
_LATE: Final = sa.text("""
    SELECT id FROM core.event WHERE source = :source AND external_id = :contract AND recorded_at > :since
""")
_DATED: Final = sa.text("""
    SELECT DISTINCT system FROM core.crosswalk
    WHERE contract_id = :id AND kind = 'labour_rate' AND jsonb_exists(fields, 'valid_from')
""")
WAKE: Final = sa.text("""
    UPDATE core.contract SET wanted_rev = wanted_rev + 1, due_at = least(due_at, CAST(:now AS timestamptz))
    WHERE contract_id = ANY(:ids)
""")


class Conflicts:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def resolve(
        self, actor: Actor, case_id: int, decisions: Mapping[str, Take], reason: str, *, version: int | None = None
    ) -> ConflictsResolved:
        """`decisions` by the name of the conflict; what is not named stays open. The contract is due at once.

        Raises Forbidden, also for the ERP's value of a field that another function sets; NotFound, Changed,
        CommandRefused, and InvalidInput for a name that is none of its conflicts,
        a field that the contract does not state, or a value that would leave the contract contradicting itself.
        """
        return self._desk.run(
            actor, COMMANDS["resolve"], lambda act: resolve(act, case_id, decisions, reason, version=version)
        )


def resolve(
    act: Act, case_id: int, decisions: Mapping[str, Take], reason: str, *, version: int | None = None
) -> ConflictsResolved:
    why = words.reason(reason)
    row = choose(act, Needs(Deed.RESOLVE, contracts=True), [case_id], version=version).rows[0]
    known = {one.name: one for one in conflicts(act.conn, row.contract_id, act.estate)}
    unknown = [name for name in decisions if name not in known]
    if not decisions or unknown:
        named = f"{unknown[0]!r} is none of them" if unknown else "none was decided"
        raise InvalidInput(f"{named}; the exception has {', '.join(known) or 'no field any more'}")
    ours = [known[name] for name, take in decisions.items() if take is Take.OURS]
    theirs = [known[name] for name, take in decisions.items() if take is Take.THEIRS]
    _may_set(act, row, theirs)
    _keep(act, row, ours)
    event_id, correlation_id = _take(act, row, theirs, why) if theirs else (None, "")
    remember(act, "corrected", [row], note=_note(why, ours, theirs))
    detail = {
        "event": event_id,
        "fields": {
            one.name: {"contract": one.wanted, "erp": one.found, "agreed": one.agreed} for one in known.values()
        },
        "decisions": {name: take.value for name, take in decisions.items()},
    }
    act.note(
        Entry(
            "conflict.resolve", f"exception {case_id}", why, row.contract_id, row.legal_entity, correlation_id, detail
        )
    )
    return ConflictsResolved(case_id, tuple(o.name for o in ours), tuple(o.name for o in theirs), event_id)


def may_take(actor: Actor, one: Conflict, entity: str) -> bool:
    """Whether the ERP's value may come into a contract of this legal entity by them: by the function that may correct
    the field, and no other.
    """
    return one.setter is not None and actor.may(COMMANDS["resolve"], entity=entity, function=one.setter)


def _may_set(act: Act, row: Row, theirs: Sequence[Conflict]) -> None:
    """Raises Forbidden."""
    for one in theirs:
        if one.setter is not None and not may_take(act.actor, one, row.legal_entity):
            who = one.setter.value.replace("_", " ")
            told = f"the ERP's {one.name} is for {who} to take into the contract: hand the exception over to {who}, or"
            raise Forbidden(COMMANDS["resolve"], f"{told} keep the contract's value")


def _note(why: str, ours: Sequence[Conflict], theirs: Sequence[Conflict]) -> str:
    told = [f"kept the contract's {one.name}: {one.wanted}" for one in ours]
    told += [f"took the ERP's {one.name}: {one.found}" for one in theirs]
    return "\n".join([why, *told])


def _keep(act: Act, row: Row, ours: Sequence[Conflict]) -> None:
    if ours:
        rows = [
            {"system": o.system, "kind": o.kind, "key": o.key, "field": o.field, "wanted": o.wanted, "found": o.found}
            for o in ours
        ]
        act.conn.execute(_KEEP, {"rows": orjson.dumps(rows).decode()})
    act.conn.execute(WAKE, {"ids": [row.contract_id], "now": act.now})
    act.wakes = True


def _take(act: Act, row: Row, theirs: Sequence[Conflict], why: str) -> tuple[str, str]:
    """Id and correlation id of the correction."""
    events = events_of(act.conn, row.source, row.external_id)
    before = fold(events, day_at=act.estate.day_at)
    if before.terms is None:
        raise CommandRefused(f"the terms of contract {row.external_id} were never sent; there is nothing to correct")
    lacked = {finding.cause for finding in contract_findings(before, act.estate)}
    if lacked:
        raise Changed(f"contract {row.external_id} changed since; wait for its next run, then decide")
    _as_shown(act, row, theirs, events)
    today = local_day(before, act.estate, act.now)
    not_ahead(before, theirs, act.estate, today)
    _not_over_time(act, row, before, theirs)
    changes = changes_to(before.terms, theirs, today) | _renewal_of(before, theirs, today)
    data = {"contract_id": row.external_id, "revision": before.revision, "overrides": before.revision,
            "changes": changes}  # fmt: skip
    event = own_event(act, CORRECTED, row.source, data)
    wrong = contract_findings(fold([*events, event], day_at=act.estate.day_at), act.estate)
    if wrong:
        raise InvalidInput(f"with the ERP's value the contract would contradict itself: {wrong[0].message}")
    attributes = {"author": act.actor.name, "reason": why, "function": row.function}
    return event.id, store(act, event, data, received_by="correction", attributes=attributes)


def _as_shown(act: Act, row: Row, theirs: Sequence[Conflict], events: Sequence[Event]) -> None:
    """Raises Changed: the contract says something else than the person saw, such as by an amendment since."""
    since = min(one.seen_at for one in theirs)
    late = set(act.conn.execute(_LATE, {"source": row.source, "contract": row.external_id, "since": since}).scalars())
    before = _wanted(act, [event for event in events if event.id not in late], since)
    now = _wanted(act, events, act.now)
    for one in theirs:
        at = one.kind, one.key, one.field
        if before.get(at) != now.get(at):
            told = f"by contract {row.external_id}, {one.name} is {now.get(at) or 'empty'} now"
            raise Changed(f"{told}; wait for its next run, look at both values again, then decide")
    if row.wanted_rev != row.done_rev:
        raise Changed(f"contract {row.external_id} changed since; wait for its next run, then decide")


def _wanted(act: Act, events: Sequence[Event], at: datetime) -> _Values:
    """By object and field what the contract asked for at that moment; nothing where it contradicts itself."""
    contract = fold(events, day_at=act.estate.day_at) if events else None
    if contract is None or contract_findings(contract, act.estate):
        return {}
    return _values(contract, act.estate, local_day(contract, act.estate, at))


def _values(contract: Contract, estate: Estate, on: date) -> _Values:
    objects = derive(contract, estate, on=on).objects
    return {(o.kind, o.key, name): value for o in objects for name, value in fields_of(o).items()}


def not_ahead(contract: Contract, theirs: Sequence[Conflict], estate: Estate, today: date) -> None:
    """Raises CommandRefused: an amendment changes the very field on a day that lies ahead, and a correction would stand
    above both values.
    """
    now = _values(contract, estate, today)
    for day in sorted({one.until for one in contract.dated if one.until > today}):
        then = _values(replace(in_force(contract, day)[0], dated=()), estate, today)
        for one in theirs:
            at = one.kind, one.key, one.field
            if at not in then or then[at] != now.get(at):
                amended = "takes it out" if at not in then else f"makes it {then[at] or 'empty'}"
                told = f"an amendment {amended} from {day}; keep the contract's value, or amend it in the CLM"
                raise CommandRefused(f"{one.name} cannot be taken from the ERP: {told}")


def _not_over_time(act: Act, row: Row, contract: Contract, theirs: Sequence[Conflict]) -> None:
    """Raises CommandRefused: an ERP with dated prices holds several of a category, and a correction is of one rate."""
    rates = [one for one in theirs if one.kind is Kind.LABOUR_RATE]
    dated = set(act.conn.execute(_DATED, {"id": row.contract_id}).scalars()) if rates else set()
    line = line_of_time(contract) if dated else {}
    for one in rates:
        if one.system in dated and len(line.get(one.part.partition("@")[0], ())) > 1:
            told = f"{one.name} is one of several prices over time"
            raise CommandRefused(f"{told}: keep the contract's value, or amend it in the CLM from a day")


def _renewal_of(contract: Contract, theirs: Sequence[Conflict], today: date) -> dict[str, object]:
    """The end of a contract that was renewed by itself is the end of that renewal. Raises CommandRefused."""
    terms, now = contract.terms, on_day(contract, today).contract.terms
    if terms is None or now is None or now.renewal == terms.renewal or all(one.path != "ends_on" for one in theirs):
        return {}
    if contract.renewal_notice is not None:
        raise CommandRefused("something was said of its next renewal; keep the contract's end, or amend it in the CLM")
    return {"renewal": _plain(now.renewal)}


def changes_to(terms: Terms, theirs: Sequence[Conflict], today: date) -> dict[str, object]:
    """The `changes` of a corrected event that put the ERP's values into the contract. Raises InvalidInput.

    `terms` are as they will be: what else of a part waits for its day stays so (sync_core/life/effective.py).
    """
    changes: dict[str, object] = {}
    for one in theirs:
        path = one.path
        if path is None:
            raise InvalidInput(
                f"{one.name} is not stated by the contract: keep the contract's value, or mend the policy"
            )
        head, _, name = path.partition(".")
        if not name:
            changes[head] = one.found
        elif one.part:
            _change_part(terms, changes, (head, name), one, today)
        else:
            held = changes.get(head, getattr(terms, head))
            changes[head] = {**_plain(held), name: one.found}
    return changes


def _change_part(terms: Terms, changes: dict[str, object], path: tuple[str, str], one: Conflict, today: date) -> None:
    head, name = path
    listed: list[object] = getattr(terms, head) if head != "lines" or terms.lines else []
    fitting = [part for part in listed if one.part in (getattr(part, "key", None), getattr(part, "category", None))]
    if head == "rates":  # the one in force, as the plan had it
        begun = [part for part in fitting if (getattr(part, "valid_from", None) or date.min) <= today]
        fitting = sorted(begun or fitting, key=lambda part: getattr(part, "valid_from", None) or date.min)[-1:]
    if not fitting:
        raise InvalidInput(f"{one.name} is not stated by the contract itself; keep the contract's value")
    made = changes.setdefault(head, [])
    assert isinstance(made, list)  # noqa: S101 - narrows the type
    known = next((part for part in made if part.get("key", part.get("category")) == one.part), None)
    if known is None:
        known = _plain(fitting[0])
        made.append(known)
    known[name] = one.found


def _plain(value: object) -> dict[str, Scalar]:
    if isinstance(value, dict):
        return value
    plain: dict[str, Scalar] = orjson.loads(orjson.dumps(value, default=str))
    return plain
