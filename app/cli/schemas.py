"""`tieline schemas`: versions of events, who sends them, whether stored ones fit another, registrations, new fields."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, Reason, of_all, plain, print_json, print_page, text, work

if TYPE_CHECKING:
    from sync_core.schemas.fit import Difference, Fit
    from sync_core.schemas.registered import Rename

schemas = typer.Typer(
    help="Versions of events: list, check against what is stored, register, acknowledge.", no_args_is_help=True
)
File = Annotated[Path, typer.Argument(help="A JSON Schema, 2020-12.")]
Type = Annotated[str, typer.Option("--type", help="An event version, such as com.tieline.contract.signed.v2.")]
_MOST: Final = 10_000


@schemas.command(name="list")
def list_versions(as_json: AsJson = False) -> None:
    """Show each version: its state and dates, its owner, how many events of it came, and what waits for one."""
    from app.api.schemas import SchemaVersionView

    reads = work("schemas").reads
    found = reads.schema_versions()
    if as_json:
        print_json([SchemaVersionView.model_validate(one) for one in found])
        return
    shown = table("version", "state", "owner", "since", "removed at the earliest", "30 days", "in all", "sent by")
    for one in found:
        senders = ", ".join(
            f"{client.source} by {'our own ' if client.own else ''}{client.received_by} ({client.lately:,})"
            for client in one.clients
        )
        shown.add_row(
            text(one.name), "registered" if one.registered else one.state, one.owner.replace("_", " "),
            text(one.since), str(one.sunset_on or ""), f"{one.lately:,}", f"{one.events:,}", text(senders),
        )  # fmt: skip
    draw(shown)
    for waits in reads.unknown_versions():
        signed = f", {waits.signatures:,} of them signatures" if waits.signatures else ""
        typer.echo(f"unknown: {plain(waits.type)}, {waits.events:,} events in quarantine{signed}", err=True)


@schemas.command()
def show(name: Annotated[str, typer.Argument(help="An event version.")]) -> None:
    """Print the JSON Schema of a version."""
    import json

    typer.echo(json.dumps(_schema(name), indent=2))


@schemas.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="A JSON Schema; this release's own for the type if left out.")
    ] = None,
    event_type: Type = "",
    limit: Annotated[int, typer.Option(min=1, help="Newest events that are looked at.")] = _MOST,
    every: Annotated[bool, typer.Option("--all", help="Look at all of them, however many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Would stored events of a type fit a schema, and what would it break? Writes nothing; refuses if it breaks."""
    import orjson

    from sync_core.schemas.fit import compare
    from sync_core.schemas.registered import validator_of

    if not event_type:
        raise typer.BadParameter("name the version whose stored events are looked at", param_hint="--type")
    before = _schema(event_type)
    after = _read(file) if file else before
    differences = compare(before, after)
    found = work("schemas").reads.fits(event_type, validator_of(after), most=None if every else limit)
    if as_json:
        misfits, told = [asdict(one) for one in found.first], [asdict(one) for one in differences]
        whole = {"differences": told, "seen": found.seen, "fitting": found.fitting, "misfits": misfits}
        typer.echo(orjson.dumps(whole).decode())
    else:
        _told(differences, found, event_type)
    if found.fitting < found.seen or any(one.breaking for one in differences):
        raise Refusal("It would break something; the lines above say what.", Exit.REFUSED)


