"""`tieline snapshot`: make a week's snapshot here, check one, list them, compare two weeks."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.actor import operator_of_this_machine
from app.cli.begin import wiring_of
from app.cli.kpi import moment_of
from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, of_all, print_json, print_page, text, work

snapshot = typer.Typer(help="Weekly snapshots: make one here, check, list, compare weeks.", invoke_without_command=True)

Week = Annotated[str, typer.Argument(help="An ISO week, such as 2026-W47.")]


@snapshot.callback()
def make(
    context: typer.Context,
    week: Annotated[str | None, typer.Option(help="An ISO week; the last that is over without one.")] = None,
    as_of: Annotated[str | None, typer.Option(help="What was known then, e.g. 2026-11-23T06:00Z; now without.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new or empty folder.")] = None,
) -> None:
    """Write board pack, workbook, CSV, Parquet and a signed manifest of a week; the same as-of gives the same bytes."""
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise typer.BadParameter("name a new or empty folder", param_hint="--out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refusal(f"{out} is not empty: a snapshot never joins other files; name a new folder.", Exit.REFUSED)
    from app.jobs import snapshots
    from metrics import weeks
    from metrics.snapshot import keeping
    from sync_core.authority import Permission
    from sync_core.commands import snapshots as commands
    from sync_core.commands.desk import Desk

    wiring = wiring_of("snapshot")
    engine = wiring.engine(pool_size=2)
    monday = None if week is None else weeks.monday_of(week)
    moment = moment_of(as_of)
    maker = snapshots.maker(wiring, engine)
    place = str(out.absolute())
    asked = Desk(engine, wiring.clock, wiring.estate).run(
        operator_of_this_machine(), Permission.SNAPSHOT_WRITE,
        lambda act: commands.make(act, week=monday, as_of=moment, location=place),
    )  # fmt: skip
    made = maker.make_here(keeping.asked(engine, asked.snapshot_id))
    out.mkdir(parents=True, exist_ok=True)
    for name, body in made.files.items():
        (out / name).write_bytes(body)
    manifest = made.manifest
    typer.echo(
        f"{len(made.files)} files of {manifest['week']} in {out}, as of {manifest['as_of']}, signed with key "
        f"{manifest['key_id']}."
    )


@snapshot.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder with a snapshot.", exists=True, file_okay=False)],
    key: Annotated[
        list[Path] | None, typer.Option("--key", help="A public key (PEM) to trust; may be repeated.", exists=True)
    ] = None,
) -> None:
    """Check a snapshot, offline: its signature and every file. Without --key the folder's own key is believed."""
    from app.jobs import audit_chain
    from metrics.snapshot.package import SnapshotBroken
    from metrics.snapshot.package import verify as check

    keys = {one.id: one for one in audit_chain.public_keys(key or ())}
    try:
        found = check(folder, keys)
    except SnapshotBroken as wrong:
        raise Refusal(f"The snapshot cannot be relied on: {wrong.message}", Exit.EVIDENCE_BROKEN) from wrong
    typer.echo(
        f"The snapshot of {found.week} as of {found.as_of} is as release {found.release} made it: {found.files} files, "
        f"{found.tables} tables, key {found.key_id}."
    )
    if not found.key_given:
        typer.echo("The key was the folder's own: compare its id with the one you were told, or give --key.")


@snapshot.command()
def key() -> None:
    """Print the public key that snapshots are checked with; it is made the first time."""
    from app.jobs import snapshots

    typer.echo(snapshots.signer(wiring_of("snapshot")).public.pem, nl=False)


@snapshot.command(name="list")
def list_snapshots(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show snapshots, last asked for first, and whether they are delivered."""
    from sync_core.reads.paging import Window

    found = work("snapshot").reads.snapshots(window=Window(limit))
    if as_json:
        from app.api.snapshots import SnapshotView

        print_page(found, SnapshotView.model_validate)
        return
    from metrics.weeks import week_name

    drawn = table("id", "week", "state", "as of (UTC)", "by", "not delivered", "where")
    for row in found.rows:
        as_of = f"{row.as_of:%Y-%m-%d %H:%M}" if row.as_of else ""
        drawn.add_row(
            str(row.snapshot_id), week_name(row.week), text(row.error or row.state), as_of, text(row.asked_by),
            str(row.undelivered), text(row.location or "delivered"),
        )  # fmt: skip
    draw(drawn)
    of_all(found)


@snapshot.command()
def diff(week: Week, other: Week, as_json: AsJson = False) -> None:
    """Show how two weeks differ, each by the newest snapshot that was made of it."""
    from app.api.snapshots import diff_view, found_diff
    from metrics import weeks
    from metrics.kpi import Better, Unit
    from metrics.snapshot import wording

    first, second = weeks.monday_of(week), weeks.monday_of(other)
    found = found_diff(work("snapshot").reads, first, second)
    if as_json:
        print_json(diff_view(found))
        return
    board = f"board pack of {weeks.week_name(second)}"
    drawn = table("measure", weeks.week_name(first), weeks.week_name(second), "change", "", board, "definition")
    for one in found.kpis:
        unit = Unit(one.unit)
        definition = f"{one.version or 'none'} to {one.other_version or 'none'}" if one.definition_changed else ""
        drawn.add_row(
            text(one.title), wording.named(one.value, unit, found.currency, one.of, first),
            wording.named(one.other, unit, found.currency, one.other_of, second),
            "" if one.of_another_span else wording.change(one.other, one.value, unit, found.currency),
            "other windows" if one.of_another_span else "windows overlap" if one.overlap else
            wording.got(one.other, one.value, Better(one.better)),
            wording.held_against(one.other, one.previous, unit, found.currency, one.other_of, second), definition,
        )  # fmt: skip
    draw(drawn)
    typer.echo(
        "States are as of the end of each week, as it was known then. Where a week has too few cases, its number is of "
        "the four weeks up to it; the board pack holds them against the four before."
    )
