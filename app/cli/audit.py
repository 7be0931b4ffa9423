"""The command line's part for auditors: verify the audit, sign its state, write and check evidence of a contract."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.actor import operator_of_this_machine
from app.cli.begin import wiring_of
from app.cli.refusals import Exit, Refusal

Json = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
Keys = Annotated[
    list[Path] | None, typer.Option("--key", help="A public key (PEM) to trust; may be repeated.", exists=True)
]
audit = typer.Typer(help="Verify the audit, sign its state, print the key that signs.", no_args_is_help=True)


@audit.command()
def verify(
    as_json: Json = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="Instead of those of the folder; may be repeated.", exists=True),
    ] = None,
    key: Keys = None,
) -> None:
    """Read the whole audit and say whether it is what was written; if not, name the first bad row."""
    from app.jobs import audit_chain

    wiring = wiring_of("audit")
    verdict = audit_chain.verify(wiring, checkpoint, keys=audit_chain.trusted(wiring, key or ()))
    finding = verdict.finding
    if checkpoint is None:
        audit_chain.keep(wiring, verdict)
    if as_json:
        typer.echo(json.dumps({
            "whole": verdict.whole, "rows": verdict.rows, "last": verdict.last, "hash": verdict.hash.hex(),
            "checkpoints": verdict.checkpoints, "flaw": finding and finding.flaw, "row": finding and finding.row_id,
            "message": finding and finding.message,
        }))  # fmt: skip
    elif finding is None:
        many = "1 checkpoint agrees" if verdict.checkpoints == 1 else f"{verdict.checkpoints} checkpoints agree"
        typer.echo(f"The audit is whole: {verdict.rows:,} rows, {many}.")
    if finding is not None:
        raise Refusal(f"The audit is broken: {finding.message}", Exit.AUDIT_BROKEN)


@audit.command()
def checkpoint(
    out: Annotated[Path | None, typer.Option(help="Write it here, not to the folder of checkpoints.")] = None,
) -> None:
    """Verify the audit, then sign its last row; keep what this prints where the database's owner cannot write."""
    from app.jobs import audit_chain

    wiring = wiring_of("audit")
    verdict = audit_chain.verify(wiring)
    if verdict.finding is not None:
        audit_chain.keep(wiring, verdict)
        raise Refusal(f"The audit is broken, nothing was signed: {verdict.finding.message}", Exit.AUDIT_BROKEN)
    if verdict.rows == 0:
        raise Refusal("The audit has no rows yet, so there is nothing to sign.", Exit.REFUSED)
    typer.echo(audit_chain.sign(wiring, verdict, out).text, nl=False)


@audit.command()
def key() -> None:
    """Print the public key that checkpoints and evidence are checked with; it is made the first time."""
    from app.jobs import audit_chain

    typer.echo(audit_chain.signer(wiring_of("audit")).public.pem, nl=False)


def evidence(
    contract: Annotated[str, typer.Argument(help="The contract's id in its CLM.")],
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
    clm: Annotated[str | None, typer.Option(help="The CLM's name or source, when several have this id.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="Only what was recorded before, UTC; the same as-of gives the same bytes.")
    ] = None,
) -> None:
    """Write all that is known of a contract, with proof, to a folder that an auditor can check without Tieline."""
    from app.jobs import audit_chain
    from sync_core.commands.desk import Desk
    from sync_core.commands.evidence import EvidenceExport
    from sync_core.evidence.proof import NotWhole

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refusal(f"{out} is not empty: evidence is never mixed with other files; name a new folder.", Exit.REFUSED)
    wiring = wiring_of("evidence")
    signer = audit_chain.signer(wiring)
    checkpoints, _ = audit_chain.read(audit_chain.kept(wiring), audit_chain.trusted(wiring))
    source = next((one.source for one in wiring.estate.clm if one.name == clm), clm)
    desk = Desk(wiring.engine(pool_size=1), wiring.clock, wiring.estate)
    moment = None if as_of is None else as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    try:
        made = EvidenceExport(desk, signer).export(
            operator_of_this_machine(), contract, source=source, as_of=moment, checkpoints=checkpoints
        )
    except NotWhole as wrong:
        raise Refusal(f"No evidence was made: {wrong.message}", Exit.AUDIT_BROKEN) from wrong
    out.mkdir(parents=True, exist_ok=True)
    for name, body in made.files.items():
        (out / name).write_bytes(body)
    as_of_text = made.as_of.astimezone(UTC).isoformat(timespec="microseconds")
    typer.echo(f"{len(made.files)} files in {out}, as of {as_of_text}, signed with key {signer.public.id}.")


def evidence_verify(
    folder: Annotated[Path, typer.Argument(help="What `tieline evidence` wrote.", exists=True, file_okay=False)],
    key: Keys = None,
) -> None:
    """Check a folder of evidence, offline: every file, every signature, every audit row's place in the chain."""
    from app.jobs import audit_chain
    from sync_core.evidence.check import EvidenceBroken, check

    given = audit_chain.public_keys(key or ())
    try:
        found = check(folder, {one.id: one for one in given})
    except EvidenceBroken as wrong:
        raise Refusal(f"The evidence cannot be relied on: {wrong.message}", Exit.EVIDENCE_BROKEN) from wrong
    typer.echo(
        f"The evidence of {found.external_id} as of {found.as_of} is as it was made: {found.files} files, "
        f"{found.audit_rows} audit rows in the chain, {found.checkpoints} checkpoints, key {found.key_id}."
    )
    if not found.key_given:
        typer.echo("The key was the folder's own: compare its id with the one you were told, or give --key.")
