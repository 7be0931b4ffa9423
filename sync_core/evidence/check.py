"""Whether a folder of evidence is as it was made: offline, from its files and a public key alone."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from sync_core.audit.audit import Row, content_of, link
from sync_core.audit.checkpoint import Checkpoint, InvalidCheckpoint, InvalidKey, PublicKey, read
from sync_core.errors import TielineError
from sync_core.evidence.evidence import FILES, KIND, MANIFEST, signed_part
from sync_core.evidence.proof import CHECKPOINT


class EvidenceBroken(TielineError):
    """The evidence is not as it was made; the message names the first file or row that is not."""

    code = "evidence.broken"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found good. `key_given` False: the folder's own key was taken, which proves nothing about its maker."""

    external_id: str
    as_of: str
    files: int
    audit_rows: int
    checkpoints: int
    key_id: str
    key_given: bool


def check(folder: Path, keys: Mapping[str, PublicKey]) -> Checked:
    """`keys` by id; none: the folder's own is taken. Raises EvidenceBroken at the first thing that is wrong."""
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        key = _key(folder, manifest, keys)
        _files(folder, manifest)
        rows = [_row(orjson.loads(line)) for line in (folder / "audit.jsonl").read_bytes().splitlines()]
        proof = orjson.loads((folder / "proof.json").read_bytes())
        checkpoints = [read(orjson.dumps(one), keys or {key.id: key}, name=f"at row {one['id']}")
                       for one in proof["checkpoints"]]  # fmt: skip
        _chain(rows, proof["stretches"], checkpoints, manifest["head"])
        return Checked(manifest["external_id"], manifest["as_of"], len(FILES) + 1, len(rows), len(checkpoints), key.id,
                       bool(keys))  # fmt: skip
    except FileNotFoundError as wrong:
        raise EvidenceBroken(f"{wrong.filename} is missing") from wrong
    except InvalidCheckpoint as wrong:
        raise EvidenceBroken(wrong.message) from wrong
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise EvidenceBroken(
            f"a file of {folder} is not as Tieline writes it: {type(wrong).__name__}: {wrong}"
        ) from wrong


def _key(folder: Path, manifest: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> PublicKey:
    if manifest["kind"] != KIND:
        raise EvidenceBroken(f"{MANIFEST} is of another kind than {KIND}")
    known = keys
    if not known:
        try:
            own = PublicKey.parse((folder / "key.pem").read_text(encoding="utf-8"))
        except InvalidKey as wrong:
            raise EvidenceBroken(f"key.pem: {wrong.message}") from wrong
        known = {own.id: own}
    key = known.get(manifest["key_id"])
    if key is None:
        raise EvidenceBroken(f"{MANIFEST} is signed with key {manifest['key_id']!r}, not with the one given")
    if not key.accepts(signed_part(manifest), manifest["signature"]):
        raise EvidenceBroken(f"{MANIFEST} does not carry a valid signature of key {key.id}: it was changed")
    return key


def _files(folder: Path, manifest: Mapping[str, Any]) -> None:
    listed = manifest["files"]
    if set(listed) != set(FILES):
        raise EvidenceBroken(f"{MANIFEST} does not list the files of this release")
    for name in FILES:
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != listed[name]["sha256"]:
            raise EvidenceBroken(f"{name} was changed: its SHA-256 is not the one in {MANIFEST}")
    strange = sorted({path.name for path in folder.iterdir()} - {*FILES, MANIFEST})
    if strange:
        raise EvidenceBroken(f"{strange[0]} does not belong to the evidence: {MANIFEST} does not list it")


def _row(told: Mapping[str, Any]) -> Row:
    root = told["items_root"]
    return Row(**{
        **told,
        "occurred_at": datetime.fromisoformat(told["occurred_at"]),
        "items_root": None if root is None else bytes.fromhex(root),
        "previous": bytes.fromhex(told["previous"]),
        "hash": bytes.fromhex(told["hash"]),
    })  # fmt: skip


def _chain(
    rows: Sequence[Row],
    stretches: Sequence[Mapping[str, Any]],
    checkpoints: Sequence[Checkpoint],
    head: Mapping[str, Any],
) -> None:
    places: dict[int, tuple[bytes, bytes]] = {}
    vouched = {(one.id, one.hash) for one in checkpoints}
    for stretch in stretches:
        end = (stretch["last"], stretch["hash"])
        by_checkpoint = stretch["vouched_by"] == CHECKPOINT
        if end not in vouched if by_checkpoint else end != (head["id"], head["hash"]):
            raise EvidenceBroken(f"nothing vouches for audit row {stretch['last']}, where a stretch of the proof ends")
        current = bytes.fromhex(stretch["previous"])
        for number, content in enumerate(stretch["contents"], stretch["first"]):
            places[number] = (current, bytes.fromhex(content))
            current = link(current, bytes.fromhex(content))
        if len(stretch["contents"]) != stretch["last"] - stretch["first"] + 1 or current.hex() != stretch["hash"]:
            raise EvidenceBroken(
                f"audit rows {stretch['first']} to {stretch['last']} do not lead to the hash that is proved"
            )
    for row in rows:
        place = places.get(row.id)
        content = content_of(row)
        if place != (row.previous, content) or link(row.previous, content) != row.hash:
            raise EvidenceBroken(f"audit row {row.id} is not the one that stands in the chain")
