"""What legal decides on a silent change: to accept what the CLM published, as a typed correction with an author.

That the agreed terms stay is the other answer: closing the exception by decision (sync_core/commands/cases.py), or the
CLM publishes them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.cases.rules import Deed
from sync_core.commands import words
from sync_core.commands.chosen import Needs, Row, choose, remember
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, NotFound
from sync_core.commands.own_events import own_event, store
from sync_core.contract import Contract
from sync_core.events import CORRECTED
from sync_core.fold import fold
from sync_core.intake.contract_events import events_of
from sync_core.life import amendment_days
from sync_core.life.contract_words import Change, changes_between, flat
from sync_core.life.restated import finding
from sync_core.life.silent import accepting

COMMANDS: Final[Mapping[str, Permission]] = {"accept": Permission.CORRECTIONS_WRITE}


@dataclass(frozen=True, slots=True)
class SilentAccepted:
    case_id: int
    event_id: str
    correlation_id: str
    changes: tuple[Change, ...]


class Amendments:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def accept(self, actor: Actor, case_id: int, reason: str, *, version: int | None = None) -> SilentAccepted:
        """What was published silently becomes the agreed terms; the contract is due at once.

        Raises Forbidden, NotFound, Changed where something else was published since, CommandRefused, InvalidInput.
        """
        return self._desk.run(actor, COMMANDS["accept"], lambda act: accept(act, case_id, reason, version=version))


def accept(act: Act, case_id: int, reason: str, *, version: int | None = None) -> SilentAccepted:
    why = words.reason(reason)
    row = choose(act, Needs(Deed.ACCEPT, contracts=True), [case_id], version=version).rows[0]
    events = events_of(act.conn, row.source, row.external_id)
    before = fold(events, day_at=act.estate.day_at)
    _still(act, row, before)
    changes_of_terms, days = accepting(before), amendment_days.accepting(before)
    if not changes_of_terms and not days:
        numbers = ", ".join(str(one.number) for one in before.silent_days)
        raise CommandRefused(f"amendment {numbers} was never sent; have the CLM send it, or close this by decision")
    data = {"contract_id": row.external_id, "revision": before.revision, "overrides": before.revision,
            "changes": changes_of_terms}  # fmt: skip
    if days:
        data["amendment_days"] = days
    event = own_event(act, CORRECTED, row.source, data)
    after = fold([*events, event], day_at=act.estate.day_at)
    changes = tuple(changes_between(flat(before), flat(after)))
    attributes = {"author": act.actor.name, "reason": why, "function": row.function}
    correlation_id = store(act, event, data, received_by="correction", attributes=attributes)
    remember(act, "corrected", [row], note=why)
    detail = {
        "event": event.id,
        "published": before.silent_since,
        "before": {change.field: change.before for change in changes},
        "after": {change.field: change.after for change in changes},
    }
    act.note(
        Entry(
            "amendment.accept", f"exception {case_id}", why, row.contract_id, row.legal_entity, correlation_id, detail
        )
    )
    return SilentAccepted(case_id, event.id, correlation_id, changes)


def _still(act: Act, row: Row, contract: Contract) -> None:
    """Nobody accepts what they did not see. Raises CommandRefused, Changed, NotFound."""
    if not contract.differs_silently:
        raise CommandRefused(f"what was published of {row.external_id} is agreed by now; the next run closes this")
    told = finding(contract).message
    if told != row.message:
        raise Changed(f"contract {row.external_id} changed since: {told}; wait for its next run, then decide")
    entity = next((one.stated for one in contract.silent if one.path == ("legal_entity", "")), None)
    if isinstance(entity, str) and not act.actor.may(COMMANDS["accept"], entity=entity, function=row.function):
        raise NotFound(f"there is no legal entity {entity} within your reach")
