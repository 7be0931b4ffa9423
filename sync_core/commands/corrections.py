"""Typed corrections: what an exception's owner mends of the contract itself, stored as an event with its author.

Nothing is edited: the event stands behind the revision it corrects, and a later revision from the CLM stands above it.
The exception closes when a run no longer finds its cause, as always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.cases.corrections import CorrectionForm, NotCorrectable, Values, changes_of, form
from sync_core.cases.rules import Deed
from sync_core.cases.verdicts import Verdict, judge
from sync_core.checks import contract_findings
from sync_core.commands import words
from sync_core.commands.chosen import Needs, Row, choose, remember
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput, NotFound
from sync_core.commands.own_events import OWN, own_event, store
from sync_core.contract import Contract
from sync_core.events import CORRECTED, Event
from sync_core.findings import Finding
from sync_core.fold import fold
from sync_core.intake.contract_events import events_of
from sync_core.reads.timeline import Change, changes_between, flat
from sync_core.references.known_codes import held_tax_code

COMMANDS: Final[Mapping[str, Permission]] = {
    "preview": Permission.CORRECTIONS_WRITE,
    "submit": Permission.CORRECTIONS_WRITE,
}


@dataclass(frozen=True, slots=True)
class CorrectionPreview:
    """The contract before and after, and what its checks would still find; what only the ERP knows is not asked."""

    case_id: int
    version: int
    changes: tuple[Change, ...]
    remaining: tuple[Finding, ...]
    mends: bool | None  # None: only the ERP can tell
    verdict: str  # exactly what was checked, in words
    unseen: tuple[str, ...]  # codes among the new values that the ERP is not known to have


@dataclass(frozen=True, slots=True)
class CorrectionSubmitted:
    case_id: int
    event_id: str
    correlation_id: str
    changes: tuple[Change, ...]
    remaining: tuple[Finding, ...]
    verdict: str
    unseen: tuple[str, ...]


class Corrections:
    """Both raise Forbidden, NotFound, CommandRefused for an exception that is closed, InvalidInput naming the field."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def preview(self, actor: Actor, case_id: int, values: Values) -> CorrectionPreview:
        """Writes nothing, so it is no row of the audit either."""
        actor.require(COMMANDS["preview"])
        with self._desk.engine.connect() as conn:
            return preview(Act(conn, actor, self._desk.clock.now(), self._desk.estate), case_id, values)

    def submit(
        self, actor: Actor, case_id: int, values: Values, reason: str, *, version: int | None = None
    ) -> CorrectionSubmitted:
        """Raises Changed besides. The contract is due at once."""
        return self._desk.run(
            actor, COMMANDS["submit"], lambda act: submit(act, case_id, values, reason, version=version)
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A correction that was not stored."""

    row: Row
    form: CorrectionForm
    event: Event
    data: Mapping[str, object]
    before: Contract
    after: Contract
    changes: tuple[Change, ...]
    remaining: tuple[Finding, ...]
    verdict: Verdict


def preview(act: Act, case_id: int, values: Values) -> CorrectionPreview:
    draft = _draft(act, case_id, values, version=None, locks=False)
    said = draft.verdict
    return CorrectionPreview(
        case_id, draft.row.version, draft.changes, draft.remaining, said.mends, said.words, said.unseen
    )


def submit(act: Act, case_id: int, values: Values, reason: str, *, version: int | None = None) -> CorrectionSubmitted:
    why = words.reason(reason)
    draft = _draft(act, case_id, values, version=version, locks=True)
    said = draft.verdict
    if said.mends is False:
        raise InvalidInput(f"{said.words[0].lower()}{said.words[1:].removesuffix('.')}")
    attributes = {"author": act.actor.name, "reason": why, "function": draft.row.function}
    correlation_id = store(act, draft.event, draft.data, received_by="correction", attributes=attributes)
    remember(act, "corrected", [draft.row], note=why)
    _audit(act, draft, why, correlation_id)
    return CorrectionSubmitted(
        case_id, draft.event.id, correlation_id, draft.changes, draft.remaining, said.words, said.unseen
    )


def _draft(act: Act, case_id: int, values: Values, *, version: int | None, locks: bool) -> _Draft:
    needs = Needs(Deed.CORRECT, contracts=locks, locks=locks)
    row = choose(act, needs, [case_id], version=version).rows[0]
    events = events_of(act.conn, row.source, row.external_id)
    if not events:
        raise CommandRefused(f"contract {row.external_id} has no event yet; there is nothing to correct")
    if version is not None:
        _nothing_new(act, row)
    before = fold(events, day_at=act.estate.day_at)
    made = form(before.terms, row.cause, row.function, act.estate, {})
    if before.terms is None:
        raise CommandRefused(f"the terms of contract {row.external_id} were never sent; {made.where}")
    try:
        changes = changes_of(before.terms, made, values)
    except NotCorrectable as wrong:
        raise InvalidInput(wrong.message) from wrong
    if not changes:
        raise InvalidInput("these are the contract's values already; change at least one")
    _within_reach(act, row, changes)
    data = {"contract_id": row.external_id, "revision": before.revision, "overrides": before.revision,
            "changes": changes}  # fmt: skip
    event = own_event(act, CORRECTED, row.source, data)
    after = fold([*events, event], day_at=act.estate.day_at)
    shown = tuple(changes_between(flat(before), flat(after)))
    remaining = tuple(contract_findings(after, act.estate))
    said = _verdict(act, row, remaining, after, changes)
    return _Draft(row, made, event, data, before, after, shown, remaining, said)


def _verdict(
    act: Act, row: Row, remaining: Sequence[Finding], after: Contract, changes: Mapping[str, object]
) -> Verdict:
    if after.terms is None:
        raise CommandRefused(f"the terms of contract {row.external_id} were never sent; there is nothing to correct")
    terms = after.terms
    held = held_tax_code(act.conn, terms, terms.tax.tax_code or "", act.estate)
    return judge(row.cause, remaining, terms, changes, held, act.estate)


# Stored after the last run began, or once it was kept. A run that was skipped did not look at the exception; without
# any run left, what was stored after it was seen last.
_UNSEEN: Final = sa.text("""
    SELECT EXISTS (
        SELECT FROM core.event AS e
        WHERE e.source = :source AND e.external_id = :external_id AND NOT starts_with(e.id, :own)
          AND (e.recorded_at > coalesce(last.started_at, k.seen_at) OR e.recorded_xid > last.recorded_xid))
    FROM core.case AS k LEFT JOIN LATERAL (
        SELECT r.started_at, r.recorded_xid FROM core.run AS r
        WHERE r.contract_id = k.contract_id AND r.outcome <> 'skipped' ORDER BY r.started_at DESC LIMIT 1
    ) AS last ON true
    WHERE k.case_id = :case_id
""")


def _nothing_new(act: Act, row: Row) -> None:
    """A version is of what the last run saw: what a CLM sent since would be overwritten unread. Raises Changed.

    The revisions only say whether there is any news: what they are apart is no number of events.
    """
    if row.wanted_rev == row.done_rev:
        return
    asked = {"source": row.source, "external_id": row.external_id, "own": OWN, "case_id": row.case_id}
    if act.conn.scalar(_UNSEEN, asked):
        raise Changed(f"contract {row.external_id} got a new event; wait for its next run, then look at it again")


def _within_reach(act: Act, row: Row, changes: Mapping[str, object]) -> None:
    """Nobody moves a contract to a legal entity that is not theirs."""
    entity = changes.get("legal_entity")
    if isinstance(entity, str) and not act.actor.may(COMMANDS["submit"], entity=entity, function=row.function):
        raise NotFound(f"there is no legal entity {entity} within your reach")


def _audit(act: Act, draft: _Draft, why: str, correlation_id: str) -> None:
    detail = {
        "event": draft.event.id,
        "overrides": draft.before.revision,
        "cause": draft.row.cause,
        "before": {change.field: change.before for change in draft.changes},
        "after": {change.field: change.after for change in draft.changes},
        "remaining": [finding.cause for finding in draft.remaining],
        "unseen": list(draft.verdict.unseen),
    }
    act.note(
        Entry("correction.submit", f"exception {draft.row.case_id}", why, draft.row.contract_id,
              draft.row.legal_entity, correlation_id, detail)
    )  # fmt: skip
