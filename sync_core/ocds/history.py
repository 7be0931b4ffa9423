"""What is on record of a contract from releases: a version for each release that said something new."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sync_core.contract import Milestone, Stage, Terms
from sync_core.events import PREFIX, Amended, Changes, Drafted, Ended, Event, Signed
from sync_core.ocds.reading import MILESTONE, Statement

NOTE: Final = "ocds"  # where an event's data say which release it came from
_CHANGEABLE: Final = ("title", "customer", "legal_entity", "value", "starts_on", "ends_on")
_ENDED: Final = (Stage.CANCELLED, Stage.TERMINATED)


@dataclass(frozen=True, slots=True)
class Version:
    """The contract as releases up to one had it; what people corrected since is not in it."""

    release_id: str
    published_at: datetime
    terms: Terms
    stage: Stage
    signed: bool
    buyer: str
    supplier: str
    amendments: frozenset[str]  # keys of those that were noted
    number: int  # of the last amendment

    def changed_by(self, said: Statement) -> dict[str, object]:
        """Fields of the terms that the release itself states otherwise, with what it states."""
        unlike: dict[str, object] = {
            name: getattr(said.terms, name)
            for name in _CHANGEABLE
            if name in said.given and getattr(said.terms, name) != getattr(self.terms, name)
        }
        # How the estate maps a party is no news of the contract.
        if said.buyer == self.buyer and said.terms.customer.name == self.terms.customer.name:
            unlike.pop("customer", None)
        if said.supplier == self.supplier:
            unlike.pop("legal_entity", None)
        if self.currency_changed_by(said):
            unlike |= {"currency": said.terms.currency, "value": said.terms.value}
        return unlike

    def currency_changed_by(self, said: Statement) -> bool:
        return said.terms.currency != self.terms.currency

    def new_amendments(self, said: Statement) -> tuple[str, ...]:
        return tuple(noted.key for noted in said.amendments if noted.key not in self.amendments)

    def says(self, said: Statement) -> bool:
        """Whether the release says nothing that is not on record."""
        moved = stage_after(self.stage, said.stage) is not self.stage
        return not (moved or self.changed_by(said) or self.new_amendments(said))


def stage_after(now: Stage, said: Stage) -> Stage:
    """A release that calls a signed contract pending does not unsign it."""
    return now if said is Stage.DRAFT else said


def merged(terms: Terms, changes: Mapping[str, object]) -> Terms:
    """With the changes, and the one milestone over the whole value as it is then."""
    after = replace(terms, **changes)  # type: ignore[arg-type]  # made of the terms' own fields
    one = Milestone(MILESTONE, "Contract value", after.value, after.ends_on or after.starts_on)
    return replace(after, milestones=(one,) if after.value else ())


def versions(events: Iterable[Event]) -> list[Version]:
    """Oldest first, from the contract's stored events; those that came from no release are passed over."""
    ours = [event for event in events if NOTE in (event.payload.model_extra or {})]
    found: list[Version] = []
    for event in sorted(ours, key=lambda one: (one.payload.revision, _number(one), one.id)):
        version = _after(found, event)
        if version is None:
            continue
        if found and found[-1].release_id == version.release_id and found[-1].published_at == version.published_at:
            found[-1] = version  # a signature and its end in one release
        else:
            found.append(version)
    return found


def _number(event: Event) -> int:
    return event.payload.amendment.number if isinstance(event.payload, Amended) else 0


def _after(found: Sequence[Version], event: Event) -> Version | None:
    payload, note = event.payload, (event.payload.model_extra or {})[NOTE]
    last = found[-1] if found else None
    terms, stage = (last.terms, last.stage) if last else (None, Stage.DRAFT)
    number, signed = (last.number, last.signed) if last else (0, False)
    match payload:
        case Signed():
            terms, stage, signed = payload.terms, Stage.SIGNED, True
        case Drafted():
            terms = payload.terms
        case Amended() if terms is not None:
            terms, number = _amended(terms, payload.changes), max(number, payload.amendment.number)
        case Ended():
            stage = Stage.CANCELLED if event.type.startswith(f"{PREFIX}cancelled") else Stage.TERMINATED
    if terms is None:
        return None
    known = last.amendments if last else frozenset()
    return Version(
        release_id=str(note["release"]),
        published_at=datetime.fromisoformat(note["date"]),
        terms=terms,
        stage=stage,
        signed=signed,
        buyer=str(note["buyer"]),
        supplier=str(note["supplier"]),
        amendments=known.union(note["amendments"]),
        number=number,
    )


def _amended(terms: Terms, changes: Changes) -> Terms:
    told = changes.model_fields_set & {*_CHANGEABLE, "currency"}
    return merged(terms, {name: getattr(changes, name) for name in told})
