"""A snapshot as files: workbook, board pack, each table as CSV and Parquet, the key, and a signed manifest of them all.

The same content, release and key give the same bytes. Hashes of the tables' data do not depend on the release.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from metrics import weeks
from metrics.kpi import Span, Unit, Value
from metrics.snapshot import wording
from metrics.snapshot.content import Content, Restated
from metrics.snapshot.table import Table
from metrics.snapshot.tables import tables_of
from sync_core.audit.audit import canonical
from sync_core.audit.checkpoint import InvalidKey, PublicKey, Signer
from sync_core.errors import TielineError

# Of v1 the states were those of the moment it was made; of v2 rows and legal entities were of the week, where the
# headline was of four; of v3 exchange rates were those of the flows alone, one a currency.
KIND: Final = "tieline.snapshot.v4"
_KINDS: Final = frozenset({*(f"tieline.snapshot.v{version}" for version in (1, 2, 3)), KIND})
MANIFEST, KEY_FILE, BOARD_PACK, WORKBOOK = "manifest.json", "key.pem", "board-pack.pdf", "workbook.xlsx"


class SnapshotBroken(TielineError):
    """The files are not as they were made; the message names the first that differs."""

    code = "snapshot.broken"


@dataclass(frozen=True, slots=True)
class Package:
    """All files by name, the manifest last. `content_id`: what two packages share only if they say the same."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]

    @property
    def content_id(self) -> str:
        """SHA-256 of the manifest, which holds the hash of every other file."""
        return hashlib.sha256(self.files[MANIFEST]).hexdigest()


@dataclass(frozen=True, slots=True)
class Verified:
    """A folder that is as it was made. `key_given`: the key came from elsewhere, so the signature proves its author."""

    week: str
    as_of: str
    release: str
    files: int
    tables: int
    key_id: str
    key_given: bool


def package(content: Content, *, release: str, signer: Signer) -> Package:
    """Takes some seconds for large tables; give it a thread."""
    # Here, because every worker can make a snapshot and few do: pandas and PyArrow are half a second of a start.
    from metrics.snapshot.flat import csv_of, parquet_of
    from metrics.snapshot.pdf import board_pack
    from metrics.snapshot.xlsx import workbook

    tables = tables_of(content)
    files = {
        BOARD_PACK: board_pack(content, release=release),
        WORKBOOK: workbook(content, tables),
        **{f"{table.name.replace('_', '-')}.csv": csv_of(table) for table in tables},
        **{f"{table.name.replace('_', '-')}.parquet": parquet_of(table) for table in tables},
        KEY_FILE: signer.public.pem.encode(),
    }
    manifest = _manifest(content, tables, files, release=release, signer=signer)
    return Package({**files, MANIFEST: _pretty(manifest)}, manifest)


