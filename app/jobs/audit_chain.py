"""The audit's key, its checkpoints and the daily verification: what the command line and the workers share."""

import asyncio
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson
import sqlalchemy as sa

from app.settings import InvalidSettings
from app.wiring import Wiring
from sync_core.audit import checkpoint as audit_checkpoint
from sync_core.audit.checkpoint import Checkpoint, InvalidCheckpoint, InvalidKey, PublicKey, Signer
from sync_core.audit.reading import verify_database
from sync_core.audit.verify import Finding, Flaw, Verdict
from sync_core.errors import TielineError
from sync_core.reads.audit import VERIFIED

KEY: Final = "TIELINE_AUDIT_KEY"

_KEEP = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")


class AuditBroken(TielineError):
    """The audit is not what was written; the message names the first bad row. Find out who can write there."""

    code = "audit.broken"


def signer(wiring: Wiring) -> Signer:
    """From TIELINE_AUDIT_KEY, else from the home, where it is made the first time. Raises InvalidSettings."""
    known = wiring.secret(KEY)
    if known is None:
        wiring.home.prepare()
        known = wiring.home.make_secrets()[KEY]
    return _parsed(known)


def trusted(wiring: Wiring, files: Iterable[Path] = ()) -> Mapping[str, PublicKey]:
    """Public keys by id: our own if there is one, and those in `files`. Raises InvalidSettings."""
    known = wiring.secret(KEY)
    own = [_parsed(known).public] if known else []
    return {key.id: key for key in (*own, *public_keys(files))}


def public_keys(files: Iterable[Path]) -> list[PublicKey]:
    """Raises InvalidSettings for a file without a public key of ours."""
    found = []
    for path in files:
        try:
            found.append(PublicKey.parse(path.read_text(encoding="utf-8", errors="replace")))
        except InvalidKey as wrong:
            raise InvalidSettings(f"--key {path}: {wrong.message}") from wrong
    return found


def _parsed(text: str) -> Signer:
    try:
        return Signer.parse(text)
    except InvalidKey as wrong:
        raise InvalidSettings(f"{KEY}: {wrong.message}") from wrong


def folder(wiring: Wiring) -> Path:
    """Where checkpoints are kept: TIELINE_AUDIT_CHECKPOINTS, else in the home."""
    return wiring.settings.audit_checkpoints or wiring.home.path / "checkpoints"


def read(files: Iterable[Path], keys: Mapping[str, PublicKey]) -> tuple[list[Checkpoint], list[str]]:
    """Those that can be trusted, oldest row first, and what is wrong with the others."""
    good, bad = [], []
    for path in files:
        try:
            good.append(audit_checkpoint.read(path.read_bytes(), keys, name=path.name))
        except InvalidCheckpoint as wrong:
            bad.append(wrong.message)
    return sorted(good, key=lambda one: (one.id, one.occurred_at)), bad


def kept(wiring: Wiring) -> list[Path]:
    """All checkpoints in the folder. Raises InvalidSettings for a folder of the settings that is not there.

    A share that is not mounted would look like one without checkpoints, and then a tail that was cut off is not found.
    """
    where = folder(wiring)
    if where.is_dir():
        return sorted(path for path in where.iterdir() if path.suffix == ".json")
    if wiring.settings.audit_checkpoints is not None:
        raise InvalidSettings(f"TIELINE_AUDIT_CHECKPOINTS: there is no folder {where}; make it, or mount it")
    return []


def verify(
    wiring: Wiring,
    files: Sequence[Path] | None = None,
    *,
    keys: Mapping[str, PublicKey] | None = None,
    stop: threading.Event | None = None,
) -> Verdict:
    """With all checkpoints of the folder unless `files` names others. A bad row goes before a bad checkpoint."""
    good, bad = read(kept(wiring) if files is None else files, trusted(wiring) if keys is None else keys)
    engine = wiring.engine(pool_size=1)
    try:
        verdict = verify_database(engine, good, stop=stop)
    finally:
        engine.dispose()
    if verdict.whole and bad:
        finding = Finding(Flaw.CHECKPOINT, None, bad[0])
        return Verdict(finding, verdict.rows, verdict.last, verdict.hash, verdict.checkpoints)
    return verdict


def checkpoint(wiring: Wiring, verdict: Verdict) -> Checkpoint:
    """Sign what was verified just now. Raises AuditBroken when it is not whole: a signature would bless it."""
    if verdict.finding is not None:
        raise AuditBroken(f"the audit is broken, nothing was signed: {verdict.finding.message}")
    now = wiring.clock.now()
    return audit_checkpoint.make(
        signer(wiring), last_id=verdict.last, last_hash=verdict.hash, rows=verdict.rows, now=now
    )


def sign(wiring: Wiring, verdict: Verdict, out: Path | None = None) -> Checkpoint:
    """Into the folder, unless `out` names another place; the page Audit knows of it at once. Raises AuditBroken."""
    made = checkpoint(wiring, verdict)
    path = out or folder(wiring) / made.file_name
    is_one_more = out is None and not path.exists()
    write(made, path)
    keep(wiring, verdict, checkpoints=verdict.checkpoints + is_one_more)
    return made


def write(one: Checkpoint, path: Path) -> Path:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(one.text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return path


async def daily(wiring: Wiring) -> str:
    """Verify all of it, keep the result for the page, and sign a checkpoint. Raises AuditBroken.

    In a thread: it computes for some ten seconds per million rows, while the worker goes on.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_daily, wiring, stop)
    finally:
        stop.set()


def _daily(wiring: Wiring, stop: threading.Event) -> str:
    own = signer(wiring).public
    verdict = verify(wiring, keys={own.id: own}, stop=stop)
    keep(wiring, verdict)
    if verdict.finding is not None:
        raise AuditBroken(f"the audit is broken: {verdict.finding.message}")
    newest = kept(wiring)[-1:]
    if verdict.rows == 0 or (newest and newest[0].name.startswith(f"audit-{verdict.last:012d}-")):
        return f"{verdict.rows} audit rows verified, none since the last checkpoint"
    sign(wiring, verdict)
    return f"{verdict.rows} audit rows verified, checkpoint signed at row {verdict.last}"


def keep(wiring: Wiring, verdict: Verdict, *, checkpoints: int | None = None) -> None:
    """What the page Audit says of the chain from now on. `checkpoints`: with one that was signed since."""
    finding = verdict.finding
    told = {
        "whole": verdict.whole,
        "rows": verdict.rows,
        "checkpoints": verdict.checkpoints if checkpoints is None else checkpoints,
        "message": finding.message if finding else "",
        "row_id": finding.row_id if finding else None,
    }
    engine = wiring.engine(pool_size=1)
    try:
        with engine.begin() as conn:
            value = orjson.dumps(told).decode()
            conn.execute(_KEEP, {"name": VERIFIED, "value": value, "now": wiring.clock.now()})
    finally:
        engine.dispose()
