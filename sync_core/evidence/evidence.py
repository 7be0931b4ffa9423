"""Evidence of one contract: files that an auditor can read and check without Tieline and without its database.

The same contract, as-of, checkpoints and key give the same bytes, so that two people who make it can compare them. Only
what was recorded before the as-of is in it; the crosswalk is the present one, of what was confirmed before the as-of.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import COLUMNS, GENESIS, Row, canonical
from sync_core.audit.checkpoint import Checkpoint, Signer
from sync_core.audit.diagnosis import Head
from sync_core.events import DECIDED, PREFIX, Event, SchemaUnknown, understand
from sync_core.evidence import sql
from sync_core.evidence.proof import linked, stretches
from sync_core.evidence.readme import README
from sync_core.fold import fold
from sync_core.life.agreements import DayAt

KIND: Final = "tieline.evidence.v1"
MANIFEST: Final = "manifest.json"
FILES: Final = (
    "README.txt", "contract.json", "events.jsonl", "plans.jsonl", "approvals.json", "exceptions.json", "crosswalk.json",
    "financial.json", "holds.json", "audit.jsonl", "proof.json", "key.pem",
)  # fmt: skip
_APPROVING: Final = [DECIDED, f"{PREFIX}approved.v1"]

_AT_ONCE: Final = 2_000

_ROWS = sa.text(f"SELECT {COLUMNS} FROM core.audit WHERE id BETWEEN :first AND :last ORDER BY id")
_CHOSEN = sa.text(f"SELECT {COLUMNS} FROM core.audit WHERE id = ANY(:ids) ORDER BY id")


@dataclass(frozen=True, slots=True)
class Subject:
    """The contract that the evidence is of."""

    contract_id: int
    source: str
    external_id: str


def compose(
    conn: sa.Connection, of: Subject, *, as_of: datetime, signer: Signer, checkpoints: Sequence[Checkpoint],
    day_at: DayAt,
) -> dict[str, bytes]:  # fmt: skip
    """All files by name, the manifest last. Checkpoints made at or after the as-of are left aside. Raises NotWhole."""
    moment = as_of.astimezone(UTC)
    conn.execute(sql.UTC_TEXTS)
    asked = {"contract": of.contract_id, "source": of.source, "external_id": of.external_id, "as_of": moment}
    head = _head(conn, moment)
    ids = list(conn.scalars(sql.AUDIT_IDS, {"contract": of.contract_id, "as_of": moment, "head": head.id}))
    known = [one for one in checkpoints if one.occurred_at < moment]
    key_id = signer.public.id
    files = {
        "README.txt": README.format(
            external_id=of.external_id, source=of.source, as_of=_text(moment), key_id=key_id
        ).encode(),
        "contract.json": _pretty(_contract(conn, of, asked, day_at)),
        "events.jsonl": _lines(conn, sql.EVENTS, asked),
        "plans.jsonl": _lines(conn, sql.PLANS, asked),
        "approvals.json": _array(conn, sql.APPROVALS, {**asked, "approving": _APPROVING}),
        "exceptions.json": _array(conn, sql.EXCEPTIONS, asked),
        "crosswalk.json": _array(conn, sql.CROSSWALK, asked),
        "financial.json": _array(conn, sql.FINANCIAL, asked),
        "holds.json": _array(conn, sql.HOLDS, asked),
        "audit.jsonl": b"".join(_audit_line(Row._make(row)) for row in conn.execute(_CHOSEN, {"ids": ids})),
        "proof.json": _pretty(_proof(conn, ids, known, head)),
        "key.pem": signer.public.pem.encode(),
    }
    return {**files, MANIFEST: _manifest(of, moment, files, head, signer)}


def signed_part(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest that its signature is over."""
    return canonical({name: value for name, value in manifest.items() if name != "signature"}).encode()


def _manifest(of: Subject, moment: datetime, files: Mapping[str, bytes], head: Head, signer: Signer) -> bytes:
    manifest = {
        "kind": KIND,
        "source": of.source,
        "external_id": of.external_id,
        "as_of": _text(moment),
        "head": {"id": head.id, "hash": head.hash.hex()},
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)} for name, body in files.items()
        },
        "key_id": signer.public.id,
    }
    return _pretty({**manifest, "signature": signer.sign(signed_part(manifest))})


def _contract(conn: sa.Connection, of: Subject, asked: Mapping[str, object], day_at: DayAt) -> dict[str, object]:
    """What cannot be understood is named; it is in events.jsonl as it came."""
    bound = {name: asked[name] for name in ("source", "external_id", "as_of")}
    events, unread = [], []
    for row in conn.execute(sql.FOLDED, bound):
        try:
            payload = understand(row.type, row.data)
        except SchemaUnknown as wrong:
            unread.append({"id": row.id, "why": wrong.message})
        else:
            events.append(Event(row.source, row.id, row.type, row.occurred_at, payload))
    folded = asdict(fold(events, day_at=day_at)) if events else None
    return {"as_of": asked["as_of"], "source": of.source, "contract_id": of.external_id, "contract": folded,
            "not_understood": unread}  # fmt: skip


def _proof(conn: sa.Connection, ids: Sequence[int], checkpoints: Sequence[Checkpoint], head: Head) -> dict[str, object]:
    parts = stretches(ids, checkpoints, head)
    ends = {part.last for part in parts}
    return {
        "stretches": [linked(part, _between(conn, part.first, part.last)) for part in parts],
        "checkpoints": [one.as_json for one in checkpoints if one.id in ends],
    }


def _between(conn: sa.Connection, first: int, last: int) -> Iterator[Row]:
    streamed = {"yield_per": _AT_ONCE}
    for row in conn.execute(_ROWS, {"first": first, "last": last}, execution_options=streamed):
        yield Row._make(row)


def _head(conn: sa.Connection, moment: datetime) -> Head:
    found = conn.execute(sql.HEAD, {"as_of": moment}).one_or_none()
    return Head(0, GENESIS) if found is None else Head(int(found.id), bytes(found.hash))


def audit_fields(row: Row) -> dict[str, object]:
    """A row as audit.jsonl has it: nothing of it is lost, so that its hash can be made anew."""
    plain = row._asdict()
    plain["occurred_at"] = _text(row.occurred_at)
    for name in ("items_root", "previous", "hash"):
        plain[name] = None if plain[name] is None else bytes(plain[name]).hex()
    return plain


def _audit_line(row: Row) -> bytes:
    return orjson.dumps(audit_fields(row), option=orjson.OPT_APPEND_NEWLINE)


def _lines(conn: sa.Connection, statement: sa.TextClause, asked: Mapping[str, object]) -> bytes:
    return "".join(f"{text}\n" for text in _texts(conn, statement, asked)).encode()


def _array(conn: sa.Connection, statement: sa.TextClause, asked: Mapping[str, object]) -> bytes:
    texts = _texts(conn, statement, asked)
    return ("[\n" + ",\n".join(texts) + "\n]\n" if texts else "[]\n").encode()


def _texts(conn: sa.Connection, statement: sa.TextClause, asked: Mapping[str, object]) -> list[str]:
    return [str(text) for text in conn.scalars(statement, {name: asked[name] for name in statement.compile().params})]


def _pretty(value: object) -> bytes:
    """Sorted and indented, ending in a newline; a decimal is a text, exact to the digit."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    return orjson.dumps(value, default=str, option=options)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
