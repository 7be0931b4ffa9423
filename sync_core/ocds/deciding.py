"""What a release adds to what is on record of its contract: a contract, an amendment, nothing new, or a finding.

An event is known by the release's ocid and id (and its contract, as a release may hold several). A publisher that
publishes a release again under its id, with a later date and other content, has changed the contract all the same.
Amendments are numbered here, in the order of the releases: publishers begin at 0 or 1, leave gaps, or number none.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import orjson

from sync_core.contract import Contract, Stage, Terms
from sync_core.estate.estate import Estate
from sync_core.events import PREFIX, SchemaUnknown
from sync_core.intake.cloudevents import CloudEvent, parse_structured
from sync_core.intake.rows import understood
from sync_core.ocds.findings import Finding, Why
from sync_core.ocds.history import NOTE, Version, merged, stage_after
from sync_core.ocds.reading import Statement

_LONGEST_ID: Final = 300  # characters of an event's id
_MOST_SUMMARY: Final = 1_000


class Became(StrEnum):
    """What became of a release, or of one contract in it."""

    CONTRACT = "contract"
    AMENDMENT = "amendment"
    FINDING = "finding"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class Decision:
    """`version`: what is on record afterwards; the last one where nothing is new."""

    said: Statement
    became: Became
    version: Version | None
    events: tuple[CloudEvent, ...] = ()
    finding: Finding | None = None

    def contract(self, source: str) -> Contract | None:
        """As it would be, for its checks; None where nothing is new."""
        if self.version is None or not self.events:
            return None
        signed_at = self.said.signed_at if self.version.signed else None
        known, terms = self.said.external_id, self.version.terms
        ended_on = self.said.ended_on if self.version.stage in (Stage.CANCELLED, Stage.TERMINATED) else None
        return Contract(source, known, self.version.stage, terms, signed_at=signed_at, ended_on=ended_on)


def decide(known: Sequence[Version], said: Statement, source: str, estate: Estate) -> Decision:
    """`known`: all versions on record, oldest first."""
    if not known:
        return _told(None, said, source, estate, again=False)
    same = [version for version in known if version.release_id == said.place.release_id]
    if any(version.published_at == said.published_at or version.says(said) for version in same):
        return Decision(said, Became.REPEAT, known[-1])
    last = known[-1]
    in_force = next((v for v in reversed(known) if v.published_at <= said.published_at), known[0])
    late = said.published_at < last.published_at
    if in_force.says(said) and (late or not said.amends):
        return Decision(said, Became.REPEAT, last)
    if late:
        return _superseded(last, said)
    return _told(last, said, source, estate, again=bool(same))


def _superseded(last: Version, said: Statement) -> Decision:
    words = (
        f"it is of {said.published_at:%Y-%m-%d %H:%M} and says otherwise than release {last.release_id} of "
        f"{last.published_at:%Y-%m-%d %H:%M}, which stands; nothing is to be done. To have both in a contract's "
        "history, import older files first"
    )
    return Decision(said, Became.FINDING, last, (), Finding(Why.SUPERSEDED, said.place, words, said.contract_id))


def _told(last: Version | None, said: Statement, source: str, estate: Estate, *, again: bool) -> Decision:
    version = _version(last, said)
    events = []
    for number, (kind, data) in enumerate(_payloads(last, version, said), 1):
        event = _event(said, kind, data, source, number=number, again=again)
        try:
            understood(event, estate)
        except SchemaUnknown as wrong:
            finding = Finding(Why.NOT_UNDERSTOOD, said.place, wrong.message, said.contract_id)
            return Decision(said, Became.FINDING, last, (), finding)
        events.append(event)
    return Decision(said, Became.AMENDMENT if last else Became.CONTRACT, version, tuple(events))


def _version(last: Version | None, said: Statement) -> Version:
    keys = frozenset(noted.key for noted in said.amendments)
    version = Version(
        release_id=said.place.release_id,
        published_at=said.published_at,
        terms=said.terms,
        stage=said.stage,
        signed=said.stage in (Stage.SIGNED, Stage.TERMINATED) or "signed_at" in said.given,
        buyer=said.buyer,
        supplier=said.supplier,
        amendments=keys,
        number=0,
    )
    if last is None:
        return version
    changes = last.changed_by(said)
    terms = merged(last.terms, changes) if changes else last.terms
    return replace(
        version,
        terms=terms,
        stage=stage_after(last.stage, said.stage),
        signed=last.signed or version.signed,
        buyer=said.buyer or last.buyer,
        supplier=said.supplier or last.supplier,
        amendments=last.amendments | keys,
        number=last.number + _amends(last, version, said),
    )


def _amends(last: Version, version: Version, said: Statement) -> bool:
    """Whether it changes a signed contract otherwise than by an end or a new signature."""
    if not last.signed or _signs(last, version, said):
        return False
    return bool(last.changed_by(said) or last.new_amendments(said) or said.amends)


def _signs(last: Version | None, version: Version, said: Statement) -> bool:
    """Whether the whole terms are told: first, signed at last, or in force again."""
    if last is None:
        return True
    revived = version.stage is Stage.SIGNED and last.stage is not Stage.SIGNED
    return not last.signed or revived


def _payloads(last: Version | None, version: Version, said: Statement) -> list[tuple[str, dict[str, object]]]:
    told: list[tuple[str, dict[str, object]]] = []
    if _signs(last, version, said):
        terms: dict[str, object] = {"terms": version.terms}
        told.append(("signed.v1", {"signed_at": said.signed_at, **terms}) if version.signed else ("drafted.v1", terms))
    elif last is not None and version.number > last.number:
        told.append(("amended.v1", _amendment(last, version, said)))
    ended = version.stage in (Stage.CANCELLED, Stage.TERMINATED)
    if ended and (last is None or last.stage is not version.stage):
        told.append((f"{version.stage}.v1", {"ended_on": said.ended_on, "reason": "As its release says"}))
    return told


def _amendment(last: Version, version: Version, said: Statement) -> dict[str, object]:
    new = set(last.new_amendments(said))
    noted = [one for one in said.amendments if one.key in new]
    executed_at = max((one.executed_at for one in noted if one.executed_at), default=said.published_at)
    summary = "; ".join(dict.fromkeys(one.summary or f"Amendment {one.key}" for one in noted))
    changes = last.changed_by(said)
    if version.terms.milestones != last.terms.milestones:
        changes |= _milestones(last.terms, version.terms)
    header = {"number": version.number, "executed_at": executed_at, "summary": summary[:_MOST_SUMMARY]}
    return {"amendment": header, "changes": changes}


def _milestones(before: Terms, after: Terms) -> dict[str, object]:
    if after.milestones:
        return {"milestones": after.milestones}
    return {"remove_milestones": [one.key for one in before.milestones]}


def _event(
    said: Statement, kind: str, data: Mapping[str, object], source: str, *, number: int, again: bool
) -> CloudEvent:
    place = said.place
    note = {
        "ocid": place.ocid,
        "release": place.release_id,
        "contract": said.contract_id,
        "date": said.published_at.isoformat(),
        "buyer": said.buyer,
        "supplier": said.supplier,
        "amendments": [noted.key for noted in said.amendments],
        "assumed": said.assumed,
    }
    # Readable, and rising with the release's date: 20190318093000.
    revision = int(f"{said.published_at:%Y%m%d%H%M%S}")
    body = {
        "specversion": "1.0",
        "id": _id(said, number, again=again),
        "source": source,
        "type": f"{PREFIX}{kind}",
        "time": said.published_at.isoformat(),
        "data": {"contract_id": said.external_id, "revision": revision, **data, NOTE: note},
    }
    return parse_structured(orjson.dumps(body, default=str))


def _id(said: Statement, number: int, *, again: bool) -> str:
    place = said.place
    parts = [place.ocid, place.release_id, said.contract_id, *([said.published_at.isoformat()] if again else [])]
    named = " ".join(parts)
    if len(named) > _LONGEST_ID or not named.isprintable():
        named = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{named} {number}"
