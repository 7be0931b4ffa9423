"""Evidence of one contract, taken out of Tieline: composed, signed and audited in one transaction."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.audit.checkpoint import Checkpoint, Signer
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound
from sync_core.evidence.evidence import MANIFEST, Subject, compose
from sync_core.evidence.sql import FIND

COMMANDS: Final[Mapping[str, Permission]] = {"export": Permission.EVIDENCE_READ}


@dataclass(frozen=True, slots=True)
class Exported:
    """The files by name. `as_of` is what to ask for to get the same bytes again."""

    of: Subject
    as_of: datetime
    files: Mapping[str, bytes]


class EvidenceExport:
    """`desk` carries the command out; `signer` signs the manifests."""

    def __init__(self, desk: Desk, signer: Signer) -> None:
        self._desk, self._signer = desk, signer

    def export(
        self,
        actor: Actor,
        external_id: str,
        *,
        source: str | None = None,
        as_of: datetime | None = None,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> Exported:
        """Of the contract with this id in its CLM; `source` where several CLMs have it. `as_of` None: now.

        Raises Forbidden, NotFound, InvalidInput for an ambiguous id or an as-of that is still to come, NotWhole.
        """
        return self._desk.run(
            actor,
            Permission.EVIDENCE_READ,
            lambda act: export(
                act, external_id, source=source, as_of=as_of, signer=self._signer, checkpoints=checkpoints
            ),
        )


def export(
    act: Act,
    external_id: str,
    *,
    source: str | None,
    as_of: datetime | None,
    signer: Signer,
    checkpoints: Sequence[Checkpoint],
) -> Exported:
    """One audit row with the SHA-256 of the manifest, by which the files that left can be told from others."""
    found = act.conn.execute(FIND, {"external_id": external_id, "source": source}).all()
    within = [row for row in found if act.actor.may(Permission.EVIDENCE_READ, entity=row.legal_entity)]
    row = _only(within, external_id)
    moment = act.now if as_of is None else as_of
    if moment.tzinfo is None or moment > act.now:
        raise InvalidInput("the as-of must be a moment with its time zone that is not still to come")
    of = Subject(row.contract_id, row.source, row.external_id)
    files = compose(act.conn, of, as_of=moment, signer=signer, checkpoints=checkpoints, day_at=act.estate.day_at)
    manifest = hashlib.sha256(files[MANIFEST]).hexdigest()
    detail = {"as_of": moment, "files": len(files), "manifest_sha256": manifest, "key_id": signer.public.id}
    act.note(
        Entry(
            "evidence.export",
            f"contract {of.external_id}",
            contract_id=of.contract_id,
            legal_entity=row.legal_entity or None,
            detail=detail,
        )
    )
    return Exported(of, moment, files)


def _only(rows: Sequence[sa.Row[tuple[object, ...]]], external_id: str) -> sa.Row[tuple[object, ...]]:
    if not rows:
        raise NotFound(f"there is no contract {external_id[:120]!r}; use its id in the CLM")
    if len(rows) > 1:
        sources = ", ".join(str(row.source) for row in rows)
        raise InvalidInput(f"contract {external_id[:120]!r} exists in several CLMs ({sources}); name one")
    return rows[0]
