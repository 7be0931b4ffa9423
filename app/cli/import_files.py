"""`tieline import`: contracts from files that others publish."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.table import draw, table
from app.cli.work import plain, text
from sync_core.money import written

if TYPE_CHECKING:
    from app.cli.refusals import Refusal
    from app.wiring import Wiring
    from sync_core.commands.ocds_import import Imported, Taken
    from sync_core.estate.estate import Clm
    from sync_core.ocds.findings import Finding

imports = typer.Typer(help="Contracts from files that others publish; docs/import.md.", no_args_is_help=True)

_GZIP: Final = b"\x1f\x8b"
_LISTED: Final = 20  # findings on the terminal; a file takes them all


@imports.callback()
def _group() -> None:
    """A group of its own, though it has one command."""


@imports.command()
def ocds(
    file: Annotated[Path, typer.Argument(help="Releases, packages or records of OCDS: JSON, JSON lines, or gzip.")],
    source: Annotated[
        str | None, typer.Option(help="Name of the source in the estate file, where it has several.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; show what each would become.")] = False,
    trial: Annotated[bool, typer.Option("--trial", help="As trial contracts, which no measure counts.")] = False,
    findings: Annotated[Path | None, typer.Option(help="Write all findings into this file, as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Take in contract releases of the Open Contracting Data Standard. Safe to repeat: nothing is taken in twice."""
    from app.cli.begin import wiring_of

    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    wiring = wiring_of("import")
    done = asyncio.run(_take_in(wiring, _source(wiring, source), file, trial=trial, dry_run=dry_run))
    if findings is not None:
        findings.write_bytes(_csv(done.findings))
    if as_json:
        typer.echo(json.dumps(_counts(done)))
    unread = _unread(done, file)
    if unread:
        raise unread
    if as_json:
        return
    if dry_run:
        _show(done.taken)
    _say(done, dry_run=dry_run)
    _list(done.findings, findings)


async def _take_in(wiring: "Wiring", clm: "Clm", file: Path, *, trial: bool, dry_run: bool) -> "Imported":
    from app.cli.actor import operator_of_this_machine
    from sync_core.commands.ocds_import import OcdsImport
    from sync_core.ocds.packaging import releases

    engine = wiring.async_engine(pool_size=1)
    try:
        one = OcdsImport(engine, clock=wiring.clock, estate=wiring.estate)
        read = releases(_lines(file))
        return await one.take_in(operator_of_this_machine(), clm, read, file=file.name, trial=trial, dry_run=dry_run)
    finally:
        await engine.dispose()


def _source(wiring: "Wiring", name: str | None) -> "Clm":
    from app.cli.refusals import Exit, Refusal
    from sync_core.ocds.rules import KIND

    found = [clm for clm in wiring.estate.clm if clm.kind == KIND and name in (None, clm.name)]
    if len(found) == 1:
        return found[0]
    if name is not None:
        raise Refusal(
            f"the estate has no [[clm]] {plain(name)} of kind {KIND}; add it, see docs/import.md", Exit.SETTINGS
        )
    if found:
        names = ", ".join(clm.name for clm in found)
        raise Refusal(f"the estate has several sources of kind {KIND}: {names}; choose one by --source", Exit.SETTINGS)
    raise Refusal(f"the estate has no [[clm]] of kind {KIND}; add one, see docs/import.md", Exit.SETTINGS)


def _lines(file: Path) -> Iterator[bytes]:
    """Of the file, unpacked. Raises Refusal when it ends too early."""
    from app.cli.refusals import Exit, Refusal

    with file.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        try:
            yield from gzip.open(raw) if packed else raw  # noqa: SIM115 - closed with the file below it
        except (EOFError, gzip.BadGzipFile, zlib.error) as wrong:
            raise Refusal(f"{file.name} cannot be unpacked ({wrong}); get it anew", Exit.REFUSED) from wrong


def _unread(done: "Imported", file: Path) -> "Refusal | None":
    """Where there is not one release in it, it is another kind of file."""
    from app.cli.refusals import Exit, Refusal
    from sync_core.ocds.findings import Why

    if done.taken or not {one.why for one in done.findings} <= {Why.NOT_JSON, Why.NOT_A_RELEASE}:
        return None
    first = f" ({plain(done.findings[0].message.partition(';')[0])})" if done.findings else " (it is empty)"
    return Refusal(
        f"{file.name} holds no release that can be read{first}. Give releases, packages or records of OCDS as JSON, or "
        "one a line; get a table (CSV, XLSX) as JSON from its publisher, or convert it with Flatten Tool (flatten-tool "
        "unflatten), and import that.",
        Exit.USAGE,
    )


def _counts(done: "Imported") -> dict[str, int]:
    from sync_core.ocds.deciding import Became

    return {f"{kind.value}s": done.count(kind) for kind in Became}


def _say(done: "Imported", *, dry_run: bool) -> None:
    counts = ", ".join(f"{number:,} {name}" for name, number in _counts(done).items())
    typer.echo(f"{len(done.became):,} releases: {counts}" + ("; nothing was stored" if dry_run else ""))
    for cause, number in done.waiting.most_common():
        typer.echo(f"{number:,} wait{'s' if number == 1 else ''} for {cause}")


def _show(taken: "Sequence[Taken]") -> None:
    drawn = table("release", "becomes", "contract", "value", "customer", "supplier", "entity", "waits for", "assumed")
    for one in taken:
        said, terms = one.said, one.said.terms
        assumed = text("; ".join(said.assumed))
        drawn.add_row(
            text(said.place.release_id), one.became.value, text(said.external_id), written(terms.value, terms.currency),
            text(terms.customer.code), text(said.supplier), text(terms.legal_entity), ", ".join(one.waits_for), assumed,
        )  # fmt: skip
    draw(drawn)


def _list(findings: "Sequence[Finding]", file: Path | None) -> None:
    for one in findings[:_LISTED]:
        where = f"{one.place}" + (f", contract {one.contract}" if one.contract else "")
        typer.echo(f"{one.why.value}: {plain(where)}: {plain(one.message)}", err=True)
    if len(findings) > _LISTED:
        where = f"{file} has all" if file else "--findings FILE takes them all"
        typer.echo(f"and {len(findings) - _LISTED:,} more; {plain(where)}", err=True)


def _csv(findings: "Sequence[Finding]") -> bytes:
    import pandas as pd

    from sync_core.reads.export import safe_csv

    columns = ["where", "ocid", "release", "contract", "finding", "what_to_do"]
    rows = [
        (one.place.words, one.place.ocid, one.place.release_id, one.contract, one.why.value, one.message)
        for one in findings
    ]
    return safe_csv(pd.DataFrame(rows, columns=columns))