def _manifest(
    content: Content, tables: list[Table], files: Mapping[str, bytes], *, release: str, signer: Signer
) -> dict[str, Any]:
    since = content.restatement.since
    told: dict[str, Any] = {
        "kind": KIND,
        "group": content.group,
        "week": weeks.week_name(content.week),
        "window": {"from": content.week.isoformat(), "to": (content.week + timedelta(days=7)).isoformat()},
        "zone": content.zone,
        "week_over": content.over,
        "as_of": _text(content.as_of),
        "data_as_of": _text(content.data_as_of),
        "restated_since": None if since is None else _text(since),
        "release": release,
        "policy_version": content.policy,
        "reporting_currency": content.reporting,
        "exchange_rates": [
            {"currency": one.currency, "rate": format(one.rate.normalize(), "f"), "valid_from": one.valid_from,
             "used_for": one.uses}
            for one in content.rates
        ],
        "definitions": {one.definition.slug: one.definition.version for one in content.kpis},
        "states": _states(content),
        "restated": [_restated(content, one) for one in content.restatement.kpis],
        "counts": {
            "measures": len(content.kpis), "restated_measures": len(content.restatement.kpis),
            "moved_contracts": content.restatement.contracts, "moved_complete": content.restatement.complete,
        },
        "measured_anew": _anew(content),
        "redefined": [
            {"kpi": slug, "version_before": before, "version": now}
            for slug, (before, now) in sorted(content.restatement.redefined.items())
        ],
        "tables": [
            {"name": one.name, "rows": len(one.rows), "total": one.total, "data_sha256": one.sha256} for one in tables
        ],
        "files": [
            {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            for name, body in files.items()
        ],
        "key_id": signer.public.id,
    }  # fmt: skip
    plain: dict[str, Any] = orjson.loads(orjson.dumps(told))
    return {**plain, "signature": signer.sign(_signed_part(plain))}


def _states(content: Content) -> list[dict[str, Any]]:
    """The moment that each state is of; without one it is not known."""
    return [
        {"kpi": one.definition.slug, "as_of": None if one.at is None else _text(one.at),
         "data_as_of": None if one.data_as_of is None else _text(one.data_as_of),
         "why_none": one.answer.why_none if one.at is None else ""}
        for one in content.kpis if one.span is Span.STATE
    ]  # fmt: skip


def _restated(content: Content, one: Restated) -> dict[str, Any]:
    unit = next(kpi.definition.unit for kpi in content.kpis if kpi.definition.slug == one.slug)
    before, after = (_exact(value, unit, content.reporting) for value in (one.before, one.after))
    return {"kpi": one.slug, "before": before, "after": after, "n_before": one.n_before, "n_after": one.n_after,
            "by_contracts": one.by_contracts, "by_stated": one.by_stated, "by_release": one.by_release,
            "of_before": one.of_before, "of": one.of}  # fmt: skip


def _anew(content: Content) -> dict[str, Any] | None:
    """That all was measured anew since the first report, by which release; None: it was not."""
    told = content.restatement.anew
    if told is None:
        return None
    return {"at": _text(told.at), "why": told.why, "release": told.release, "contracts": told.contracts,
            "complete": told.complete}  # fmt: skip


def _exact(value: Value, unit: Unit, currency: str) -> str | None:
    """As text, so that no digit is lost."""
    exact = wording.exact(value, unit, currency)
    return None if exact is None else format(exact, "f")


def _signed_part(manifest: Mapping[str, Any]) -> bytes:
    return canonical({name: value for name, value in manifest.items() if name != "signature"}).encode()


def headlines(content: Content) -> list[dict[str, Any]]:
    """What the history keeps of each measure, to compare weeks by; money as text, so that no digit is lost."""
    return [
        {
            "slug": one.definition.slug, "title": one.definition.title, "unit": one.definition.unit.value,
            "better": one.definition.better.value, "version": one.definition.version,
            "of": one.of, "at": None if one.at is None else _text(one.at),
            "value": _digits(one.headline.value),
            "previous": None if one.previous is None else _digits(one.previous.value),
            "n": one.headline.n, "n_open": one.headline.n_open, "why_none": one.headline.why_none,
        }
        for one in content.kpis
    ]  # fmt: skip


def _digits(value: Value) -> str | None:
    return None if (exact := wording.decimal_of(value)) is None else format(exact, "f")


def verify(folder: Path, keys: Mapping[str, PublicKey]) -> Verified:
    """Offline: signature, every file's hash, no file missing or added. Raises SnapshotBroken.

    `keys`: those that are trusted, by id; without any, the folder's own key is taken at its word.
    """
    manifest = _read(folder / MANIFEST)
    key = _key(folder, str(manifest.get("key_id")), keys)
    if not key.accepts(_signed_part(manifest), str(manifest.get("signature"))):
        raise SnapshotBroken(f"{MANIFEST} does not carry a valid signature of key {key.id}: it was changed")
    listed = {str(one["name"]): str(one["sha256"]) for one in manifest["files"]}
    present = {path.name for path in folder.iterdir() if path.name != MANIFEST}
    if missing := sorted(listed.keys() - present):
        raise SnapshotBroken(f"{missing[0]} is missing")
    if added := sorted(present - listed.keys()):
        raise SnapshotBroken(f"{added[0]} is no part of the snapshot")
    for name, digest in listed.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise SnapshotBroken(f"{name} is not as it was made")
    return Verified(
        str(manifest["week"]), str(manifest["as_of"]), str(manifest["release"]), len(listed), len(manifest["tables"]),
        key.id, bool(keys),
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as wrong:
        raise SnapshotBroken(f"{path.name} cannot be read: {type(wrong).__name__}") from wrong
    if not isinstance(found, dict) or found.get("kind") not in _KINDS:
        raise SnapshotBroken(f"{path.name} is none of a snapshot of ours")
    return found


def _key(folder: Path, key_id: str, keys: Mapping[str, PublicKey]) -> PublicKey:
    if keys:
        if key_id not in keys:
            raise SnapshotBroken(f"it is signed with key {key_id[:40]!r}, which is not one of those given")
        return keys[key_id]
    try:
        own = PublicKey.parse((folder / KEY_FILE).read_text(encoding="utf-8", errors="replace"))
    except (OSError, InvalidKey) as wrong:
        raise SnapshotBroken(f"{KEY_FILE} cannot be read: give the key with --key") from wrong
    if own.id != key_id:
        raise SnapshotBroken(f"{KEY_FILE} is not the key {key_id[:40]!r} that the manifest names")
    return own


def _pretty(manifest: Mapping[str, Any]) -> bytes:
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