@schemas.command()
def registrations(limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show the versions that were registered while Tieline runs, those in force first."""
    from app.api.schemas import registration_view
    from sync_core.reads.paging import Window

    page = work("schemas").reads.schema_registrations(Window(limit))
    if as_json:
        print_page(page, registration_view)
        return
    shown = table("id", "version", "read as", "renames", "by", "state", "why")
    for one in page.rows:
        renames = ", ".join(f"{theirs} → {ours}" for theirs, ours in one.renames)
        state = f"withdrawn by {one.withdrawn_by}" if one.withdrawn_at else "in force"
        shown.add_row(
            str(one.registration_id), text(one.type), text(one.reads_as), text(renames), text(one.registered_by),
            text(state), text(one.reason),
        )  # fmt: skip
    draw(shown)
    of_all(page)


@schemas.command()
def register(
    file: File,
    event_type: Type,
    reads_as: Annotated[str, typer.Option(help="The version of this release that it is read as.")],
    reason: Reason,
    rename: Annotated[
        list[str] | None, typer.Option(help="Their field = ours, such as terms.lines[].sum=terms.lines[].amount.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be released.")] = False,
) -> None:
    """Register a version that this release does not know, and release what waits in quarantine for it."""
    from sync_core.commands.schemas import Proposed

    one = work("schemas")
    proposed = Proposed(event_type, _text(file), reads_as, tuple(_rename(each) for each in rename or ()))
    if dry_run:
        seen = one.commands.schemas.preview(one.actor, proposed)
        typer.echo(
            f"{seen.waiting:,} events wait for it; of {seen.looked_at:,} looked at {seen.understood:,} would be read"
        )
        for held in seen.held:
            typer.echo(f"stays: {plain(held.words)}", err=True)
        return
    done = one.commands.schemas.register(one.actor, proposed, reason)
    typer.echo(f"registration {done.registration_id}: {len(done.released):,} events released")
    for held in done.held:
        typer.echo(f"stays: {plain(held.words)}", err=True)


@schemas.command()
def withdraw(
    registration_id: Annotated[int, typer.Argument(help="As `tieline schemas registrations` shows it.")],
    reason: Reason,
) -> None:
    """Take no more of a registered version; what was stored stays."""
    one = work("schemas")
    done = one.commands.schemas.withdraw(one.actor, registration_id, reason)
    typer.echo(f"withdrawn: registration {done.registration_id}")


@schemas.command()
def fields(limit: Limit = 200, as_json: AsJson = False) -> None:
    """Show fields that came in and that no schema here knows, those that nobody has looked at first."""
    from app.api.schemas import DriftView
    from sync_core.reads.paging import Window

    page = work("schemas").reads.schema_drift(Window(limit))
    if as_json:
        print_page(page, DriftView.model_validate)
        return
    shown = table("id", "version", "source", "field", "is", "events", "first seen", "last seen", "acknowledged by")
    for one in page.rows:
        shown.add_row(
            str(one.drift_id), text(one.type), text(one.source), text(one.path), one.shape, f"{one.events:,}",
            f"{one.first_seen_at:%Y-%m-%d %H:%M}", f"{one.last_seen_at:%Y-%m-%d %H:%M}", text(one.acknowledged_by),
        )  # fmt: skip
    draw(shown)
    of_all(page)


@schemas.command()
def acknowledge(
    drift_ids: Annotated[list[int], typer.Argument(help="As `tieline schemas fields` shows them.")], reason: Reason
) -> None:
    """Say that fields are known now; nobody is told of them any more."""
    one = work("schemas")
    done = one.commands.schemas.acknowledge(one.actor, drift_ids, reason)
    typer.echo(f"acknowledged: {', '.join(map(str, done.drift_ids))}")


def _told(differences: "tuple[Difference, ...]", found: "Fit", event_type: str) -> None:
    typer.echo(f"{found.fitting:,} of {found.seen:,} stored events of {plain(event_type)} fit")
    if found.misfits:
        shown = table("field", "events", "first", "why not")
        for one in found.first[:20]:
            shown.add_row(text(one.path), f"{one.events:,}", text(one.examples[0]), text(one.words))
        draw(shown)
    if differences:
        shown = table("field", "", "what changes")
        for each in differences:
            shown.add_row(text(each.path), "breaks" if each.breaking else "adds", text(each.words))
        draw(shown)


def _schema(name: str) -> dict[str, object]:
    from sync_core.commands.desk import NotFound
    from sync_core.delivery.messages import OUTGOING
    from sync_core.events import REGISTRY

    known = REGISTRY.get(name) or OUTGOING.get(name)
    if known is None:
        raise NotFound(f"{plain(name)[:100]!r} is no version of this release; `tieline schemas list` has them")
    return known.schema()


def _text(file: Path) -> str:
    from app.wiring import text_of

    return text_of("the schema", file)


def _read(file: Path) -> dict[str, object]:
    from sync_core.schemas.registered import parsed

    return parsed(_text(file))


def _rename(given: str) -> "Rename":
    theirs, equals, ours = given.partition("=")
    if not equals:
        raise typer.BadParameter(f"{given!r} is no rename; write theirs=ours", param_hint="--rename")
    return theirs.strip(), ours.strip()
